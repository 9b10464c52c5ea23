"""Who sends an INVITE or REGISTER, and what becomes of the call."""

from ipaddress import ip_network

import pytest

from sidestream.accounts.account import Number, VoiceSettings
from sidestream.accounts.account_book import AccountBook
from sidestream.accounts.domain import Domain, DomainBook, DomainRoute, SipUser
from sidestream.base.secret import Secret
from sidestream.calls.reception import Dismissal, Reception, Sender, Welcome, fill
from sidestream.calls.users import SipUsers, make_gate
from sidestream.registrar.registrar import Registrar
from sidestream.sdp.security import MediaSecurity
from sidestream.sip.digest import DigestClient, DigestCredentials
from sidestream.sip.transport import Peer, Transport
from sidestream.sip.uri import Uri
from sidestream.sip.values import NameAddr
from sidestream.testing.call_room import request, response
from sidestream.trunks.trunk_book import Trunk, TrunkBook, TrunkCredentials

HERE, THERE = Peer(Transport.UDP, "127.0.0.1", 5060, "udp"), Peer(Transport.UDP, "192.0.2.1", 5060, "udp")
CALLER = NameAddr.parse("<sip:a@example.com>")


def invite(uri="sip:1000@192.0.2.2", from_="sip:a@example.com", extra=""):
    message = request("INVITE", uri=uri, extra=extra)
    message.headers.replace("From", f"<{from_}>;tag=a")
    return message


def use(room, *trunks, route=DomainRoute.USERS, voice=None, accounts=None):
    domain = Domain(
        "pbx.test", room.account.sid, (SipUser("alice", Secret("s")),), (), route, voice, MediaSecurity.OPTIONAL
    )
    users = SipUsers(DomainBook([domain]), Registrar(room.stores.bindings), make_gate(room.ids))
    room.change(users=users, trunks=TrunkBook(trunks), **({"accounts": accounts} if accounts else {}))
    return Reception(room.services)


def proven(reception, message, peer, credentials):
    """The message again, with an answer to the challenge that it got."""
    asked = reception.identify(message, peer, 0.0)
    client = DigestClient(DigestCredentials(*credentials))
    challenge = response(asked.status)
    for name, value in asked.headers:
        challenge.headers.add(name, value)
    assert client.receive_response(challenge)
    for name, value in client.authorize(message.method, str(message.uri), "c"):
        message.headers.add(name, value)
    return message


class TestIdentify:
    def test_this_machine_while_no_trunk_can_call_in(self, room):
        reception = use(room)
        sender = reception.identify(invite(), HERE, 0.0)
        assert (sender, sender.account_sid, sender.home, sender.security) == (
            Sender(CALLER.with_tag("a")),
            None,
            None,
            MediaSecurity.NONE,
        )
        assert reception.identify(invite(), THERE, 0.0) == Dismissal(403)

    def test_a_trunk_by_its_address(self, room):
        trunk = Trunk(
            "t",
            room.account.sid,
            (ip_network("192.0.2.0/24"),),
            accepts_refer=False,
            media_security=MediaSecurity.REQUIRED,
        )
        sender = use(room, trunk).identify(invite(extra="P-Asserted-Identity: <tel:+15550100>\r\n"), THERE, 0.0)
        assert str(sender.caller.uri) == "tel:+15550100"
        assert (sender.account_sid, sender.home, sender.accepts_refer) == (room.account.sid, "trunk t", False)
        assert sender.security is MediaSecurity.REQUIRED

    def test_an_asserted_identity_that_cannot_be_read_is_none(self, room):
        trunk = Trunk("t", None, (ip_network("192.0.2.0/24"),))
        sender = use(room, trunk).identify(invite(extra="P-Asserted-Identity: <<\r\n"), THERE, 0.0)
        assert str(sender.caller.uri) == "sip:a@example.com"

    def test_a_users_name_is_asked_for_its_password_even_from_a_trunk(self, room):
        reception = use(room, Trunk("t", None, (ip_network("192.0.2.0/24"),)))
        refused = reception.identify(invite(from_="sip:alice@pbx.test"), THERE, 0.0)
        assert refused.status == 401
        assert {name for name, _ in refused.headers} == {"WWW-Authenticate"}

    def test_who_calls_in_or_to_a_domain_may_prove_to_be_its_user(self, room):
        reception = use(room)
        assert reception.identify(invite(from_="sip:somebody@pbx.test"), THERE, 0.0).status == 401
        assert reception.identify(invite("sip:alice@pbx.test"), THERE, 0.0).status == 401

    @pytest.mark.parametrize("name", ["alice", "alice@pbx.test"])
    def test_the_proven_name_counts_whatever_else_is_said(self, room, name):
        reception = use(room)
        message = invite(from_="sip:boss@pbx.test", extra="P-Asserted-Identity: <sip:boss@pbx.test>\r\n")
        sender = reception.identify(proven(reception, message, THERE, (name, "s")), THERE, 0.0)
        assert str(sender.caller.uri) == "sip:alice@pbx.test"
        assert (sender.account_sid, sender.home) == (room.account.sid, "domain pbx.test")
        assert sender.security is MediaSecurity.OPTIONAL

    def test_a_trunk_with_a_password_is_asked_for_it(self, room):
        trunk = Trunk("t", None, inbound=TrunkCredentials("u", Secret("p")))
        reception = use(room, trunk)
        sender = reception.identify(proven(reception, invite(), THERE, ("u", "p")), THERE, 0.0)
        assert sender.trunk is trunk
        assert reception.identify(proven(reception, invite(), THERE, ("u", "q")), THERE, 0.0).status == 401

    @pytest.mark.parametrize("trunk", [True, False])
    async def test_who_guesses_is_locked_out_and_reported(self, room, trunk):
        trunks = [Trunk("t", None, inbound=TrunkCredentials("u", Secret("p")))] if trunk else []
        reception = use(room, *trunks)
        from_ = "sip:a@example.com" if trunk else "sip:alice@pbx.test"
        for _ in range(50):
            verdict = reception.identify(invite(from_=from_), THERE, 0.0)
            if verdict.status == 403:
                break
            verdict = reception.identify(proven(reception, invite(from_=from_), THERE, ("u", "wrong")), THERE, 0.0)
            if verdict.status == 403:
                break
        assert verdict.status == 403
        assert await room.codes() == [32202]


