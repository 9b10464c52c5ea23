"""Registering with a carrier, over the wire: what it sees, what it says, and what we make of it."""

import asyncio
from dataclasses import replace

import pytest

from sidestream.accounts.account import Account
from sidestream.base.clock import SystemClock
from sidestream.base.ids import Ids
from sidestream.base.metrics import Metrics
from sidestream.base.secret import Secret
from sidestream.debugger.debugger import Debugger
from sidestream.registrar.limits import Limits
from sidestream.sip.agent.config import AgentConfig
from sidestream.sip.agent.events import RequestAnswered
from sidestream.sip.digest import Authorization
from sidestream.sip.transport import Transport
from sidestream.sip.uri import Uri
from sidestream.storage.memory import open_memory
from sidestream.trunks.registration import RegistrationState
from sidestream.trunks.registrations import Registrations
from sidestream.trunks.trunk_book import Trunk, TrunkCredentials, TrunkRegistration
from sidestream.wire.driver import Listener, SipDriver

from .carrier import HOST, PASSWORD, USER, Carrier
from .office_tools import until

ACCOUNT = Account("AC" + "1" * 32, "t" * 32)


class Us:
    """The platform's side: a driver and its registrations."""

    def __init__(self, trunk, account_sids=(ACCOUNT.sid,)):
        self.stores, self.metrics = open_memory(), Metrics()
        ids, clock = Ids(), SystemClock()
        self.driver = SipDriver(
            listeners=[Listener("udp", Transport.UDP, HOST, 0)], config=AgentConfig(), ids=ids, clock=clock
        )
        self.registrations = Registrations(
            [trunk, Trunk("plain")],
            self.driver,
            ids=ids,
            clock=clock,
            metrics=self.metrics,
            debugger=Debugger(self.stores.alerts, ids, clock),
            account_sids=account_sids,
        )
        self.driver.default_sink = self._take

    def _take(self, event):
        assert isinstance(event, RequestAnswered)
        assert self.registrations.take(event)
        assert not self.registrations.take(event), "it is taken once"

    @property
    def status(self):
        (status,) = self.registrations.statuses()
        return status

    async def reach(self, state):
        await until(lambda: self.status.state is state, str(state))
        return self.status

    async def alerts(self):
        found = await self.stores.alerts.find(ACCOUNT.sid, offset=0, limit=9)
        return [(alert.code, alert.text) for alert in found[::-1]]

    def metric(self, name, **labels):
        return self.metrics.registry.get_sample_value(name, {"trunk": "carrier", **labels})


@pytest.fixture
async def carrier():
    carrier = Carrier()
    await carrier.start()
    yield carrier
    await carrier.close()


@pytest.fixture
async def us(carrier):
    us = Us(trunk_to(carrier))
    await us.driver.start()
    yield us
    await us.driver.close()


def trunk_to(carrier, password=PASSWORD, expires=600):
    return Trunk(
        "carrier",
        outbound=carrier.uri,
        credentials=TrunkCredentials(USER, Secret(password)),
        registration=TrunkRegistration(carrier.uri, Uri.parse(f"sip:{USER}@carrier.test"), expires),
    )


async def test_a_challenge_is_answered_and_the_contact_is_ours(carrier, us):
    us.registrations.start()
    first, second = await carrier.came(2)
    port = us.driver.addresses["udp"][1]
    assert str(first.uri) == str(carrier.uri), "the Request-URI has no user"
    assert (str(first.to), str(first.from_.uri)) == (f"<sip:{USER}@carrier.test>", f"sip:{USER}@carrier.test")
    assert first.headers.get("Contact") == f"<sip:{USER}@{HOST}:{port}>"
    assert (first.headers.get("Expires"), first.headers.get("Authorization")) == ("600", None)
    answer = Authorization.parse(second.headers.get("Authorization") or "")
    assert answer is not None
    assert (answer.username, answer.realm, answer.algorithm, answer.qop, answer.nc) == (
        USER,
        "carrier.test",
        "SHA-256",
        "auth",
        1,
    )
    assert PASSWORD.encode() not in b"".join(line.data for line in carrier.lines)
    assert second.call_id == first.call_id
    assert (first.cseq.number, second.cseq.number) == (1, 2)
    status = await us.reach(RegistrationState.REGISTERED)
    assert status.expires_at is not None
    assert carrier.contacts() == [f"sip:{USER}@{HOST}:{port}"]
    assert us.metric("sidestream_trunk_registered") == 1
    assert us.metric("sidestream_trunk_registrations_total", outcome="registered") == 1
    assert await us.alerts() == []


