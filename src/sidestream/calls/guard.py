"""What becomes of a request inside a call that does not come from where the party at the leg is known to be.

It counts if it comes from another server of the party's trunk or from where its user is registered, or with the
password of either; whoever has none to show is refused (RFC 3261 §22.1, §26.1.4; RFC 3515 §5).
"""

from dataclasses import dataclass

from sidestream.base.logs import get_logger
from sidestream.calls.party import Party, domain_home, trunk_home
from sidestream.calls.proofs import prove_trunk, prove_user
from sidestream.calls.record import CallEvent
from sidestream.calls.services import Services
from sidestream.registrar.gate import Denied
from sidestream.sip.agent.events import RequestDoubted
from sidestream.sip.message import Request
from sidestream.sip.transport import Peer
from sidestream.trunks.trunk_book import Question

log = get_logger("calls")

REFUSED = "request.refused"  # in a call's timeline

_FORBIDDEN = Denied(403)
# RFC 3261 §22.1: neither can be sent again with an answer.
_UNCHALLENGED = frozenset({"ACK", "CANCEL"})


@dataclass(slots=True)
class Guard:
    """Of one leg, at which `party` is."""

    services: Services
    party: Party
    call_sid: str
    _has_noted: bool = False

    def decide(self, doubted: RequestDoubted) -> None:
        """Let the request in, or answer it."""
        services = self.services
        request, peer = doubted.request, doubted.peer
        with services.driver.turn() as (agent, now):
            denied = self._question(request, peer, now)
            if denied is None:
                agent.admit(doubted.request_id, now=now)
                return
            agent.answer(doubted.request_id, denied.status, headers=denied.headers, now=now)
        log.warning("! request from elsewhere", call=self.call_sid, method=request.method, peer=str(peer))
        if not self._has_noted:
            # Once: who sends one can send thousands.
            self._has_noted = True
            detail: dict[str, str | int | float | None] = {
                "method": request.method,
                "sip_status": denied.status,
                "source": peer.host,
            }
            services.calls.add_event(CallEvent(self.call_sid, services.clock.wall(), REFUSED, detail))

    def _question(self, request: Request, peer: Peer, now: float) -> Denied | None:
        """What the sender is asked or told before the request counts; None: nothing."""
        services, home = self.services, self.party.home
        may_ask = request.method not in _UNCHALLENGED
        trunk = next((one for one in services.trunks.trunks if trunk_home(one.name) == home), None)
        if trunk is not None:
            if trunk.calls_from(peer.host):
                return None
            if trunk.inbound is None or not may_ask:
                return _FORBIDDEN
            proven = prove_trunk(services, Question((trunk,)), request, peer, now)
            return proven if isinstance(proven, Denied) else None
        domain = next((one for one in services.users.domains.domains if domain_home(one.name) == home), None)
        if domain is None:
            return _FORBIDDEN
        ways = [binding.way for binding in services.users.registrar.bindings(self.party.aor, now)]
        if any(way is not None and (way.transport, way.host) == (peer.transport, peer.host) for way in ways):
            return None
        if not may_ask:
            return _FORBIDDEN
        user = prove_user(services, domain, request, peer, now)
        if isinstance(user, Denied):
            return user
        return None if domain.aor(user) == self.party.aor else _FORBIDDEN
