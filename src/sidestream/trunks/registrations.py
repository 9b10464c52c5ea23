"""Keeps trunks registered: carries the machines' REGISTERs to the wire and their answers back."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sidestream.base.clock import Clock
from sidestream.base.ids import Ids
from sidestream.base.logs import get_logger
from sidestream.base.metrics import Metrics
from sidestream.debugger.debugger import Debugger
from sidestream.sip.agent.events import RequestAnswered
from sidestream.sip.agent.exchange import MAX_RETRIES
from sidestream.sip.digest import DigestCredentials
from sidestream.sip.message import Response
from sidestream.sip.uri import Uri
from sidestream.sip.values import NameAddr
from sidestream.trunks.registration import (
    Registered,
    RegisterRequest,
    Registration,
    RegistrationFailed,
    RegistrationState,
)
from sidestream.trunks.trunk_book import Trunk, TrunkCredentials, TrunkRegistration
from sidestream.wire.driver import SipDriver

log = get_logger("trunks")

STOP_S = 2.0  # how long a stop waits for registrars to confirm that our contacts are gone

_CALL_ID_DIGITS = 32
_PEER_ERROR = 32011
_NOT_AUTHENTICATED = 32106
_AUTHENTICATION = frozenset({401, 403, 407})


@dataclass(frozen=True, slots=True)
class TrunkStatus:
    """How a trunk's registration stands. `status` and `reason` are of the last answer; status None: none came."""

    trunk: str
    address: str
    registrar: str
    state: RegistrationState
    status: int | None
    reason: str
    expires_at: datetime | None


class Registrations:
    """`start` once the driver runs; `stop` before it closes. Feed it with `take`, all on the event loop."""

    def __init__(
        self,
        trunks: Iterable[Trunk],
        driver: SipDriver,
        *,
        ids: Ids,
        clock: Clock,
        metrics: Metrics,
        debugger: Debugger,
        account_sids: tuple[str, ...],
    ) -> None:
        """`account_sids`: all accounts, who hear of a trunk that is for every account."""
        self._driver = driver
        self._ids = ids
        self._clock = clock
        self._metrics = metrics
        self._debugger = debugger
        self._account_sids = account_sids
        self._keepers = [
            _Keeper(self, trunk, trunk.registration, trunk.credentials)
            for trunk in trunks
            if trunk.registration is not None and trunk.credentials is not None
        ]
        self._asked: dict[str, _Keeper] = {}  # by the id of the request that is out
        self._changed = asyncio.Event()

    def start(self) -> None:
        """Send the first REGISTERs."""
        for keeper in self._keepers:
            keeper.start(self._clock.monotonic())

    async def stop(self) -> None:
        """Take our contacts back; returns when the registrars have confirmed it, or after `STOP_S`."""
        for keeper in self._keepers:
            keeper.stop()
        try:
            async with asyncio.timeout(STOP_S):
                while self._asked:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            log.warning("! registrars did not confirm the end", open=len(self._asked))

    def take(self, event: RequestAnswered) -> bool:
        """Take the answer to a REGISTER of ours; False if it is to something else."""
        keeper = self._asked.pop(event.request_id, None)
        if keeper is None:
            return False
        keeper.receive(event.response, self._clock.monotonic())
        self._changed.set()
        return True

    def statuses(self) -> tuple[TrunkStatus, ...]:
        """Every trunk that registers, in the order of the configuration."""
        now, wall = self._clock.monotonic(), self._clock.wall()
        return tuple(keeper.status(now, wall) for keeper in self._keepers)

    def send(self, keeper: "_Keeper", request: RegisterRequest) -> None:
        """Put a REGISTER on the wire; its answer comes by `take`."""
        route = () if request.proxy is None else (NameAddr(None, request.proxy.with_params(("lr", None))),)
        address = NameAddr(None, keeper.registration.address)
        credentials = DigestCredentials(keeper.credentials.username, keeper.credentials.password.reveal())
        with self._driver.turn() as (agent, now):
            contact = agent.contact_toward(request.registrar, keeper.registration.address.user, route)
            keeper.contact = contact.uri if contact is not None else None
            request_id = agent.request(
                None,
                "REGISTER",
                target=request.registrar,
                route=route,
                from_=address,
                to=address,
                headers=[
                    *([("Contact", str(contact))] if contact is not None else []),
                    ("Expires", str(request.expires)),
                ],
                credentials=credentials,
                call_id=keeper.call_id,
                seq=request.seq,
                now=now,
            )
            self._asked[request_id] = keeper
        log.info("> REGISTER", trunk=keeper.trunk.name, expires=request.expires)

    def note(self, keeper: "_Keeper", event: Registered | RegistrationFailed, *, is_news: bool) -> None:
        """Count what came of a REGISTER; tell people if it is news."""
        name, is_failure = keeper.trunk.name, isinstance(event, RegistrationFailed)
        self._metrics.trunk_registrations_total.labels(name, "failed" if is_failure else "registered").inc()
        self._metrics.trunk_registered.labels(name).set(0 if keeper.machine.expires_at is None else 1)
        if not isinstance(event, RegistrationFailed):
            if is_news:
                log.info("= registered", trunk=name, expires=event.expires)
            return
        log.warning("! not registered", trunk=name, status=event.status, reason=event.reason, retry_in=event.retry_in)
        if not is_news:
            return
        answer = "did not answer" if event.status is None else f"answered {event.status} {event.reason}"
        for sid in (keeper.trunk.account_sid,) if keeper.trunk.account_sid else self._account_sids:
            self._debugger.report(
                _NOT_AUTHENTICATED if event.status in _AUTHENTICATION else _PEER_ERROR,
                account_sid=sid,
                text=f"Trunk {name} could not be registered: its registrar {answer}",
                details={"trunk": name, "registrar": str(keeper.registration.registrar)},
            )

    def new_call_id(self) -> str:
        return self._ids.hex(_CALL_ID_DIGITS)

    def new_machine(self, registration: TrunkRegistration, now: float) -> Registration:
        return Registration(registration.registrar, registration.expires, self._ids, now)


