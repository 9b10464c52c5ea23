"""Proofs by digest; `test_guard` and `test_reception` have the requests that ask for them."""

from sidestream.accounts.domain import Domain, SipUser
from sidestream.base.secret import Secret
from sidestream.calls.proofs import prove_trunk, prove_user
from sidestream.registrar.gate import Denied
from sidestream.testing.call_room import PHONE, request
from sidestream.trunks.trunk_book import Question, Trunk, TrunkCredentials


def realm(denied):
    assert isinstance(denied, Denied)
    assert denied.status == 401
    return denied.headers[0][1].split('realm="')[1].split('"')[0]


async def test_a_user_is_asked_in_the_realm_of_its_domain_and_a_trunk_in_ours(room):
    domain = Domain("pbx.test", room.account.sid, (SipUser("alice", Secret("s")),))
    assert realm(prove_user(room.services, domain, request("BYE"), PHONE, 0.0)) == "pbx.test"
    question = Question((Trunk("t", None, (), inbound=TrunkCredentials("t", Secret("s"))),))
    assert realm(prove_trunk(room.services, question, request("BYE"), PHONE, 0.0)) == "sidestream"
