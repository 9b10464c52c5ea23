"""Requests inside a call, from somebody who has seen its messages and is not a party (RFC 3261 §26.1.4)."""

import pytest

from sidestream.base.secret import Secret
from sidestream.sip.agent.events import EndCause
from sidestream.sip.digest import DigestClient, DigestCredentials
from sidestream.trunks.trunk_book import Trunk, TrunkCredentials

from .office_tools import AUDIO, SDP_TYPE, connect, dialog_of, until
from .third_party import OTHER_HOST, let_in, say_from, trunk

ABSURD = 2**31 - 10
SDP_FIELD = f"Content-Type: {SDP_TYPE}\r\n"
CALL_BOB = '<Dial answerOnBridge="true"><Number>+15550100002</Number></Dial>'


@pytest.mark.parametrize(
    ("method", "extra", "body"),
    [
        ("BYE", "", ""),
        ("INVITE", SDP_FIELD, AUDIO.decode()),
        ("UPDATE", SDP_FIELD, AUDIO.decode()),
        ("INFO", "Content-Type: application/dtmf-relay\r\n", "Signal=*\r\n"),
        ("OPTIONS", "", ""),
    ],
)
@pytest.mark.parametrize("whose", ["caller", "called"])
async def test_it_changes_nothing_and_the_party_is_heard_after_it(office, whose, method, extra, body):
    """Also with a number that leaves the party none that would be in order."""
    alice, bob = await connect(office)
    victim, other = (alice, bob) if whose == "caller" else (bob, alice)
    (answer,) = await say_from(office, OTHER_HOST, dialog_of(victim), method, ABSURD, extra=extra, body=body)
    assert answer.status == 403
    assert [alice.cause, bob.cause] == [None, None]
    assert (other.offers_taken, other.requests) == (0, [])
    await victim.hold()
    assert other.offers_taken == 1
    victim.bye()
    assert await other.ended() is EndCause.REMOTE_BYE


async def test_another_server_of_the_trunk_may_end_its_call(office):
    office.twiml(CALL_BOB)
    alice = office.dial_in()
    (await office.bob.wait_for_call()).answer()
    await alice.answered()
    bob = office.bob.calls[-1]
    carrier = office.services.trunks.trunks[0]
    let_in(office, trunk("ours", None, "127.0.0.1"), trunk(carrier.name, None, OTHER_HOST))
    (answer,) = await say_from(office, OTHER_HOST, dialog_of(bob), "BYE", 4000)
    assert answer.status == 200
    assert await alice.ended() is EndCause.REMOTE_BYE


@pytest.mark.parametrize(("password", "status"), [("right", 202), ("wrong", 401)])
async def test_a_trunk_with_a_password_may_show_it_from_anywhere(office, password, status):
    office.twiml(CALL_BOB)
    alice = office.dial_in()
    (await office.bob.wait_for_call()).answer()
    await alice.answered()
    bob = office.bob.calls[-1]
    name = office.services.trunks.trunks[0].name
    credentials = TrunkCredentials("carrier", Secret("right"))
    let_in(office, trunk("ours", None, "127.0.0.1"), Trunk(name, None, (), inbound=credentials))
    client = DigestClient(DigestCredentials("carrier", password))

    def fields(challenge):
        refer_to = f"Refer-To: <{office.carol.uri}>\r\n"
        if challenge is None:
            return refer_to
        client.receive_response(challenge)
        uri = f"sip:sidestream@127.0.0.1:{office.services.driver.addresses['udp'][1]}"
        return refer_to + "".join(f"{n}: {v}\r\n" for n, v in client.authorize("REFER", uri, "c"))

    asked, answered = await say_from(office, OTHER_HOST, dialog_of(bob), "REFER", 4000, extra=fields, answers=2)
    assert (asked.status, answered.status) == (401, status)
    if status == 202:
        (await office.carol.wait_for_call()).answer()
        await bob.ended()
        await until(lambda: len(office.services.live) == 2)
    alice.bye()