class _Keeper:
    """One trunk's machine and its timer."""

    def __init__(
        self, owner: Registrations, trunk: Trunk, registration: TrunkRegistration, credentials: TrunkCredentials
    ) -> None:
        self.trunk = trunk
        self.registration = registration
        self.credentials = credentials
        self.call_id = owner.new_call_id()  # RFC 3261 §10.2: the same for all REGISTERs to one registrar
        self.contact: Uri | None = None
        self.machine = owner.new_machine(registration, 0.0)
        self._owner = owner
        self._timer: asyncio.TimerHandle | None = None
        self._sent_seq = 0
        self._is_well: bool | None = None  # as people were told last

    def start(self, now: float) -> None:
        self.machine.handle_timeout(now)
        self._settle(now)

    def stop(self) -> None:
        self.machine.stop()
        self._settle(0.0)

    def receive(self, response: Response | None, now: float) -> None:
        # Without a response nobody knows how many challenges were answered before it stayed silent.
        seq = response.cseq.number if response is not None else self._sent_seq + MAX_RETRIES
        self.machine.receive_response(response, self.contact, seq, now)
        self._settle(now)

    def status(self, now: float, wall: datetime) -> TrunkStatus:
        machine = self.machine
        ends = None if machine.expires_at is None else wall + timedelta(seconds=machine.expires_at - now)
        return TrunkStatus(
            self.trunk.name,
            str(self.registration.address),
            str(self.registration.registrar),
            machine.state,
            machine.status,
            machine.reason,
            ends,
        )

    def _settle(self, now: float) -> None:
        """Carry out what the machine wants, and arm the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        request = self.machine.poll_request()
        if request is not None:
            self._sent_seq = request.seq
            self._owner.send(self, request)
        event = self.machine.poll_event()
        if event is not None:
            is_well = isinstance(event, Registered)
            self._owner.note(self, event, is_news=is_well is not self._is_well)
            self._is_well = is_well
        deadline = self.machine.poll_timeout()
        if deadline is not None:
            self._timer = asyncio.get_running_loop().call_later(max(0.0, deadline - now), self._time_out, deadline)

    def _time_out(self, deadline: float) -> None:
        self.machine.handle_timeout(deadline)
        self._settle(deadline)
