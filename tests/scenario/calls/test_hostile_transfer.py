"""Those who know the ids of a dialog, and are not its parties: Replaces (RFC 3891 §3, §5) and REFER (RFC 3515 §5)."""

import pytest

from sidestream.accounts.account import Account
from sidestream.accounts.account_book import AccountBook
from sidestream.sip.agent.events import EndCause
from sidestream.testing.phone.phone import SipPhone

from .office_tools import HOST, RawCall, change, connect, dialog_of, platform_uri, until
from .third_party import OTHER_HOST, let_in, say_from, trunk


@pytest.fixture
async def mallory():
    phone = SipPhone("mallory", OTHER_HOST)
    await phone.start()
    yield phone
    await phone.close()


async def replaces_in_vain(office, phone, called, value):
    """The answer to an INVITE with Replaces."""
    return await RawCall(phone, platform_uri(office, called), headers=[("Replaces", str(value))]).ended()


@pytest.mark.parametrize("called", ["1000", "no-such-number"])
async def test_a_trunk_of_another_account_is_refused(office, mallory, called):
    """Also where the number it calls would be found by nobody."""
    alice, bob = await connect(office)
    stranger = Account(office.services.ids.sid("AC"), office.services.ids.auth_token())
    known = office.services.accounts
    change(office, accounts=AccountBook([*known.accounts, stranger], [known.number_for("1000")]))
    let_in(office, trunk("ours", office.account.sid, HOST), trunk("theirs", stranger.sid, OTHER_HOST))
    assert await replaces_in_vain(office, mallory, called, dialog_of(bob)) == 403
    assert await replaces_in_vain(office, mallory, called, dialog_of(alice)) == 403
    assert [bob.cause, alice.cause] == [None, None]
    alice.bye()
    await bob.ended()


async def test_a_trunk_for_every_account_replaces_its_own_parties_only(office, mallory):
    alice, bob = await connect(office)
    let_in(office, trunk("shared", None, OTHER_HOST))
    assert await replaces_in_vain(office, mallory, "1000", dialog_of(bob)) == 403
    alice.bye()
    await bob.ended()


async def test_who_may_not_call_in_may_not_replace_either(office, mallory):
    alice, bob = await connect(office)
    let_in(office, trunk("ours", office.account.sid, HOST))
    assert await replaces_in_vain(office, mallory, "1000", dialog_of(bob)) == 403
    alice.bye()
    await bob.ended()


async def test_a_trunk_of_the_account_may_whatever_it_calls(office):
    alice, bob = await connect(office)
    let_in(office, trunk("ours", office.account.sid, HOST))
    carol = office.carol.call(platform_uri(office, "sidestream"), headers=[("Replaces", str(dialog_of(bob)))])
    await carol.answered()
    assert await bob.ended() is EndCause.REMOTE_BYE
    alice.bye()
    assert await carol.ended() is EndCause.REMOTE_BYE


async def refer_from(office, host, dialog, target, number=4000):
    """The answer to a REFER inside somebody else's dialog, sent from `host`."""
    (answer,) = await say_from(office, host, dialog, "REFER", number, extra=f"Refer-To: <{target}>\r\n")
    return answer.status


@pytest.mark.parametrize("whose", ["caller", "called"])
async def test_a_refer_from_somewhere_else_is_refused_and_the_call_goes_on(office, whose):
    alice, bob = await connect(office)
    dialog = dialog_of(alice if whose == "caller" else bob)
    assert await refer_from(office, OTHER_HOST, dialog, office.carol.uri) == 403
    assert not office.carol.calls
    assert await refer_from(office, HOST, dialog, office.carol.uri, 4001) == 202  # from where the party is
    carol = await office.carol.wait_for_call()
    carol.answer()
    await (alice if whose == "caller" else bob).ended()
    (bob if whose == "caller" else alice).bye()
    await carol.ended()


async def test_a_refer_may_come_from_another_server_of_the_partys_trunk(office):
    office.twiml('<Dial answerOnBridge="true"><Number>+15550100002</Number></Dial>')
    alice = office.dial_in()
    bob = await office.bob.wait_for_call()
    bob.answer()
    await alice.answered()
    carrier = office.services.trunks.trunks[0]
    let_in(office, trunk("ours", None, HOST), trunk(carrier.name, None, OTHER_HOST))
    assert await refer_from(office, OTHER_HOST, dialog_of(bob), office.carol.uri) == 202
    carol = await office.carol.wait_for_call()
    carol.answer()
    await bob.ended()
    await until(lambda: len(office.services.live) == 2)
    alice.bye()
    await carol.ended()
