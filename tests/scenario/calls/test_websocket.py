"""A phone in a web page's place: it registers by WebSocket (RFC 7118), calls, is called, and comes back."""

import asyncio
from dataclasses import dataclass

import aiohttp
import pytest

from sidestream.sip.agent.events import EndCause
from sidestream.sip.digest import DigestClient, DigestCredentials
from sidestream.sip.message import Request, parse_message
from sidestream.sip.transport import Transport
from sidestream.wire.listener import Listener

from .office_tools import AUDIO, HOST, until
from .test_registrar import DOMAIN, Pbx

CONTACT = "<sip:bob@df7jal23ls0d.invalid;transport=ws>"


@pytest.fixture
def more_listeners():
    return [Listener("ws", Transport.WS, HOST, 0)]


@dataclass
class Page:
    """Bob's, whose messages are written by hand and carried by aiohttp."""

    office: object
    http: aiohttp.ClientSession
    number: int = 0

    async def connect(self):
        port = self.office.services.driver.addresses["ws"][1]
        self.socket = await self.http.ws_connect(f"http://{HOST}:{port}", protocols=["sip"])

    async def send(self, text, body=b""):
        head = text.strip().replace("\n", "\r\n")
        typed = "Content-Type: application/sdp\r\n" if body else ""
        await self.socket.send_str(f"{head}\r\n{typed}Content-Length: {len(body)}\r\n\r\n{body.decode()}")

    async def request(self, method, uri, to, *, call_id="page", body=b"", more=""):
        self.number += 1
        await self.send(
            f"""{method} {uri} SIP/2.0
Via: SIP/2.0/WS df7jal23ls0d.invalid;branch=z9hG4bK{call_id}{self.number}
Max-Forwards: 70
From: <sip:bob@{DOMAIN}>;tag=bob
To: {to}
Call-ID: {call_id}
CSeq: {self.number} {method}
Contact: {CONTACT}{more}""",
            body,
        )

    async def receive(self, wanted):
        """The next message with this status or method."""
        async with asyncio.timeout(5):
            while True:
                message = parse_message((await self.socket.receive()).data)
                if wanted == (message.method if isinstance(message, Request) else message.status):
                    return message

    async def answer(self, request, status, body=b""):
        contact = f"Contact: {CONTACT}\r\n" if request.method == "INVITE" else ""
        head = request.response(status, to_tag="page").to_bytes().decode().replace("Content-Length: 0\r\n\r\n", contact)
        await self.send(head.replace("\r\n", "\n"), body)

    async def challenged(self, method, uri, to, status, **options):
        """A request that has to show Bob's password; gives the answer to the second one."""
        client = DigestClient(DigestCredentials("bob", "bob"[::-1]))
        await self.request(method, uri, to, **options)
        client.receive_response(await self.receive(401))
        fields = "".join(f"\n{name}: {value}" for name, value in client.authorize(method, uri, "c"))
        await self.request(method, uri, to, more=fields, **options)
        return await self.receive(status)


@pytest.fixture
async def pbx(office):
    pbx = Pbx(office, [])
    pbx.use()
    yield pbx
    for phone in pbx.phones:
        await phone.close()


@pytest.fixture
async def page(pbx):
    async with aiohttp.ClientSession() as http:
        page = Page(pbx.office, http)
        await page.connect()
        registered = await page.challenged("REGISTER", f"sip:{DOMAIN}", f"<sip:bob@{DOMAIN}>", 200)
        assert [str(contact.uri) for contact in registered.contacts] == [CONTACT.strip("<>")]
        yield page


async def test_a_phone_calls_it_and_it_hangs_up_by_another_connection(pbx, page):
    alice = await pbx.registered("alice")
    outgoing = alice.call(f"sip:bob@{DOMAIN}")
    invite = await page.receive("INVITE")
    assert str(invite.uri) == CONTACT.strip("<>")
    assert invite.via.transport == "WS"
    await page.answer(invite, 180)
    await page.answer(invite, 200, AUDIO)
    await outgoing.answered()
    await page.receive("ACK")
    await page.socket.close()
    await page.connect()
    page.number = 10
    dialog = invite.call_id, str(invite.from_)
    await page.send(
        f"""BYE {invite.contacts[0].uri} SIP/2.0
Via: SIP/2.0/WS df7jal23ls0d.invalid;branch=z9hG4bKbye
Max-Forwards: 70
From: {invite.to};tag=page
To: {dialog[1]}
Call-ID: {dialog[0]}
CSeq: 11 BYE"""
    )
    await page.receive(200)
    assert await outgoing.ended() is EndCause.REMOTE_BYE


async def test_it_calls_a_phone_and_is_hung_up(pbx, page):
    alice = await pbx.registered("alice")
    calling = asyncio.create_task(
        page.challenged("INVITE", f"sip:alice@{DOMAIN}", f"<sip:alice@{DOMAIN}>", 200, call_id="call", body=AUDIO)
    )
    incoming = await alice.wait_for_call()
    incoming.answer()
    answer = await calling
    assert answer.contacts[0].uri.param("transport") == "ws"
    page.number -= 1
    await page.request("ACK", str(answer.contacts[0].uri), str(answer.to), call_id="call")
    await until(lambda: len(pbx.office.services.live) == 2)
    incoming.bye()
    bye = await page.receive("BYE")
    await page.answer(bye, 200)
    await incoming.ended()


async def test_it_is_not_called_when_it_has_gone(pbx, page):
    alice = await pbx.registered("alice")
    await page.socket.close()
    outgoing = alice.call(f"sip:bob@{DOMAIN}")
    await outgoing.ended()
    assert outgoing.status in (480, 503)
