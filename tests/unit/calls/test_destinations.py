"""Where a call goes: by a trunk, to where a user is registered, or to an address as it stands."""

import pytest

from sidestream.accounts.domain import Domain, DomainBook, SipUser
from sidestream.base.secret import Secret
from sidestream.calls.destinations import caller_address, number_destination, sip_destinations
from sidestream.calls.refusal import Refusal
from sidestream.calls.users import NoSuchUser, SipUsers, make_gate
from sidestream.registrar.registrar import Registrar
from sidestream.sdp.security import MediaSecurity
from sidestream.sip.digest import DigestCredentials
from sidestream.sip.transport import Transport
from sidestream.sip.uri import Uri
from sidestream.testing.call_room import PHONE, request
from sidestream.trunks.trunk_book import Trunk, TrunkBook, TrunkCredentials


class TestNumbers:
    def test_a_trunk_says_how(self, room):
        trunk = Trunk(
            "carrier",
            room.account.sid,
            outbound=Uri.parse("sip:192.0.2.50"),
            credentials=TrunkCredentials("u", Secret("p")),
            follow_redirects=2,
            accepts_refer=False,
            media_security=MediaSecurity.REQUIRED,
        )
        room.change(trunks=TrunkBook([trunk]))
        to = number_destination(room.services, room.account, "+15550100")
        assert (to.text, str(to.uri)) == ("+15550100", "sip:+15550100@192.0.2.50")
        assert to.credentials == DigestCredentials("u", "p")
        assert (to.redirects, to.accepts_refer, to.home) == (2, False, "trunk carrier")
        assert to.security is MediaSecurity.REQUIRED

    def test_one_without_a_password(self, room):
        room.change(trunks=TrunkBook([Trunk("carrier", outbound=Uri.parse("sip:192.0.2.50"))]))
        assert number_destination(room.services, room.account, "1").credentials is None

    def test_no_trunk_takes_it(self, room):
        room.change(trunks=TrunkBook([Trunk("t", room.other_account.sid, outbound=Uri.parse("sip:192.0.2.50"))]))
        with pytest.raises(Refusal) as refused:
            number_destination(room.services, room.account, "+15550100")
        assert (refused.value.status, refused.value.code) == (400, 13224)


class TestAddresses:
    @pytest.fixture
    def users(self, room):
        domain = Domain(
            "pbx.test",
            room.account.sid,
            (SipUser("alice", Secret("s")), SipUser("bob", Secret("s"))),
            media_security=MediaSecurity.OPTIONAL,
        )
        registrar = Registrar(room.stores.bindings)
        room.change(users=SipUsers(DomainBook([domain]), registrar, make_gate(room.ids)))
        for number, contact in enumerate(("<sip:alice@192.0.2.8>;q=0.2", "<sip:alice@192.0.2.9>;q=0.9")):
            message = request("REGISTER", uri="sip:pbx.test")
            message.headers.replace("Contact", contact)
            message.headers.replace("Call-ID", f"r{number}")
            now = room.clock.monotonic()
            registrar.register("sip:alice@pbx.test", message, PHONE, now, room.clock.wall())

    def find(self, room, text, **options):
        return sip_destinations(room.services, room.account, text, Uri.parse(text), **options)

    def test_one_of_others_is_called_as_it_stands(self, room):
        (to,) = self.find(room, "sip:carol@192.0.2.7;x=y", headers=(("X-A", "b"),))
        assert (to.text, str(to.uri), to.home) == ("sip:carol@192.0.2.7;x=y", "sip:carol@192.0.2.7;x=y", None)
        assert (to.headers, to.security) == ((("X-A", "b"),), MediaSecurity.NONE)

    def test_a_user_is_called_at_every_phone_the_best_first(self, room, users):
        best, other = self.find(room, "sip:alice@pbx.test")
        assert [str(best.uri), str(other.uri)] == ["sip:alice@192.0.2.9", "sip:alice@192.0.2.8"]
        assert (str(best.to), best.way, best.home) == ("sip:alice@pbx.test", PHONE, "domain pbx.test")
        assert best.security is MediaSecurity.OPTIONAL

    def test_secure_goes_before_what_the_domain_says(self, room, users):
        assert {to.security for to in self.find(room, "sip:alice@pbx.test", secure=True)} == {MediaSecurity.REQUIRED}

    @pytest.mark.parametrize(("user", "status"), [("bob", 480), ("carol", 404)])
    def test_a_user_who_is_not_there(self, room, users, user, status):
        with pytest.raises(NoSuchUser) as missing:
            self.find(room, f"sip:{user}@pbx.test")
        assert missing.value.status == status
        assert user in str(missing.value)

    def test_another_accounts_user_is_nobody(self, room, users):
        with pytest.raises(NoSuchUser) as missing:
            sip_destinations(room.services, room.other_account, "x", Uri.parse("sip:alice@pbx.test"))
        assert missing.value.status == 404

    def test_an_address_with_a_port_is_a_machine(self, room, users):
        (to,) = self.find(room, "sip:alice@pbx.test:5060")
        assert to.home is None

    @pytest.mark.parametrize(
        ("text", "called"),
        [
            ("sip:a@192.0.2.7", "sip:a@192.0.2.7;transport=tls"),
            ("sip:a@192.0.2.7;transport=TLS", "sip:a@192.0.2.7;transport=TLS"),
            ("sips:a@192.0.2.7", "sips:a@192.0.2.7"),
        ],
    )
    def test_secure_means_tls(self, room, text, called):
        room.agent.transports = frozenset(Transport)
        (to,) = self.find(room, text, secure=True)
        assert (str(to.uri), to.security) == (called, MediaSecurity.REQUIRED)

    @pytest.mark.parametrize(
        ("text", "transports"), [("sip:a@192.0.2.7;transport=tcp", Transport), ("sip:a@192.0.2.7", [Transport.UDP])]
    )
    def test_and_is_refused_where_there_can_be_none(self, room, text, transports):
        room.agent.transports = frozenset(transports)
        with pytest.raises(Refusal) as refused:
            self.find(room, text, secure=True)
        assert refused.value.code == 32209


class TestCaller:
    def test_a_number_is_at_our_host(self, room):
        assert str(caller_address(room.services, "+15550100", "Ada")) == '"Ada" <sip:+15550100@192.0.2.2>'

    def test_an_address_is_itself(self, room):
        assert str(caller_address(room.services, "SIP:a@example.com").uri) == "sip:a@example.com"

    def test_what_is_neither_is_refused(self, room):
        with pytest.raises(Refusal) as refused:
            caller_address(room.services, "sip:")
        assert refused.value.code == 13247
