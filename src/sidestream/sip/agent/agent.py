"""The agent: one sans-IO object over transactions, dialogs and INVITE sessions.

Feed it with `receive`, `transport_failed` and `handle_timeout`, and with the commands; after each of them drain
`poll_transmit`, then `poll_event`, until both give None, and arm one timer for `poll_timeout`.

A command to a session that has already ended does nothing (its `SessionEnded` is queued or was just read), so that a
crossing BYE is no error; one that does not fit the state of a living session raises `WrongState`. `headers` are extra
header fields in order; those that the agent itself writes (Via, From, To, Call-ID, CSeq, Max-Forwards, Contact, Route,
Content-Length, Content-Type …) must not be among them. `contact_params` are parameters of our Contact header field,
such as `(("+sip.src", None),)`; None keeps those of the session's previous message.
"""

from collections.abc import Sequence

from sidestream.base.ids import Ids
from sidestream.sip.agent.config import AgentConfig
from sidestream.sip.agent.events import AgentEvent
from sidestream.sip.digest import DigestCredentials
from sidestream.sip.transport import Peer, Transmit
from sidestream.sip.uri import Uri
from sidestream.sip.values import NameAddr

HeaderList = Sequence[tuple[str, str]]
Params = tuple[tuple[str, str | None], ...]


class Agent:
    def __init__(self, config: AgentConfig, ids: Ids) -> None:
        raise NotImplementedError

    def receive(self, data: bytes, peer: Peer, now: float) -> None:
        """One message: a datagram, or what `framing.StreamFramer` cut from a stream."""
        raise NotImplementedError

    def transport_failed(self, transmit_id: str, now: float) -> None:
        """The transmit with this id could not be put on the wire."""
        raise NotImplementedError

    def poll_transmit(self) -> Transmit | None:
        raise NotImplementedError

    def poll_event(self) -> AgentEvent | None:
        raise NotImplementedError

    def poll_timeout(self) -> float | None:
        """When `handle_timeout` wants to be called, or None."""
        raise NotImplementedError

    def handle_timeout(self, now: float) -> None:
        raise NotImplementedError

    def invite(
        self,
        *,
        target: Uri,
        from_: NameAddr,
        to: NameAddr,
        now: float,
        headers: HeaderList = (),
        body: bytes = b"",
        content_type: str | None = None,
        contact_params: Params = (),
        route: Sequence[NameAddr] = (),
        credentials: DigestCredentials | None = None,
        max_forwards: int = 70,
        call_id: str | None = None,
    ) -> str:
        """Send an INVITE and return its session. Tags are added to `from_`; `to` must have none.

        `credentials` answer a 401 or 407 once, here and for every later request of the session.
        """
        raise NotImplementedError

    def respond(
        self,
        session: str,
        status: int,
        *,
        now: float,
        reason: str | None = None,
        headers: HeaderList = (),
        body: bytes = b"",
        content_type: str | None = None,
        contact_params: Params | None = None,
    ) -> None:
        """Answer the waiting INVITE or re-INVITE: any number of 101–199, then one final status.

        A 2xx is repeated until its ACK arrives; if none does, BYE is sent and the session ends with NO_ACK. A status
        above 299 to the first INVITE ends the session with REJECTED.
        """
        raise NotImplementedError

    def acknowledge(self, session: str, *, now: float, body: bytes = b"", content_type: str | None = None) -> None:
        """Send the ACK of the 2xx that was reported last; the agent repeats it whenever the 2xx is repeated."""
        raise NotImplementedError

    def cancel(self, session: str, *, now: float, headers: HeaderList = ()) -> None:
        """Give up our unanswered INVITE. Waits for the first provisional response; a crossing 2xx is ended by BYE.

        `InviteRejected` (usually 487) may still come, and `SessionEnded(CANCELLED)` always does.
        """
        raise NotImplementedError

    def bye(
        self,
        session: str,
        *,
        now: float,
        headers: HeaderList = (),
        body: bytes = b"",
        content_type: str | None = None,
    ) -> None:
        """End the session whatever its state.

        An unanswered INVITE of ours is cancelled, an unanswered one of the peer is refused with 480. Our own 2xx that
        is not acknowledged yet holds the BYE back until its ACK arrives (RFC 3261 §15). `SessionEnded(LOCAL_BYE)` comes
        when the BYE is sent; digest challenges to it are still answered.
        """
        raise NotImplementedError

    def reinvite(
        self,
        session: str,
        *,
        now: float,
        headers: HeaderList = (),
        body: bytes = b"",
        content_type: str | None = None,
        contact_params: Params | None = None,
    ) -> None:
        """Send an INVITE inside the session; only while `may_reinvite`, else `WrongState`."""
        raise NotImplementedError

    def may_reinvite(self, session: str) -> bool:
        """True if the session is established and no INVITE waits in either direction (RFC 3261 §14.1)."""
        raise NotImplementedError

    def request(
        self,
        session: str | None,
        method: str,
        *,
        now: float,
        headers: HeaderList = (),
        body: bytes = b"",
        content_type: str | None = None,
        contact_params: Params | None = None,
        target: Uri | None = None,
        from_: NameAddr | None = None,
        to: NameAddr | None = None,
        route: Sequence[NameAddr] = (),
        credentials: DigestCredentials | None = None,
    ) -> str:
        """Send INFO, UPDATE, OPTIONS or the like and return its id, which the one `RequestAnswered` will carry.

        Outside a session (`session` None) `target` and `from_` are needed; `to` defaults to the target.
        """
        raise NotImplementedError

    def answer(
        self,
        request_id: str,
        status: int,
        *,
        now: float,
        reason: str | None = None,
        headers: HeaderList = (),
        body: bytes = b"",
        content_type: str | None = None,
    ) -> None:
        """Give the final answer to a `RequestReceived`, within 64*T1; later is too late and raises `UnknownRequest`."""
        raise NotImplementedError
