"""Requests inside a call that come from elsewhere: who counts, who is asked, who is refused."""

from ipaddress import ip_network

import pytest

from sidestream.accounts.domain import Domain, DomainBook, SipUser
from sidestream.base.secret import Secret
from sidestream.calls.guard import REFUSED, Guard
from sidestream.calls.party import Party
from sidestream.calls.users import SipUsers, make_gate
from sidestream.registrar.registrar import Registrar
from sidestream.sip.agent.events import RequestDoubted
from sidestream.sip.digest import DigestClient, DigestCredentials
from sidestream.sip.transport import Peer, Transport
from sidestream.testing.call_room import request, response, turns
from sidestream.trunks.trunk_book import Trunk, TrunkBook, TrunkCredentials

ELSEWHERE = Peer(Transport.UDP, "203.0.113.9", 5060, "udp")
NETWORK = (ip_network("203.0.113.0/24"),)
PASSWORD = TrunkCredentials("t", Secret("s"))


@pytest.fixture
async def guarded(room):
    """A call's guard over these trunks and, with them, the domain pbx.test; and how to ask it."""
    call = await room.incoming()

    def make(home, *trunks, aor="sip:a@example.com"):
        users = (SipUser("alice", Secret("s")), SipUser("bob", Secret("t")))
        book = DomainBook([Domain("pbx.test", room.account.sid, users)])
        users = SipUsers(book, Registrar(room.stores.bindings), make_gate(room.ids))
        room.change(trunks=TrunkBook(trunks), users=users)
        return Guard(room.services, Party("p", aor, None, home), call.record.sid)

    return call, make


def ask(room, guard, message=None, peer=ELSEWHERE):
    """What becomes of it: None if it is let in, else the status."""
    guard.decide(RequestDoubted("r1", "in", message or request("BYE"), peer))
    last = room.agent.commands[-1]
    assert last.args[0] == "r1"
    return None if last.name == "admit" else last.status


def proven(room, message, user, password):
    """The message again, with an answer to the challenge that it got."""
    client, challenge = DigestClient(DigestCredentials(user, password)), response(401)
    for name, value in room.agent.last("answer").fields["headers"]:
        challenge.headers.add(name, value)
    assert client.receive_response(challenge)
    for name, value in client.authorize(message.method, str(message.uri), "c"):
        message.headers.add(name, value)
    return message


class TestTrunk:
    @pytest.mark.parametrize(("home", "status"), [("trunk t", None), ("trunk u", 403), (None, 403)])
    async def test_its_servers_may_and_those_of_another_may_not(self, room, guarded, home, status):
        _, make = guarded
        narrow = (ip_network("203.0.113.9/32"),)
        # Two trunks of one carrier may share addresses.
        guard = make(home, Trunk("v", None, narrow), Trunk("t", None, NETWORK), Trunk("u", None, ()))
        assert ask(room, guard) == status

    async def test_one_with_a_password_is_asked_for_it(self, room, guarded):
        _, make = guarded
        guard = make("trunk t", Trunk("t", None, (), inbound=PASSWORD))
        assert ask(room, guard, request("REFER")) == 401
        assert ask(room, guard, proven(room, request("REFER"), "t", "wrong")) == 401
        assert ask(room, guard, proven(room, request("REFER"), "t", "s")) is None

    async def test_the_password_of_another_trunk_is_none(self, room, guarded):
        _, make = guarded
        other = Trunk("u", None, (), inbound=TrunkCredentials("u", Secret("s")))
        guard = make("trunk t", Trunk("t", None, (), inbound=PASSWORD), other)
        assert ask(room, guard) == 401
        assert ask(room, guard, proven(room, request("BYE"), "u", "s")) == 401

    @pytest.mark.parametrize("method", ["ACK", "CANCEL"])
    async def test_what_cannot_be_sent_again_is_not_asked(self, room, guarded, method):
        _, make = guarded
        guard = make("trunk t", Trunk("t", None, (), inbound=PASSWORD))
        assert ask(room, guard, request(method)) == 403
        guard = make("domain pbx.test", aor="sip:alice@pbx.test")
        assert ask(room, guard, request(method)) == 403


class TestUser:
    @pytest.mark.parametrize(
        ("user", "password", "status"), [("alice", "s", None), ("bob", "t", 403), ("alice", "wrong", 401)]
    )
    async def test_it_shows_its_password(self, room, guarded, user, password, status):
        _, make = guarded
        guard = make("domain pbx.test", aor="sip:alice@pbx.test")
        assert ask(room, guard) == 401
        assert ask(room, guard, proven(room, request("BYE"), user, password)) == status

    @pytest.mark.parametrize(("aor", "status"), [("sip:alice@pbx.test", None), ("sip:bob@pbx.test", 401)])
    async def test_or_calls_from_where_it_has_registered_since(self, room, guarded, aor, status):
        _, make = guarded
        guard = make("domain pbx.test", aor=aor)
        register = request("REGISTER", extra="Expires: 60\r\n")
        now = room.clock.monotonic()
        guard.services.users.registrar.register("sip:alice@pbx.test", register, ELSEWHERE, now, room.clock.wall())
        assert ask(room, guard) == status
        by_tcp = Peer(Transport.TCP, ELSEWHERE.host, 40000, "tcp")
        assert ask(room, guard, peer=by_tcp) == 401

    async def test_guessing_is_reported(self, room, guarded):
        _, make = guarded
        guard = make("domain pbx.test", aor="sip:alice@pbx.test")
        ask(room, guard)
        statuses = [ask(room, guard, proven(room, request("BYE"), "alice", "wrong")) for _ in range(20)]
        assert (statuses[0], statuses[-1]) == (401, 403)
        await turns()
        assert await room.codes() == [32202]


async def test_a_refusal_is_in_the_timeline_once(room, guarded):
    call, make = guarded
    guard = make(None)
    for _ in range(3):
        assert ask(room, guard) == 403
    events = [event for event in await room.stores.calls.events(call.record.sid) if event.kind == REFUSED]
    assert [event.detail for event in events] == [{"method": "BYE", "sip_status": 403, "source": "203.0.113.9"}]


async def test_the_leg_asks_its_guard(room):
    call = await room.incoming()
    assert room.agent.asking == ["in"]
    room.agent.hear(RequestDoubted("r1", "in", request("BYE"), ELSEWHERE))
    assert room.agent.last("answer").args == ("r1", 403)
    assert REFUSED in await room.timeline(call)
