"""Phones that register, call each other, and are recorded; and those who only pretend to."""

import asyncio
from dataclasses import dataclass
from ipaddress import ip_network

import pytest

from sidestream.accounts.account import VoiceSettings
from sidestream.accounts.domain import Domain, DomainBook, DomainRoute, SipUser
from sidestream.base.ids import Ids
from sidestream.base.secret import Secret
from sidestream.calls.record import CallStatus, Direction
from sidestream.calls.refusal import Refusal
from sidestream.calls.requests import CreateCall, Instructions
from sidestream.calls.users import SipUsers, make_gate
from sidestream.recording.siprec import SiprecStatus
from sidestream.registrar.limits import Limits
from sidestream.registrar.registrar import Registrar
from sidestream.sip.agent.events import EndCause
from sidestream.sip.digest import Challenge, DigestCredentials
from sidestream.sip.transport import Transport
from sidestream.sip.uri import Uri
from sidestream.testing.phone.call import CallFailed
from sidestream.testing.phone.phone import SipPhone
from sidestream.trunks.trunk_book import Trunk, TrunkBook, TrunkCredentials

from .office_tools import change, codes, platform_uri

DOMAIN = "pbx.test"
RECORDED = (
    '<Response><Start><Siprec name="office"/></Start><Dial answerOnBridge="true"><Sip>{{To}}</Sip></Dial></Response>'
)


@dataclass
class Pbx:
    """A domain with the users alice and bob, whose password is their name backwards."""

    office: object
    phones: list

    async def phone(self, name, *, password=None, transport=Transport.UDP, domain=DOMAIN):
        """One more phone; it is closed with the others."""
        listener = "udp" if transport is Transport.UDP else "tcp"
        phone = SipPhone(
            name,
            transport=transport,
            credentials=DigestCredentials(name, password or name[::-1]),
            domain=domain,
            proxy=Uri.parse(platform_uri(self.office, "", listener).replace("sip:@", "sip:")),
        )
        await phone.start()
        self.phones.append(phone)
        return phone

    async def registered(self, name, **options):
        phone = await self.phone(name, **options)
        response = await phone.register()
        assert response.status == 200
        return phone

    def use(self, *, twiml=None, route=DomainRoute.USERS, registrar=None, **services):
        users = tuple(SipUser(name, Secret(name[::-1])) for name in ("alice", "bob"))
        voice = None if twiml is None else VoiceSettings(twiml=twiml)
        domain = Domain(DOMAIN, self.office.account.sid, users, ("127.0.0.1",), route, voice)
        registrar = registrar or Registrar(self.office.stores.bindings, Limits())
        users = SipUsers(DomainBook([domain]), registrar, make_gate(Ids()))
        change(self.office, users=users, **services)


@pytest.fixture
async def pbx(office):
    pbx = Pbx(office, [])
    pbx.use()
    yield pbx
    for phone in pbx.phones:
        await phone.close()


async def refused(call):
    """The status that the call was refused with."""
    with pytest.raises(CallFailed) as caught:
        await call.answered()
    return caught.value.status


async def talk(caller, target, callee):
    """`caller` calls `target`, which rings at `callee`, who answers."""
    outgoing = caller.call(target)
    incoming = await callee.wait_for_call()
    incoming.ring()
    incoming.answer()
    await outgoing.answered()
    await incoming.acknowledged()
    return outgoing, incoming


# --- calls between users


