"""Digits that reach one party in another form than they left the other: telephone events, tones or INFO."""

import asyncio
import re
from typing import TYPE_CHECKING

from sidestream.base.logs import get_logger
from sidestream.calls.playback import send_digits
from sidestream.media.engine import MediaEngineError

if TYPE_CHECKING:
    from sidestream.calls.call import Call

DTMF_RELAY = "application/dtmf-relay"
_DTMF = "application/dtmf"
# RFC 4733 §3.2: some phones give the event's number instead of the key.
_KEYS = {"10": "*", "11": "#", "12": "A", "13": "B", "14": "C", "15": "D"}
_SIGNAL = re.compile(r"^[ \t]*Signal[ \t]*=[ \t]*([0-9]{1,2}|[*#A-D])[ \t]*$", re.IGNORECASE | re.MULTILINE)
_KEY = re.compile(r"[0-9]{1,2}|[*#A-D]", re.IGNORECASE)
WAITING_LIMIT = 64  # keys that wait to be sent; nobody presses more in the time that they take
DURATION_MS = 100

log = get_logger("calls")


def digit_of(content_type: str, body: bytes) -> str | None:
    """The key that an INFO tells of; None for any other INFO."""
    text = body.decode("utf-8", "replace").replace("\r", "\n")
    match content_type.split(";")[0].strip().lower():
        case "application/dtmf-relay":
            found = _SIGNAL.search(text)
            key = found[1] if found is not None else ""
        case "application/dtmf":
            key = text.strip() if _KEY.fullmatch(text.strip()) else ""
        case _:
            return None
    key = _KEYS.get(key, key).upper()
    return key if len(key) == 1 else None


class DigitRelay:
    """Sends keys to parties one after the other; `owner` is the call whose media session they all live in."""

    def __init__(self, owner: "Call") -> None:
        self._owner = owner
        self._waiting: list[tuple[Call, str]] = []
        self._task: asyncio.Task[None] | None = None

    def send(self, to: "Call", digit: str) -> None:
        """Send a key to the party of `to`, behind those that wait: as an event or tones, or else by INFO."""
        if len(self._waiting) < WAITING_LIMIT:
            self._waiting.append((to, digit))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())

    def stop(self) -> None:
        """Send no more."""
        self._waiting.clear()
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        while self._waiting:
            to, digit = self._waiting.pop(0)
            try:
                await send_digits(self._owner, digit, media=to.leg.media)
            except MediaEngineError as error:
                log.info("= a key goes by INFO", call=to.record.sid, problem=str(error))
                to.leg.tell(DTMF_RELAY, f"Signal={digit}\r\nDuration={DURATION_MS}\r\n".encode())
