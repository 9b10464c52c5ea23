"""The agent: one sans-IO object over transactions, dialogs and INVITE sessions.

Feed it with `receive`, `transport_failed`, `located` and `handle_timeout`, and with the commands; after each of them
drain `poll_transmit`, `poll_lookup`, then `poll_event`, until all give None, and arm one timer for `poll_timeout`.

A command to a session that has already ended does nothing (its `SessionEnded` is queued or was just read), so that a
crossing BYE is no error; one that does not fit the state of a living session raises `WrongState`. `headers` are extra
header fields in order; those that the agent itself writes (Via, From, To, Call-ID, CSeq, Max-Forwards, Contact, Route,
Content-Length, Content-Type …) must not be among them. `contact_params` are parameters of our Contact header field,
such as `(("+sip.src", None),)`; None keeps those of the session's previous message.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import count

from sidestream.base.ids import Ids
from sidestream.sip.agent.asking import Asking, Content
from sidestream.sip.agent.callee import Callee
from sidestream.sip.agent.caller import Caller
from sidestream.sip.agent.compose import contact_value
from sidestream.sip.agent.config import AgentConfig
from sidestream.sip.agent.core import Core
from sidestream.sip.agent.dispatch import Dispatch
from sidestream.sip.agent.ending import Ending
from sidestream.sip.agent.errors import WrongState
from sidestream.sip.agent.events import AgentEvent, EndCause
from sidestream.sip.agent.exchange import ACK_PREFIX, Exchanges
from sidestream.sip.agent.ground import is_own_ground
from sidestream.sip.agent.image import SessionImage, image_of, restore
from sidestream.sip.agent.offers import is_free, may_update
from sidestream.sip.agent.refreshing import Refreshing
from sidestream.sip.agent.reliable import Pracks, ReliableProgress
from sidestream.sip.agent.requests import Requests
from sidestream.sip.agent.routing import next_uri
from sidestream.sip.agent.searching import Lookup
from sidestream.sip.agent.session import Exchange, HeldBye, Phase, Session
from sidestream.sip.agent.session_clock import SessionClock
from sidestream.sip.agent.strangers import Strangers
from sidestream.sip.agent.unanswered import UnansweredImage, end_unanswered, unanswered_image_of
from sidestream.sip.dialog.dialog import Dialog
from sidestream.sip.digest import DigestClient, DigestCredentials
from sidestream.sip.errors import MessageError
from sidestream.sip.grammar import Params
from sidestream.sip.message import Response, parse_message
from sidestream.sip.transport import Destination, Peer, Transmit, Transport
from sidestream.sip.uri import Uri
from sidestream.sip.values import NameAddr

HeaderList = Sequence[tuple[str, str]]
FIRST_SEQ = 1  # RFC 3261 §8.1.1.5 leaves the start free below 2**31


class Agent:
    """`malformed` counts messages that could not be read; see the module for the rest."""

    def __init__(self, config: AgentConfig, ids: Ids) -> None:
        self.malformed = 0
        self._core = Core(config, ids)
        self._exchanges = Exchanges(self._core)
        self._ending = Ending(self._core, self._exchanges)
        self._clock = SessionClock(self._core)
        self._pracks = Pracks(self._core, self._exchanges, self._ending)
        self._caller = Caller(self._core, self._exchanges, self._ending, self._pracks, self._clock)
        self._callee = Callee(self._core, self._ending, ReliableProgress(self._core), self._clock)
        self._requests = Requests(self._core, self._exchanges, self._ending, self._clock)
        self._asking = Asking(self._core, self._requests, self._clock)
        refreshing = Refreshing(self._core, self._exchanges, self._ending, self._caller, self._clock)
        self._strangers = Strangers(self._core)
        self._dispatch = Dispatch(
            self._core,
            self._exchanges,
            self._ending,
            self._caller,
            self._callee,
            self._requests,
            refreshing,
            self._strangers,
        )

    def receive(self, data: bytes, peer: Peer, now: float) -> None:
        """One message: a datagram, or what `framing.StreamFramer` cut from a stream."""
        try:
            message = parse_message(data)
            if isinstance(message, Response):
                _ = message.contacts, message.record_routes, message.rseq  # what a dialog is made of
        except MessageError as error:
            self.malformed += 1
            if error.answer is not None:
                self._core.layer.send_stateless(error.answer.to_bytes(), peer, peer.listener)
            return
        if isinstance(message, Response):
            self._core.layer.receive_response(message, now)
        else:
            self._core.layer.receive_request(message, peer, now)
        self._dispatch.drain(now)

    def transport_failed(self, transmit_id: str, now: float, reason: str = "") -> None:
        """The transmit with this id could not be put on the wire; `reason` is for people."""
        if transmit_id.startswith(ACK_PREFIX):
            self._exchanges.ack_failed(transmit_id.removeprefix(ACK_PREFIX))
        else:
            self._core.layer.transport_failed(transmit_id, now, reason)
        self._dispatch.drain(now)

    def poll_transmit(self) -> Transmit | None:
        return self._core.layer.poll_transmit()

    def poll_event(self) -> AgentEvent | None:
        return self._core.events.popleft() if self._core.events else None

    def poll_lookup(self) -> Lookup | None:
        """A host name to be located; drained like the transmits. `located` takes the answer."""
        return self._core.searches.poll()

    def located(self, lookup_id: str, targets: Sequence[Destination], now: float, reason: str = "") -> None:
        """The servers of a `Lookup`, best first. None at all fails the request, with `reason` for people."""
        self._core.searches.answer(lookup_id, targets, now, reason)

    def poll_timeout(self) -> float | None:
        """When `handle_timeout` wants to be called, or None."""
        layer, sessions = self._core.layer.poll_timeout(), self._core.timers.next()
        if layer is None or sessions is None:
            return sessions if layer is None else layer
        return min(layer, sessions)

    def handle_timeout(self, now: float) -> None:
        self._core.layer.handle_timeout(now)
        self._dispatch.drain(now)
        while (due := self._core.timers.pop_due(now)) is not None:
            name, timer = due
            self._dispatch.session_timeout(self._core.sessions[name], timer, now)

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
        via: Peer | None = None,
        confined: bool = False,
    ) -> str:
        """Send an INVITE and return its session. Tags are added to `from_`; `to` must have none.

        `credentials` answer a 401 or 407 once, here and for every later request of the session. `via`: where to send
        it and what follows, whatever the URIs say, such as the connection that a phone registered by; once that is
        gone, the target's own address is tried. `confined`: somebody outside has named the target, so that an address
        of this machine or link (`ground.is_own_ground`) is not called.
        """
        core, uri = self._core, next_uri(target, route)
        way = core.routing.way(uri, usual=Transport.UDP)
        ways = [way] if way is not None else []
        if via is not None:
            ways = core.ways_by(via, ways)
        listener = core.routing.likely(ways[0]) if ways else core.config.listeners[0]
        session = Session(
            id=core.token(),
            phase=Phase.CALLING,
            listener=listener.name,
            transport=listener.transport,
            contact_user=core.config.contact_user or from_.uri.user,
            contact_params=contact_params,
            owns_call_id=True,
            digest=DigestClient(credentials) if credentials is not None else None,
            connection=via,
            secure=uri.scheme == "sips",
            confined=confined or (via is not None and not is_own_ground(via.host)),
        )
        request = core.compose.request(
            "INVITE",
            target.as_target(),
            route,
            from_=from_.with_tag(core.token()),
            to=to,
            call_id=call_id or core.token(),
            seq=FIRST_SEQ,
            contact=core.contact(session),
            headers=headers,
            body=body,
            content_type=content_type,
            max_forwards=max_forwards,
            own=self._clock.fields(session),
        )
        core.add(session)
        numbers = count(FIRST_SEQ + 1)
        exchange = Exchange(request, ways, self._caller, session, session.digest, lambda: next(numbers))
        self._caller.call(session, exchange, now)
        return session.id

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
        usage = self._core.session(session)
        if usage.phase is not Phase.ENDED:
            self._callee.respond(
                usage,
                status,
                now,
                reason=reason,
                headers=headers,
                body=body,
                content_type=content_type,
                contact_params=contact_params,
            )

    def acknowledge(self, session: str, *, now: float, body: bytes = b"", content_type: str | None = None) -> None:
        """Send the ACK of the 2xx that was reported last; the agent repeats it whenever the 2xx is repeated."""
        usage = self._core.session(session)
        if usage.phase is Phase.ENDED:
            return
        if usage.accepted is None:
            raise WrongState(session, "acknowledge", usage.phase.value)
        self._ending.acknowledge(usage, usage.accepted, body, content_type)

    def acknowledge_progress(self, session: str, *, now: float, body: bytes, content_type: str) -> None:
        """Answer the offer of a reliable provisional response, which our INVITE without one asked for."""
        usage = self._core.session(session)
        if usage.phase is Phase.ENDED:
            return
        owed, usage.owed_prack = usage.owed_prack, None
        if owed is None:
            raise WrongState(session, "acknowledge_progress", usage.phase.value)
        usage.agreed_tags += (owed.dialog.remote.tag or "",)
        self._pracks.send(usage, owed, body, content_type, now)

    def cancel(self, session: str, *, now: float, headers: HeaderList = ()) -> None:
        """Give up our unanswered INVITE. Waits for the first provisional response; a crossing 2xx is ended by BYE.

        `InviteRejected` (usually 487) may still come, and `SessionEnded(CANCELLED)` always does.
        """
        usage = self._core.session(session)
        if usage.phase is Phase.CALLING:
            self._caller.cancel(usage, headers, now)
        elif usage.phase is not Phase.ENDED:
            raise WrongState(session, "cancel", usage.phase.value)

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
        usage = self._core.session(session)
        if usage.phase is Phase.CALLING:
            self._caller.cancel(usage, headers, now)
        elif usage.phase is Phase.RINGING:
            self._callee.refuse(usage, 480, EndCause.LOCAL_BYE, now)
        elif usage.phase is Phase.ESTABLISHED and not self._callee.hold_bye(
            usage, HeldBye(tuple(headers), body, content_type)
        ):
            self._ending.hang_up(usage, EndCause.LOCAL_BYE, now, headers=headers, body=body, content_type=content_type)

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
        usage = self._core.session(session)
        if usage.phase is Phase.ENDED:
            return
        dialog = usage.dialog
        if dialog is None or not self.may_reinvite(session):
            raise WrongState(session, "reinvite", f"{usage.phase.value}, or an INVITE is under way")
        request = self._core.compose.in_dialog(
            "INVITE",
            dialog,
            dialog.next_seq(),
            contact=self._core.contact(usage, contact_params),
            headers=headers,
            body=body,
            content_type=content_type,
            own=self._clock.fields(usage),
        )
        self._caller.reinvite(usage, request, now)

    def may_reinvite(self, session: str) -> bool:
        """True if the session is established and nothing else is being negotiated (RFC 3261 §14.1)."""
        return is_free(self._core.session(session))

    def may_update(self, session: str) -> bool:
        """True if an UPDATE with an offer may be sent and the peer allows it; also in an early dialog (RFC 3311 §5.1).

        In an established session a re-INVITE is the better choice: it gives the peer time (RFC 3311 §5.1).
        """
        usage = self._core.session(session)
        return "UPDATE" in usage.peer_allows and may_update(usage)

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
        call_id: str | None = None,
        seq: int = FIRST_SEQ,
    ) -> str:
        """Send INFO, UPDATE, OPTIONS or the like and return its id, which the one `RequestAnswered` will carry.

        Send an UPDATE with an offer only while `may_update`; the peer refuses others.
        Outside a session (`session` None) `target` and `from_` are needed; `to` defaults to the target. `call_id` and
        `seq` are for requests that belong together, as those of a registration; each digest challenge that is answered
        on the way uses one number more.
        """
        content = Content(method, headers, body, content_type)
        if session is None:
            return self._asking.outside(content, target, from_, to, route, credentials, call_id, seq, now)
        return self._asking.inside(self._core.session(session), content, contact_params, now)

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
        """Give the final answer to a `RequestReceived`, within 64*T1; later is too late and raises `UnknownRequest`.

        Also to a `RequestDoubted`, which it refuses.
        """
        if self._strangers.refuse(request_id, status, headers, now):
            return
        self._requests.answer(
            request_id, status, now, reason=reason, headers=headers, body=body, content_type=content_type
        )

    def contact_toward(self, target: Uri, user: str | None, route: Sequence[NameAddr] = ()) -> NameAddr | None:
        """What the Contact of a REGISTER to `target` has to be; None if we do not speak what the URI asks for."""
        routing = self._core.routing
        uri = next_uri(target, route)
        way = routing.way(uri, usual=Transport.UDP)
        if way is None:
            return None
        return NameAddr.parse(contact_value(routing.likely(way), user, (), secure=uri.scheme == "sips"))

    def dialog(self, session: str) -> Dialog | None:
        """A copy of the session's dialog, to be read or written down; of an unanswered one the latest early dialog."""
        dialog = self._core.session(session).current_dialog
        return replace(dialog) if dialog is not None else None

    def image(self, session: str) -> SessionImage | None:
        """The session as another agent may `restore` it; None unless it is established and nothing is under way."""
        return image_of(self._core.session(session))

    def restore(self, image: SessionImage, now: float) -> str:
        """Go on with the session of an earlier agent, and return its new name.

        Nothing is sent, but a refresh soon if that is our part. Raises LocalError if no listener speaks its transport
        any more, and MessageError if the image is none of ours.
        """
        return restore(self._core, self._clock, image, now).id

    def unanswered(self, session: str) -> UnansweredImage | None:
        """The session's INVITE, for an agent that can only end it; None unless it waits for a final answer."""
        return unanswered_image_of(self._core, self._core.session(session))

    def end_unanswered(self, image: UnansweredImage, now: float) -> None:
        """Refuse or cancel the INVITE of an earlier agent. Events of a session that nobody knows may follow.

        Raises MessageError if the image is none of ours.
        """
        end_unanswered(self._core, self._caller, image, now)

    def find_session(self, call_id: str, local_tag: str, remote_tag: str) -> str | None:
        """The session of that dialog (RFC 3891 §3), early, established, or ended less than 64*T1 ago."""
        session = self._core.named(call_id, local_tag, remote_tag)
        return None if session is None else session.id

    def is_outside(self, session: str) -> bool:
        """Whether the session's peer is not on this machine or link: what it names is to be called `confined`."""
        return self._core.is_outside(self._core.session(session))

    def ask_about_strangers(self, session: str) -> None:
        """From now on tell by `RequestDoubted` what in the session comes from elsewhere, which else is answered 403."""
        self._core.session(session).asks_about_strangers = True

    def admit(self, request_id: str, *, now: float) -> None:
        """Take a `RequestDoubted` as the peer's own, within 64*T1; later is too late and raises `UnknownRequest`."""
        self._dispatch.admit(request_id, now)

    @property
    def strangers(self) -> int:
        """How many requests in a session did not come from where its peer is known to be."""
        return self._strangers.count

    @property
    def dropped(self) -> int:
        """How many messages matched nothing."""
        return self._core.layer.dropped

    @property
    def overloads(self) -> int:
        """How many INVITEs were refused because of `session_limit`."""
        return self._dispatch.overloads

    @property
    def live(self) -> tuple[int, int]:
        """How many sessions and transactions there are, the ended ones that only wait for late messages included."""
        return len(self._core.sessions), self._core.layer.live
