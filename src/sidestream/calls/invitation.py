"""An INVITE of ours until somebody answers: where it goes, over redirections, and what its forks say on the way."""

from collections.abc import Callable, Sequence

from sidestream.calls.descriptions import SDP_TYPE
from sidestream.calls.events import Progress, Ringing
from sidestream.calls.redirects import Redirects
from sidestream.sdp.session import SessionDescription
from sidestream.sip.agent.ground import is_own_ground
from sidestream.sip.digest import DigestCredentials
from sidestream.sip.message import Response
from sidestream.sip.transport import Peer
from sidestream.sip.uri import Uri
from sidestream.sip.values import NameAddr
from sidestream.wire.driver import SipDriver


class Invitation:
    """Sends the INVITE, and sends it again to where a 3xx leads.

    `begun` is told of each session before any event of it can come.
    """

    def __init__(
        self,
        driver: SipDriver,
        begun: Callable[[str], None],
        *,
        target: Uri,
        from_: NameAddr,
        to: NameAddr,
        offer: SessionDescription,
        headers: Sequence[tuple[str, str]],
        credentials: DigestCredentials | None,
        max_forwards: int,
        call_id: str | None,
        redirects: int,
        via: Peer | None,
        confined: bool,
    ) -> None:
        self._redirects = Redirects(redirects, target)
        self._early: dict[str, SessionDescription] = {}  # of each fork that sent one before its answer, by tag

        def send(where: Uri) -> None:
            # Who redirects us may name anybody: the trunk's password is for the trunk alone.
            is_same_host = where.address == target.address
            with driver.turn() as (agent, now):
                session = agent.invite(
                    target=where,
                    from_=from_,
                    to=to,
                    headers=headers,
                    body=offer.to_bytes(),
                    content_type=SDP_TYPE,
                    credentials=credentials if is_same_host else None,
                    max_forwards=max_forwards,
                    call_id=call_id,  # RFC 3261 §8.1.3.4: kept over redirections
                    via=via if where is target else None,
                    confined=confined if where is target else not is_own_ground(target.address),
                    now=now,
                )
                begun(session)

        self._target = target
        self._send = send

    def send(self) -> None:
        """To who is called first."""
        self._send(self._target)

    def progressed(self, response: Response, sdp: SessionDescription | None) -> Ringing | Progress:
        """What a 101–199 means."""
        tag = response.to.tag or ""
        if sdp is not None:
            self._early[tag] = sdp
        # RFC 3960 §3.1: of several forks with early media only one can be heard; the first to send any.
        if sdp is None or next(iter(self._early)) != tag:
            return Ringing(response.status, response.reason)
        return Progress(response.status, response.reason, sdp)

    def early_answer(self, response: Response) -> SessionDescription | None:
        """What the fork that has answered with this 2xx said before it, whoever was heard meanwhile."""
        return self._early.get(response.to.tag or "")

    def redirected(self, contacts: Sequence[NameAddr]) -> None:
        """A 3xx names these places."""
        self._redirects.take(contacts)

    def go_on(self) -> Uri | None:
        """Call the next place that a redirection named; None if there is none."""
        where = self._redirects.next()
        if where is not None:
            self._early.clear()
            self._send(where)
        return where
