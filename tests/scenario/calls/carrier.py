"""A carrier that is registered with: our own registrar as its peer, and every octet that passed."""

import asyncio

from sidestream.base.clock import SystemClock
from sidestream.base.ids import Ids
from sidestream.registrar.gate import Denied, Gate
from sidestream.registrar.limits import Limits
from sidestream.registrar.registrar import Registrar
from sidestream.sip.agent.config import DEFAULT_ALLOW, AgentConfig
from sidestream.sip.agent.events import RequestReceived
from sidestream.sip.message import Request, parse_message
from sidestream.sip.transport import Transport
from sidestream.sip.uri import Uri
from sidestream.storage.memory import open_memory
from sidestream.wire.driver import Listener, SipDriver

HOST, USER, PASSWORD = "127.0.0.1", "15550100", "word"


class Carrier:
    """`answers`: statuses with header fields to give, one a REGISTER, before the registrar answers for itself."""

    def __init__(self, limits=None, realm="carrier.test", port=0):
        self.answers = []
        self.silent = False
        self.lines = []
        self.registrar = Registrar(open_memory().bindings, limits or Limits())
        self.driver = SipDriver(
            listeners=[Listener("carrier", Transport.UDP, HOST, port)],
            config=AgentConfig(allow=(*DEFAULT_ALLOW, "REGISTER")),
            ids=Ids(),
            clock=SystemClock(),
            trace=self.lines.append,
        )
        self.driver.default_sink = self._take
        self._gate = Gate(b"k" * 32)
        self._realm = realm
        self._changed = asyncio.Event()

    async def start(self):
        await self.driver.start()

    async def close(self):
        await self.driver.close()

    @property
    def uri(self):
        return Uri.sip(None, HOST, self.driver.addresses["carrier"][1])

    def requests(self):
        """The REGISTERs that came, as they were on the wire, without retransmissions."""
        seen = {line.data: None for line in self.lines if line.incoming}
        return [m for m in map(parse_message, seen) if isinstance(m, Request) and m.method == "REGISTER"]

    def contacts(self):
        return [str(b.contact) for b in self.registrar.bindings("us", SystemClock().monotonic())]

    async def came(self, count, timeout=5.0):
        """The first `count` REGISTERs."""
        async with asyncio.timeout(timeout):
            while len(found := self.requests()) < count:
                self._changed.clear()
                await self._changed.wait()
        return found

    def _take(self, event):
        if not isinstance(event, RequestReceived) or self.silent:
            return
        clock = SystemClock()
        with self.driver.turn() as (agent, now):
            status, headers = self._answer(event.request, event.peer, now, clock.wall())
            agent.answer(event.request_id, status, headers=headers, now=now)
        self._changed.set()

    def _answer(self, request, peer, now, wall):
        if self.answers:
            return self.answers.pop(0)
        verdict = self._gate.check(request, self._realm, {USER: PASSWORD}.get, peer.host, now)
        if isinstance(verdict, Denied):
            return verdict.status, verdict.headers
        outcome = self.registrar.register("us", request, peer, now, wall)
        return outcome.status, outcome.headers
