"""One recording server being spoken to: the client machine's actions, carried out."""

from collections.abc import Callable
from datetime import datetime

from sidestream.base.clock import Clock
from sidestream.base.logs import get_logger
from sidestream.connectors.srs_uri import SrsTarget
from sidestream.media.engine import MediaEngineError
from sidestream.recording.forks import ForkSet
from sidestream.sip.agent.agent import Agent
from sidestream.sip.agent.errors import UnknownRequest, WrongState
from sidestream.sip.agent.events import AgentEvent, InviteAccepted
from sidestream.sip.agent.image import SessionImage
from sidestream.siprec import failure
from sidestream.siprec.failure import SrsFailure
from sidestream.siprec.src.actions import (
    Action,
    AnswerRequest,
    ConfigureFork,
    Respond,
    SendAck,
    SendBye,
    SendCancel,
    SendInvite,
    SendReinvite,
    SrcEvent,
)
from sidestream.siprec.src.image import SrcImage
from sidestream.siprec.src.session import SrcSession
from sidestream.wire.driver import SipDriver

log = get_logger("recording")


class Attempt:
    """An INVITE to `target` and the session that may follow. A new attempt has a new Call-ID."""

    def __init__(
        self,
        target: SrsTarget,
        src: SrcSession,
        *,
        call_id: str,
        driver: SipDriver,
        forks: ForkSet,
        clock: Clock,
        sink: Callable[["Attempt", AgentEvent], None],
    ) -> None:
        self.target = target
        self.src = src
        self.call_id = call_id
        self.invited_at = 0.0  # monotonic
        self.accepted_at: tuple[float, datetime] | None = None  # monotonic and wall clock of the 2xx
        self._driver = driver
        self._forks = forks
        self._clock = clock
        self._sink = sink
        self._session: str | None = None

    async def drain(self) -> list[SrcEvent]:
        """Carry out what the machine wants, in order, and return what it reports."""
        forks: list[ConfigureFork] = []
        while (action := self.src.poll_transmit()) is not None or forks:
            if isinstance(action, ConfigureFork):
                forks.append(action)
                continue
            if forks:
                await self._configure(forks)
                forks.clear()
            if action is not None:
                self._send(action)
        events = []
        while (event := self.src.poll_event()) is not None:
            events.append(event)
        return events

    async def _configure(self, forks: list[ConfigureFork]) -> None:
        try:
            await self._forks.configure(forks)
        except MediaEngineError as error:
            self.src.abandon(SrsFailure(failure.UNKNOWN, f"The media engine failed: {error}"), self._clock.wall())

    def let_go(self) -> None:
        """Nobody listens any more. Without it the listener, who holds this, would be left to the garbage collector."""
        self._sink = _nobody

    def image(self) -> tuple[SessionImage, SrcImage] | None:
        """Both halves of the session as `restore` takes them; None while anything is under way in it."""
        src = self.src.image()
        if src is None or self._session is None:
            return None
        with self._driver.turn() as (agent, _):
            session = agent.image(self._session)
        return None if session is None else (session, src)

    def restore(self, session: SessionImage, src: SrcImage) -> None:
        """Go on with a session of before a restart. Raises LocalError, MessageError, SdpError."""
        self.src.restore(src)
        with self._driver.turn() as (agent, now):
            self._session = agent.restore(session, now)
            self._driver.attach(self._session, self._receive)

    def hang_up(self) -> None:
        """End the SIP session at once, whatever its state; for a task that must not wait any more."""
        if self._session is not None:
            with self._driver.turn() as (agent, now):
                agent.bye(self._session, now=now)

    def _send(self, action: Action) -> None:
        with self._driver.turn() as (agent, now):
            if isinstance(action, SendInvite):
                self._invite(agent, action, now)
                return
            assert self._session is not None  # the machine's first action is SendInvite
            try:
                self._send_inside(agent, self._session, action, now)
            except (WrongState, UnknownRequest) as error:
                # An event that crossed is still in our queue, and it will say what became of the session.
                log.info("= crossed", session=self._session, problem=str(error))

    def _invite(self, agent: Agent, action: SendInvite, now: float) -> None:
        self.invited_at = now
        self._session = agent.invite(
            target=action.target,
            from_=action.from_,
            to=action.to,
            headers=action.headers,
            body=action.body,
            content_type=action.content_type,
            contact_params=action.contact_params,
            call_id=self.call_id,
            now=now,
        )
        self._driver.attach(self._session, self._receive)

    def _send_inside(self, agent: Agent, session: str, action: Action, now: float) -> None:
        match action:
            case SendAck():
                agent.acknowledge(session, now=now)
            case SendReinvite():
                if not agent.may_reinvite(session):
                    self.src.blocked(now)
                    return
                agent.reinvite(
                    session,
                    headers=action.headers,
                    body=action.body,
                    content_type=action.content_type,
                    contact_params=action.contact_params,
                    now=now,
                )
            case SendCancel():
                # Not `cancel`: a 2xx may have crossed, and its event still be in our queue. BYE covers both.
                agent.bye(session, now=now)
            case SendBye():
                agent.bye(session, headers=action.headers, body=action.body, content_type=action.content_type, now=now)
            case Respond():
                agent.respond(
                    session,
                    action.status,
                    headers=action.headers,
                    body=action.body,
                    content_type=action.content_type,
                    contact_params=action.contact_params,
                    now=now,
                )
            case AnswerRequest():
                agent.answer(
                    action.request_id,
                    action.status,
                    headers=action.headers,
                    body=action.body,
                    content_type=action.content_type,
                    now=now,
                )

    def _receive(self, event: AgentEvent) -> None:
        if isinstance(event, InviteAccepted):
            self.accepted_at = (self._clock.monotonic(), self._clock.wall())
        self._sink(self, event)


def _nobody(_attempt: Attempt, _event: AgentEvent) -> None:
    """Who hears what comes after the end."""