async def test_it_is_refreshed_under_the_same_call_id_and_taken_back_at_the_end(us):
    carrier = Carrier(Limits(min_expires=1, max_expires=1))
    await carrier.start()
    us = Us(trunk_to(carrier))
    await us.driver.start()
    us.registrations.start()
    requests = await carrier.came(6)
    assert {request.call_id for request in requests} == {requests[0].call_id}
    assert [request.cseq.number for request in requests] == [1, 2, 3, 4, 5, 6]
    assert len(carrier.contacts()) == 1
    await us.reach(RegistrationState.REGISTERED)
    await us.registrations.stop()
    assert us.status.state is RegistrationState.UNREGISTERED
    assert carrier.requests()[-1].headers.get("Expires") == "0"
    assert carrier.requests()[-1].headers.get("Contact") == requests[0].headers.get("Contact")
    assert carrier.contacts() == []
    count = len(carrier.requests())
    await asyncio.sleep(1.2)
    assert len(carrier.requests()) == count, "nothing is refreshed any more"
    await us.driver.close()
    await carrier.close()


async def test_a_wrong_password_is_told_once_and_not_tried_again_at_once(carrier):
    us = Us(trunk_to(carrier, password="guess"))
    await us.driver.start()
    us.registrations.start()
    status = await us.reach(RegistrationState.FAILED)
    assert (status.status, status.expires_at) == (401, None)
    assert len(carrier.requests()) == 2
    ((code, text),) = await us.alerts()
    assert code == 32106
    assert text == "Trunk carrier could not be registered: its registrar answered 401 Unauthorized"
    assert us.metric("sidestream_trunk_registered") == 0
    assert us.metric("sidestream_trunk_registrations_total", outcome="failed") == 1
    await us.registrations.stop()
    assert us.status.state is RegistrationState.UNREGISTERED
    await us.driver.close()


async def test_an_interval_that_is_too_brief_is_lengthened_at_once(us):
    carrier = Carrier(Limits(min_expires=900))
    await carrier.start()
    us = Us(trunk_to(carrier))
    await us.driver.start()
    us.registrations.start()
    await us.reach(RegistrationState.REGISTERED)
    assert [request.headers.get("Expires") for request in carrier.requests()] == ["600", "600", "900", "900"]
    await us.driver.close()
    await carrier.close()


async def test_the_carrier_may_send_us_by_another_door(carrier, us):
    door = Carrier()
    await door.start()
    carrier.answers = [(305, (("Contact", f"<{door.uri}>"),))]
    us.registrations.start()
    await us.reach(RegistrationState.REGISTERED)
    (first,) = carrier.requests()
    through = door.requests()[0]
    assert str(through.uri) == str(first.uri)
    assert through.headers.get("Route") == f"<{door.uri};lr>"
    assert through.cseq.number == 2
    await door.close()


async def test_overload_is_waited_out(carrier, us):
    carrier.answers = [(503, (("Retry-After", "60"),))]
    us.registrations.start()
    status = await us.reach(RegistrationState.FAILED)
    assert status.status == 503
    ((code, _),) = await us.alerts()
    assert code == 32011
    assert len(carrier.requests()) == 1


async def test_a_carrier_that_stays_silent_does_not_hold_up_the_end(carrier, us, monkeypatch):
    monkeypatch.setattr("sidestream.trunks.registrations.STOP_S", 0.1)
    carrier.silent = True
    us.registrations.start()
    await carrier_has(carrier, 1)
    async with asyncio.timeout(2):
        await us.registrations.stop()


async def carrier_has(carrier, count):
    await until(lambda: len(carrier.requests()) >= count, "a REGISTER")


async def test_a_transport_that_we_do_not_speak_is_a_failure_like_another(carrier):
    trunk = trunk_to(carrier)
    assert trunk.registration is not None
    strange = replace(trunk.registration, registrar=Uri.parse(f"sip:{HOST};transport=sctp"))
    us = Us(replace(trunk, registration=strange, account_sid=ACCOUNT.sid), account_sids=())
    await us.driver.start()
    us.registrations.start()
    status = await us.reach(RegistrationState.FAILED)
    assert status.status is None
    assert await us.alerts() == [(32011, "Trunk carrier could not be registered: its registrar did not answer")]
    await us.driver.close()
