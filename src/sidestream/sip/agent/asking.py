"""Requests of ours besides INVITE, ACK, CANCEL and BYE, in a session (RFC 3261 §12.2.1) or on their own (§8.1)."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

from sidestream.sip.agent.compose import TARGET_METHODS
from sidestream.sip.agent.core import Core
from sidestream.sip.agent.errors import WrongState
from sidestream.sip.agent.requests import Requests
from sidestream.sip.agent.routing import next_uri
from sidestream.sip.agent.session import Exchange, Phase, Session
from sidestream.sip.agent.session_clock import SessionClock
from sidestream.sip.digest import DigestClient, DigestCredentials
from sidestream.sip.errors import LocalError
from sidestream.sip.grammar import Params
from sidestream.sip.transport import Transport
from sidestream.sip.uri import Uri
from sidestream.sip.values import NameAddr


@dataclass(frozen=True, slots=True)
class Content:
    """What the application puts into a request."""

    method: str
    headers: Sequence[tuple[str, str]]
    body: bytes
    content_type: str | None


class Asking:
    """Each method sends a request and returns its id; `Requests` tells how it went."""

    def __init__(self, core: Core, requests: Requests, clock: SessionClock) -> None:
        self._core = core
        self._requests = requests
        self._clock = clock

    def outside(
        self,
        content: Content,
        target: Uri | None,
        from_: NameAddr | None,
        to: NameAddr | None,
        route: Sequence[NameAddr],
        credentials: DigestCredentials | None,
        call_id: str | None,
        seq: int,
        now: float,
    ) -> str:
        """Outside of any session, to `target`. Raises LocalError without it or `from_`."""
        if target is None or from_ is None:
            raise LocalError("a request outside a session needs target and from_")
        core, way = self._core, self._core.routing.way(next_uri(target, route), usual=Transport.UDP)
        request = core.compose.request(
            content.method,
            target.as_target(),
            route,
            from_=from_.with_tag(core.token()),
            to=to or NameAddr(None, target),
            call_id=call_id or core.token(),
            seq=seq,
            headers=content.headers,
            body=content.body,
            content_type=content.content_type,
        )
        digest = DigestClient(credentials) if credentials is not None else None
        numbers = count(seq + 1)
        ways = [way] if way is not None else []
        return self._requests.send(Exchange(request, ways, self._requests, None, digest, lambda: next(numbers)), now)

    def inside(self, usage: Session, content: Content, contact_params: Params | None, now: float) -> str:
        """In the dialog of `usage`. Raises WrongState where there is none any more."""
        core, dialog = self._core, usage.current_dialog
        if usage.phase is Phase.ENDED or dialog is None:
            raise WrongState(usage.id, content.method, usage.phase.value)
        contact = core.contact(usage, contact_params) if content.method in TARGET_METHODS else None
        request = core.compose.in_dialog(
            content.method,
            dialog,
            dialog.next_seq(),
            contact=contact,
            headers=content.headers,
            body=content.body,
            content_type=content.content_type,
            own=self._clock.fields(usage) if content.method in TARGET_METHODS else (),
        )
        hops = core.hops(usage, dialog)
        exchange = Exchange(request, hops, self._requests, usage, usage.digest, dialog.next_seq)
        return self._requests.send(exchange, now)
