"""An INVITE of ours until somebody answers: where it goes, over redirections, and what its forks say on the way."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Invite:
    """What an INVITE of ours says, and how it goes: `via` and `confined` as of `Agent.invite`.

    `redirects`: how many contacts of 3xx answers to follow.
    """

    target: Uri
    from_: NameAddr
    to: NameAddr
    offer: SessionDescription
    headers: Sequence[tuple[str, str]] = ()
    credentials: DigestCredentials | None = None
    max_forwards: int = 70
    call_id: str | None = None
    redirects: int = 0
    via: Peer | None = None
    confined: bool = False


class Invitation:
    """Sends an INVITE, and sends it again to where a 3xx leads.

    `begun` is told of each session before any event of it can come.
    """

    def __init__(self, driver: SipDriver, begun: Callable[[str], None], invite: Invite) -> None:
        self._driver = driver
        self._begun = begun
        self._invite = invite
        self._redirects = Redirects(invite.redirects, invite.target)
        self._early: dict[str, SessionDescription] = {}  # of each fork that sent one before its answer, by tag

    def send(self) -> None:
        """To who is called first."""
        self._send(self._invite.target)

    def _send(self, where: Uri) -> None:
        invite = self._invite
        is_first = where is invite.target
        # Who redirects us may name anybody: the trunk's password is for the trunk alone.
        is_same_host = where.address == invite.target.address
        with self._driver.turn() as (agent, now):
            session = agent.invite(
                target=where,
                from_=invite.from_,
                to=invite.to,
                headers=invite.headers,
                body=invite.offer.to_bytes(),
                content_type=SDP_TYPE,
                credentials=invite.credentials if is_same_host else None,
                max_forwards=invite.max_forwards,
                call_id=invite.call_id,  # RFC 3261 §8.1.3.4: kept over redirections
                via=invite.via if is_first else None,
                confined=invite.confined if is_first else not is_own_ground(invite.target.address),
                now=now,
            )
            self._begun(session)

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
