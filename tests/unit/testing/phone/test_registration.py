"""What a phone sends to register, and what it takes for an answer."""

from collections.abc import AsyncIterator

import pytest

from sidestream.base.clock import SystemClock
from sidestream.base.ids import Ids
from sidestream.sip.agent.config import DEFAULT_ALLOW, AgentConfig
from sidestream.sip.agent.events import RequestReceived
from sidestream.sip.digest import Challenge, DigestCredentials
from sidestream.sip.message import Request
from sidestream.sip.transport import Transport
from sidestream.sip.uri import Uri
from sidestream.testing.phone.phone import SipPhone
from sidestream.wire.driver import Listener, SipDriver

HOST = "127.0.0.1"


class Registrar:
    """Challenges what has no credentials and takes what has some."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.silent = False
        self.driver = SipDriver(
            listeners=[Listener("registrar", Transport.UDP, HOST, 0)],
            config=AgentConfig(allow=(*DEFAULT_ALLOW, "REGISTER")),
            ids=Ids(),
            clock=SystemClock(),
        )
        self.driver.default_sink = self._take

    def _take(self, event: object) -> None:
        assert isinstance(event, RequestReceived)
        self.requests.append(event.request)
        if self.silent:
            return
        challenge = ("WWW-Authenticate", str(Challenge("r", "n", "SHA-256", ("auth",))))
        refused = "Authorization" not in event.request.headers
        with self.driver.turn() as (agent, now):
            agent.answer(event.request_id, 401 if refused else 200, headers=[challenge] if refused else [], now=now)


@pytest.fixture
async def registrar() -> AsyncIterator[Registrar]:
    registrar = Registrar()
    await registrar.driver.start()
    yield registrar
    await registrar.driver.close()


@pytest.fixture
async def phone(registrar: Registrar) -> AsyncIterator[SipPhone]:
    proxy = Uri.sip(None, *registrar.driver.addresses["registrar"])
    phone = SipPhone("bob", domain="pbx.test", proxy=proxy, credentials=DigestCredentials("bob", "word"))
    await phone.start()
    yield phone
    await phone.close()


async def test_a_phone_answers_the_challenge_and_counts_on(phone: SipPhone, registrar: Registrar) -> None:
    assert (await phone.register(expires=60)).status == 200
    assert (await phone.unregister()).status == 200
    first, second, third, _ = registrar.requests
    assert (str(first.uri), str(first.to.uri), str(first.from_.uri)) == (
        "sip:pbx.test",
        "sip:bob@pbx.test",
        "sip:bob@pbx.test",
    )
    assert first.headers.get("Contact") == f"<{phone.uri}>"
    assert [request.headers.get("Expires") for request in (first, second, third)] == ["60", "60", "0"]
    assert [request.cseq.number for request in registrar.requests] == [1, 2, 3, 4]
    assert len({request.call_id for request in registrar.requests}) == 1


@pytest.mark.parametrize(("contact", "sent"), [("", None), ("<sip:bob@192.0.2.1>;q=0.1", "<sip:bob@192.0.2.1>;q=0.1")])
async def test_the_contact_can_be_chosen(phone: SipPhone, registrar: Registrar, contact: str, sent: str | None) -> None:
    await phone.register(contact=contact, expires=None)
    assert (registrar.requests[0].headers.get("Contact"), registrar.requests[0].headers.get("Expires")) == (sent, None)


async def test_everything_is_removed_by_a_star(phone: SipPhone, registrar: Registrar) -> None:
    await phone.unregister(everything=True)
    assert (registrar.requests[0].headers.get("Contact"), registrar.requests[0].headers.get("Expires")) == ("*", "0")


async def test_silence_is_a_timeout(phone: SipPhone, registrar: Registrar) -> None:
    registrar.silent = True
    with pytest.raises(TimeoutError):
        await phone.register(timeout=0.05)
