"""Requests inside a session that do not come from its peer.

Call-ID and tags say which dialog is meant, and are no proof of who asks: whoever has seen one message of the dialog
knows them (RFC 3261 §26.1.4 names the BYE of such a third party, RFC 3515 §5 its REFER). So the agent looks at where a
request comes from. What comes from elsewhere is refused, unless the application wants to be asked: it may know a
trunk's other servers, or challenge the sender. Until then nothing in the dialog has changed, its remote sequence number
included.
"""

from collections import OrderedDict
from dataclasses import dataclass

from sidestream.sip.agent.compose import Fields
from sidestream.sip.agent.core import Core
from sidestream.sip.agent.errors import UnknownRequest
from sidestream.sip.agent.events import RequestDoubted
from sidestream.sip.agent.session import Phase, Session
from sidestream.sip.dialog.dialog import Dialog
from sidestream.sip.transaction.layer import AckArrived, RequestArrived

FORBIDDEN = 403

Arrived = RequestArrived | AckArrived


@dataclass(frozen=True, slots=True)
class _Held:
    """What waits for the application's word until `deadline`, when its transaction is over. `tag` is ours."""

    arrived: Arrived
    tag: str
    deadline: float


class Strangers:
    """`count`: how many requests in a session came from elsewhere."""

    def __init__(self, core: Core) -> None:
        self.count = 0
        self._core = core
        self._held: OrderedDict[str, _Held] = OrderedDict()  # in the order of their deadlines

    def stop(self, session: Session, dialog: Dialog, arrived: Arrived, now: float) -> bool:
        """Refuse `arrived`, or keep it until the application has decided, if it is not of the peer of `dialog`.

        False: it is, or there is nothing left to protect.
        """
        core = self._core
        if session.phase is Phase.ENDED or core.is_own_peer(session, dialog, arrived.peer):
            return False
        self.count += 1
        self._drop_late(now)
        held = _Held(arrived, dialog.local.tag or "", now + core.config.timers.patience)
        if not session.asks_about_strangers:
            self._refuse(held, FORBIDDEN, (), now)
            return True
        name = core.token()
        self._held[name] = held
        core.emit(RequestDoubted(name, session.id, arrived.request, arrived.peer))
        return True

    def admit(self, name: str, now: float) -> Arrived:
        """The application vouches for it. Raises UnknownRequest."""
        return self._take(name, now).arrived

    def refuse(self, name: str, status: int, headers: Fields, now: float) -> bool:
        """The application does not. False: no such request is kept here."""
        if name not in self._held:
            return False
        self._refuse(self._take(name, now), status, headers, now)
        return True

    def _refuse(self, held: _Held, status: int, headers: Fields, now: float) -> None:
        arrived = held.arrived
        if isinstance(arrived, AckArrived):
            return  # RFC 3261 §17: to an ACK there is no response
        core = self._core
        response = core.compose.response(arrived.request, status, tag=held.tag, headers=headers)
        core.layer.respond(arrived.key, response, now)

    def _take(self, name: str, now: float) -> _Held:
        self._drop_late(now)
        held = self._held.pop(name, None)
        if held is None:
            raise UnknownRequest(name)
        return held

    def _drop_late(self, now: float) -> None:
        while self._held and next(iter(self._held.values())).deadline <= now:
            self._held.popitem(last=False)
