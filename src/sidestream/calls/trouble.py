"""What the media engine finds wrong with a party's audio, told to who looks after the platform."""

from typing import TYPE_CHECKING

from sidestream.calls.bridge import LegPhase
from sidestream.calls.call_part import CallPart
from sidestream.media.engine import MediaEvent, SilenceTimeout, Unauthenticated, Unreachable

if TYPE_CHECKING:
    from sidestream.calls.call import Call

_NO_MEDIA = 31953
_NOT_AUTHENTIC = 32212

# A phone that is about to hang up closes its port a moment before; events are a second apart at least.
_REFUSALS = 2


class MediaTrouble(CallPart):
    """That of one call's leg. In the timeline of every call; alerts only where somebody has to do something."""

    def __init__(self, call: "Call") -> None:
        super().__init__(call)
        self._refusals = 0

    def take(self, event: MediaEvent) -> None:
        """An event of the engine's session; those about other endpoints are ignored."""
        endpoint = self._call.leg.media.endpoint
        match event:
            case SilenceTimeout(_, name, silent_ms) if name == endpoint:
                self._silent(silent_ms)
            case Unauthenticated(_, name) if name == endpoint:
                self._call.note("media.unauthenticated")
                self._alert(_NOT_AUTHENTIC, "The party's packets do not fit its key")
            case Unreachable(_, name) if name == endpoint:
                self._refusals += 1
                if self._refusals == _REFUSALS:
                    self._call.note("media.unreachable")
            case _:
                pass

    def _silent(self, silent_ms: int) -> None:
        leg = self._call.leg
        # Who has not answered yet, or is on hold, need not speak.
        if leg.phase is not LegPhase.ESTABLISHED or not leg.media.remote_sends:
            return
        seconds = round(silent_ms / 1000)
        self._call.note("media.silent", seconds=seconds)
        if self._call.streams.latest() is not None:
            self._alert(_NO_MEDIA, f"Nothing was received from the party for {seconds} s")

    def _alert(self, code: int, text: str) -> None:
        call = self._call
        call.services.debugger.report(code, account_sid=call.account.sid, call_sid=call.record.sid, text=text)
