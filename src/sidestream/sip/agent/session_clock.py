"""How long a session lasts without a refresh (RFC 4028): what each INVITE and UPDATE says and agrees on."""

from sidestream.sip import session_timer
from sidestream.sip.agent.core import Core
from sidestream.sip.agent.session import Phase, Session, SessionTimer
from sidestream.sip.message import Request, Response
from sidestream.sip.session_timer import Fields, SessionInterval

SHORTEST_RETRY = 10.0  # seconds between two refreshes that the peer refused
# Within how many seconds a session that was taken up again is refreshed, so that not all are at one moment; and which
# part of its interval that may be: half of it may have passed before, and more while nobody was there.
RESUME_SPREAD = 30.0
RESUME_PART = 8


class SessionClock:
    """Agrees on the session interval and arms its two timers. Does nothing without a policy in the config."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._policy = core.config.session_timer

    def fields(self, session: Session) -> Fields:
        """What an INVITE or UPDATE of ours says."""
        if self._policy is None:
            return ()
        return session_timer.request_fields(self._policy, session.interval, session.least_interval)

    def answer(self, request: Request) -> tuple[SessionInterval | None, Fields]:
        """What our 2xx to the peer's INVITE or UPDATE agrees on, to be given to `start` when it is sent."""
        if self._policy is None:
            return None, ()
        return session_timer.answer(request, self._policy)

    def accepted(self, session: Session, request: Request, response: Response, now: float) -> None:
        """The peer's 2xx to our INVITE or UPDATE came."""
        if self._policy is not None:
            self.start(session, session_timer.agreed(request, response), now)

    def start(self, session: Session, interval: SessionInterval | None, now: float) -> None:
        """An interval begins, with the 2xx that agreed on it; None: the session may last for ever."""
        timers = self._core.timers
        session.interval = interval
        timers.stop((session.id, SessionTimer.REFRESH))
        if interval is None:
            timers.stop((session.id, SessionTimer.LAPSE))
            return
        session.lapses_at = now + interval.give_up_after
        timers.set((session.id, SessionTimer.LAPSE), session.lapses_at)
        if interval.we_refresh:
            timers.set((session.id, SessionTimer.REFRESH), now + interval.refresh_after)

    def resume(self, session: Session, interval: SessionInterval | None, now: float) -> None:
        """Go on with a session after a restart: nobody knows when it was refreshed last."""
        if self._policy is None or interval is None:
            return
        # The peer's refresh, if that is its part, will come within the interval; ours is due soon.
        self.start(session, interval, now)
        if interval.we_refresh:
            soon = self._core.ids.fraction(0.0, min(RESUME_SPREAD, interval.seconds / RESUME_PART))
            self._core.timers.set((session.id, SessionTimer.REFRESH), now + soon)

    def put_off(self, session: Session, wait: float, now: float) -> None:
        """Refresh in `wait` seconds, if the session lasts as long."""
        if session.phase is Phase.ESTABLISHED and now + wait < session.lapses_at:
            self._core.timers.set((session.id, SessionTimer.REFRESH), now + wait)

    def refused(self, session: Session, now: float) -> None:
        """A refresh of ours was refused for good reasons of the peer; `LAPSE` goes on."""
        # RFC 4028 §10: not to be repeated all the time. Halfway to the end leaves a handful of attempts.
        self.put_off(session, max(SHORTEST_RETRY, (session.lapses_at - now) / 2), now)
