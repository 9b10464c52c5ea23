"""The end of a control process without warning, and the start of the next, inside one process."""

import asyncio
from copy import deepcopy
from dataclasses import replace

from sidestream.calls.adoption import Adoption
from sidestream.calls.front import CallFront
from sidestream.calls.imaging import Imaging
from sidestream.calls.live import LiveCalls
from sidestream.debugger.debugger import Debugger
from sidestream.media.engine import MediaEngineError
from sidestream.sip.agent.config import DEFAULT_ALLOW, AgentConfig
from sidestream.sip.transport import Transport
from sidestream.webhooks.fetch import DocumentFetcher
from sidestream.webhooks.outbox import Outbox
from sidestream.wire.driver import Listener, SipDriver

from .office_tools import HOST


class Door:
    """A process's way to the engine, which ends with the process."""

    def __init__(self, engine):
        self._engine = engine
        self.is_cut = False

    def __getattr__(self, command):
        method = getattr(self._engine, command)
        if command == "subscribe":
            return method

        async def ask(*arguments, **options):
            if self.is_cut:
                raise MediaEngineError("engine-lost", "the process is dead")
            return await method(*arguments, **options)

        return ask


def open_door(office):
    """Let the office's calls reach the engine by a door that `crash` can cut."""
    office.services = replace(office.services, engine=Door(office.engine))
    office.front = CallFront(office.services)
    office.services.driver.default_sink = office.front.take_sip_event


async def crash(office):
    """From here on nothing of the old process reaches anybody: no peer, no engine, no store, no application."""
    old, stores = office.services, office.stores
    office.stores = replace(
        stores, **{name: deepcopy(getattr(stores, name)) for name in ("calls", "images", "siprecs", "alerts", "outbox")}
    )
    old.engine.is_cut = True
    ports = dict(old.driver.addresses)
    await old.driver.close()
    await old.outbox.close()
    # Its tasks are left as they are: waiting for ever, as far as anybody can see.
    return ports


async def start_again(office, ports, **options):
    """The next process, at the same addresses."""
    old, stores = office.services, office.stores
    debugger = Debugger(stores.alerts, old.ids, old.clock)
    http = old.outbox._http
    services = office.services = replace(
        old,
        driver=SipDriver(
            listeners=[Listener(name, Transport(name.upper()), HOST, port) for name, (_, port) in ports.items()],
            config=AgentConfig(allow=(*DEFAULT_ALLOW, "REGISTER", "REFER"), supported=("replaces",)),
            ids=old.ids,
            clock=old.clock,
        ),
        engine=Door(office.engine),
        debugger=debugger,
        fetcher=DocumentFetcher(http, old.ids, debugger),
        outbox=Outbox(stores.outbox, http, old.accounts, old.clock, debugger),
        live=LiveCalls(old.metrics),
        calls=stores.calls,
        siprecs=stores.siprecs,
        imaging=Imaging(stores.images),
    )
    office.front = CallFront(services)
    services.driver.default_sink = office.front.take_sip_event
    services.outbox.start()
    adoption = Adoption(services, stores.images, owns_engine=False, **options)
    await adoption.prepare()
    await services.driver.start()
    adoption.carry_out()
    await adoption.clear()
    return adoption


async def restart(office, **options):
    return await start_again(office, await crash(office), **options)


async def imaged(office, *sids):
    """Wait until these calls have an image that tells the latest."""
    async with asyncio.timeout(5):
        while not office.services.imaging.is_up_to_date or not set(sids) <= set(await office.stores.images.all()):
            await asyncio.sleep(0.005)