async def test_two_registered_phones_call_each_other_and_are_recorded(pbx):
    office = pbx.office
    pbx.use(twiml=RECORDED)
    alice, bob = await pbx.registered("alice"), await pbx.registered("bob")
    outgoing, incoming = await talk(alice, f"sip:bob@{DOMAIN}", bob)
    assert incoming.request.to.uri == Uri.parse(f"sip:bob@{DOMAIN}")
    assert incoming.request.from_.uri == Uri.parse(f"sip:alice@{DOMAIN}")
    assert incoming.request.uri == Uri.parse(str(bob.uri)), "the Request-URI is the contact that bob registered"
    call = office.live()
    async with asyncio.timeout(5):
        while not (siprecs := await office.stores.siprecs.find(office.account.sid, call.record.sid, offset=0, limit=9)):
            await asyncio.sleep(0.01)
        while siprecs[0].accepted_at is None:
            await asyncio.sleep(0.01)
            siprecs = await office.stores.siprecs.find(office.account.sid, call.record.sid, offset=0, limit=9)
    forks = office.engine.sessions[call.record.sid].forks.values()
    assert {fork.side.value: fork.active for fork in forks} == {"inbound": True, "outbound": True}
    outgoing.bye()
    assert await incoming.ended() is EndCause.REMOTE_BYE
    await office.quiet()
    parent, child = await office.records()
    assert (parent.from_, parent.to) == (f"sip:alice@{DOMAIN}", f"sip:bob@{DOMAIN}")
    assert (child.from_, child.to, child.status) == (
        f"sip:alice@{DOMAIN}",
        f"sip:bob@{DOMAIN}",
        CallStatus.COMPLETED,
    )
    (siprec,) = await office.stores.siprecs.find(office.account.sid, parent.sid, offset=0, limit=9)
    assert (siprec.status, siprec.stopped_by) == (SiprecStatus.STOPPED, "call-ended")
    recorded = "".join(document.read_text() for document in office.recordings.rglob("*.xml"))
    assert f'aor="sip:alice@{DOMAIN}"' in recorded
    assert f'aor="sip:bob@{DOMAIN}"' in recorded
    assert await codes(office) == []


async def test_users_are_connected_without_any_twiml_and_by_an_alias(pbx):
    alice, bob = await pbx.registered("alice"), await pbx.registered("bob", domain="127.0.0.1")
    outgoing, incoming = await talk(alice, platform_uri(pbx.office, "bob"), bob)
    incoming.bye()
    assert await outgoing.ended() is EndCause.REMOTE_BYE
    await pbx.office.quiet()
    parent, _ = await pbx.office.records()
    assert parent.to == f"sip:bob@{DOMAIN}"


async def test_every_phone_of_a_user_rings_and_the_first_answer_wins(pbx):
    alice = await pbx.registered("alice")
    desk, mobile = await pbx.registered("bob"), await pbx.registered("bob")
    outgoing = alice.call(f"sip:bob@{DOMAIN}")
    at_desk, at_mobile = await desk.wait_for_call(), await mobile.wait_for_call()
    at_desk.ring()
    at_mobile.ring()
    await outgoing.ringing()
    at_mobile.answer()
    await outgoing.answered()
    assert await at_desk.ended() is EndCause.CANCELLED
    outgoing.bye()
    await at_mobile.ended()
    await pbx.office.quiet()


async def test_who_is_not_registered_is_temporarily_unavailable(pbx):
    alice = await pbx.registered("alice")
    assert await refused(alice.call(f"sip:bob@{DOMAIN}")) == 480
    bob = await pbx.registered("bob")
    assert (await bob.unregister()).status == 200
    assert await refused(alice.call(f"sip:bob@{DOMAIN}")) == 480
    await pbx.office.quiet()
    assert {record.status for record in await pbx.office.records()} == {CallStatus.NO_ANSWER}
    assert await codes(pbx.office) == []


async def test_busy_stays_busy(pbx):
    alice, bob = await pbx.registered("alice"), await pbx.registered("bob")
    outgoing = alice.call(f"sip:bob@{DOMAIN}")
    (await bob.wait_for_call()).reject(486)
    assert await refused(outgoing) == 486


async def test_nobody_answers_to_a_name_that_is_no_users(pbx):
    office = pbx.office
    alice = await pbx.registered("alice")
    assert await refused(alice.call(f"sip:carol@{DOMAIN}")) == 404
    office.twiml(f'<Dial answerOnBridge="true"><Sip>sip:carol@{DOMAIN}</Sip></Dial>')
    assert await refused(alice.call(f"sip:1000@{DOMAIN}")) == 404, "nor in a Dial of the application"