class TestWelcome:
    def test_a_number(self, room):
        welcome = use(room).welcome(Sender(CALLER), invite())
        assert welcome == Welcome(room.account, VoiceSettings(twiml="<Response/>"), Uri.parse("sip:1000@192.0.2.2"))

    def test_no_number(self, room):
        assert use(room).welcome(Sender(CALLER), invite("sip:2000@192.0.2.2")) == Dismissal(404)

    def test_a_trunk_reaches_the_numbers_of_its_account_alone(self, room):
        sender = Sender(CALLER, Trunk("t", room.other_account.sid))
        assert use(room).welcome(sender, invite()) == Dismissal(404)

    def test_the_numbers_own_security_goes_before_the_trunks(self, room):
        number = Number("1000", room.account.sid, VoiceSettings(twiml="x"), MediaSecurity.REQUIRED)
        welcome = use(room, accounts=AccountBook([room.account], [number])).welcome(Sender(CALLER), invite())
        assert welcome.security is MediaSecurity.REQUIRED

    def test_a_number_of_an_account_that_is_gone(self, room):
        number = Number("1000", "ACgone", VoiceSettings(twiml="x"))
        assert use(room, accounts=AccountBook([], [number])).welcome(Sender(CALLER), invite()) == Dismissal(404)

    def test_a_user_is_connected_without_more_ado(self, room):
        welcome = use(room).welcome(Sender(CALLER), invite("sip:alice@pbx.test"))
        assert welcome.called == Uri.parse("sip:alice@pbx.test")
        assert "<Sip>sip:alice@pbx.test</Sip>" in welcome.voice.twiml

    def test_but_not_for_a_trunk_of_another_account(self, room):
        sender = Sender(CALLER, Trunk("t", room.other_account.sid))
        assert use(room).welcome(sender, invite("sip:alice@pbx.test")) == Dismissal(404)

    def test_a_domain_with_a_voice_takes_every_call_of_its_users(self, room):
        reception = use(room, route=DomainRoute.VOICE, voice=VoiceSettings(url="http://app.example/"))
        (domain,) = room.services.users.domains.domains
        welcome = reception.welcome(Sender(CALLER, domain=domain), invite("sip:anything@192.0.2.2"))
        assert (welcome.voice.url, welcome.called) == ("http://app.example/", Uri.parse("sip:anything@192.0.2.2"))

    def test_a_domain_of_an_account_that_is_gone(self, room):
        reception = use(room, accounts=AccountBook([]))
        assert reception.welcome(Sender(CALLER), invite("sip:alice@pbx.test")) == Dismissal(404)


class TestRegister:
    def register(self, reception, to):
        message = request("REGISTER", uri="sip:pbx.test")
        message.headers.replace("To", f"<{to}>")
        return reception.receive_register(message, THERE, 0.0)

    def test_at_no_domain_of_ours(self, room):
        assert self.register(use(room), "sip:alice@other.test").status == 403

    def test_without_a_password(self, room):
        assert self.register(use(room), "sip:alice@pbx.test").status == 401

    @pytest.mark.parametrize(("to", "status"), [("sip:alice@pbx.test", 200), ("sip:bob@pbx.test", 403)])
    def test_nobody_changes_anothers_bindings(self, room, to, status):
        reception = use(room)
        message = request("REGISTER", uri="sip:pbx.test")
        message.headers.replace("To", f"<{to}>")
        refused = reception.receive_register(message, THERE, 0.0)
        client, challenge = DigestClient(DigestCredentials("alice", "s")), response(401)
        for name, value in refused.headers:
            challenge.headers.add(name, value)
        client.receive_response(challenge)
        for name, value in client.authorize("REGISTER", "sip:pbx.test", "c"):
            message.headers.add(name, value)
        assert reception.receive_register(message, THERE, 0.0).status == status


def test_addresses_in_twiml_cannot_break_out_of_it():
    filled = fill(
        '<Sip a="{{From}}">{{To}}</Sip>',
        Uri.parse("sip:%22&%7B%7BTo%7D%7D@example.com;x=y"),
        Uri.parse("sip:b@example.com"),
    )
    assert filled.count("<") == 2
    assert "{{" not in filled
    assert ";x=y" not in filled