async def test_a_user_may_call_the_numbers_of_the_account(pbx):
    pbx.office.twiml("<Pause length='10'/>")
    alice = await pbx.phone("alice")
    call = alice.call(f"sip:1000@{DOMAIN}")
    asked = await pbx.office.app.wait_for(lambda request: request.path == "/voice")
    assert asked.parameter("From") == f"sip:alice@{DOMAIN}"
    call.cancel()


async def test_a_domain_may_have_its_voice_url_decide_on_every_call(pbx):
    pbx.use(twiml='<Response><Reject reason="busy"/></Response>', route=DomainRoute.VOICE)
    await pbx.registered("bob")
    alice = await pbx.phone("alice")
    assert await refused(alice.call(f"sip:bob@{DOMAIN}")) == 486
    assert await refused(alice.call("sip:whatever@elsewhere.test")) == 486


async def test_the_api_calls_a_user(pbx):
    office = pbx.office
    form = CreateCall(f"sip:bob@{DOMAIN}", "+15550100001", Instructions(twiml="<Response><Pause/></Response>"))
    with pytest.raises(Refusal, match="not registered"):
        await office.front.create_call(office.account, form)
    bob = await pbx.registered("bob")
    record = await office.front.create_call(office.account, form)
    assert (record.to, record.direction) == (f"sip:bob@{DOMAIN}", Direction.OUTBOUND_API)
    (await bob.wait_for_call()).answer()
    await office.quiet()


# --- where phones are


async def test_a_phone_behind_a_nat_is_called_where_its_register_came_from(pbx):
    alice, bob = await pbx.registered("alice"), await pbx.phone("bob")
    assert (await bob.register(contact="<sip:bob@192.168.77.1:5060>")).status == 200
    outgoing, incoming = await talk(alice, f"sip:bob@{DOMAIN}", bob)
    assert incoming.request.uri == Uri.parse("sip:bob@192.168.77.1:5060")
    outgoing.bye()
    assert await incoming.ended() is EndCause.REMOTE_BYE


async def test_a_phone_on_tcp_is_called_by_its_own_connection(pbx):
    alice, bob = await pbx.registered("alice"), await pbx.phone("bob", transport=Transport.TCP)
    assert (await bob.register(contact="<sip:bob@192.168.77.1:5060;transport=tcp>")).status == 200
    outgoing, incoming = await talk(alice, f"sip:bob@{DOMAIN}", bob)
    assert incoming.request.via.transport == "TCP"
    outgoing.bye()
    assert await incoming.ended() is EndCause.REMOTE_BYE


async def test_registrations_outlive_a_restart(pbx):
    office = pbx.office
    alice, bob = await pbx.registered("alice"), await pbx.registered("bob")
    registrar = Registrar(office.stores.bindings)
    clock = office.services.clock
    assert await registrar.recover(office.services.users.domains.owns, clock.monotonic(), clock.wall()) == 2
    pbx.use(registrar=registrar)
    outgoing, _ = await talk(alice, f"sip:bob@{DOMAIN}", bob)
    outgoing.bye()


# --- REGISTER


async def test_a_register_is_challenged_for_sha_256_and_md5(pbx):
    stranger = SipPhone("bob", domain=DOMAIN, proxy=(await pbx.phone("bob")).proxy)
    await stranger.start()
    pbx.phones.append(stranger)
    response = await stranger.register()
    assert response.status == 401
    offered = [Challenge.parse(value) for value in response.headers.get_all("WWW-Authenticate")]
    assert [(one.algorithm, one.realm, one.qop) for one in offered if one] == [
        ("SHA-256", DOMAIN, ("auth", "auth-int")),
        ("MD5", DOMAIN, ("auth", "auth-int")),
    ]


async def test_what_is_registered_can_be_asked_for_and_removed_at_once(pbx):
    bob = await pbx.registered("bob")
    await bob.register(contact="<sip:bob@192.0.2.7>;q=0.3;expires=120")
    asked = await bob.register(contact="", expires=None)
    assert [(str(one.uri), one.param("q"), one.param("expires")) for one in asked.contacts] == [
        ("sip:bob@192.0.2.7", "0.3", "120"),
        (str(bob.uri), None, "3600"),
    ]
    assert (asked.headers.get("Date") or "").endswith(" GMT")
    assert (await bob.unregister(everything=True)).contacts == ()
    assert (await bob.register(contact="", expires=None)).contacts == ()


async def test_too_short_an_interval_is_refused_with_the_least_one(pbx):
    response = await (await pbx.phone("bob")).register(expires=5)
    assert (response.status, response.headers.get("Min-Expires")) == (423, "60")


async def test_a_user_cannot_register_another_one_nor_anybody_elsewhere(pbx):
    bob = await pbx.phone("bob")
    bob.name = "alice"
    assert (await bob.register()).status == 403
    bob.name, bob.domain = "bob", "elsewhere.test"
    assert (await bob.register()).status == 403
    assert not await pbx.office.stores.bindings.all()


# --- who may call


async def test_a_user_must_prove_it_even_on_this_machine(pbx):
    assert await refused((await pbx.phone("alice", password="guess")).call(f"sip:bob@{DOMAIN}")) == 401
    assert await pbx.office.records() == []


async def test_the_proven_name_counts_and_not_what_the_phone_asserts(pbx):
    alice, bob = await pbx.phone("alice"), await pbx.registered("bob")
    outgoing = alice.call(f"sip:bob@{DOMAIN}", headers=[("P-Asserted-Identity", "<sip:boss@pbx.test>")])
    incoming = await bob.wait_for_call()
    assert incoming.request.from_.uri == Uri.parse(f"sip:alice@{DOMAIN}")
    outgoing.cancel()
    # A CANCEL carries no credentials, and is not asked for any.
    assert await incoming.ended() is EndCause.CANCELLED
    assert await outgoing.ended() is EndCause.CANCELLED
    assert outgoing.status == 487


async def test_guessing_comes_to_an_end_and_to_light(pbx):
    guesser = await pbx.phone("bob", password="guess")
    statuses = [(await guesser.register()).status for _ in range(21)]
    assert statuses[:19] == [401] * 19
    assert statuses[19:] == [403, 403]
    assert await codes(pbx.office) == [32202]
    alert = (await pbx.office.alerts())[0]
    assert alert.details == {"source": "127.0.0.1", "transport": "UDP"}


async def test_a_trunk_without_addresses_proves_itself(pbx):
    office = pbx.office
    branch = Trunk("branch", office.account.sid, inbound=TrunkCredentials("branch", Secret("hcnarb")))
    pbx.use(trunks=TrunkBook([branch]))
    office.twiml("<Reject reason='busy'/>")
    caller = await pbx.phone("branch", domain="branch.test")
    assert await refused(caller.call(platform_uri(office))) == 486
    stranger = await pbx.phone("branch", domain="branch.test", password="guess")
    assert await refused(stranger.call(platform_uri(office))) == 401


async def test_a_trunk_calls_a_user_by_name(pbx):
    bob = await pbx.registered("bob")
    outgoing, incoming = await talk(pbx.office.carol, platform_uri(pbx.office, "bob"), bob)
    incoming.bye()
    await outgoing.ended()


async def test_an_address_of_no_trunk_is_refused_without_a_hint(pbx):
    pbx.use(trunks=TrunkBook([Trunk("far", sources=(ip_network("192.0.2.0/24"),))]))
    stranger = await pbx.phone("carol", domain="elsewhere.test")
    call = stranger.call("sip:1000@elsewhere.test")
    assert await refused(call) == 403
    final = call.responses[-1]
    assert final.reason == "Forbidden"
    assert final.headers.get("WWW-Authenticate") is final.headers.get("Warning") is None
    # In the name of a domain it is asked to prove it, as a user would be, whether there is one of that name or not.
    for name in ("alice", "carol"):
        phone = await pbx.phone(name, password="guess")
        assert await refused(phone.call(f"sip:1000@{DOMAIN}")) == 401
