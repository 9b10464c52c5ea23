"""Who may take the place of whom, and what the INVITE with Replaces is answered (RFC 3891)."""

import asyncio
from dataclasses import replace

import pytest

from sidestream.accounts.domain import Domain
from sidestream.calls.reception import Sender
from sidestream.calls.takeover import may_replace, take_over, taken
from sidestream.sip.refer import Replaces
from sidestream.sip.values import NameAddr
from sidestream.testing.call_room import SDP_TEXT, request, turns
from sidestream.trunks.trunk_book import Trunk

CAROL = NameAddr.parse('"Carol" <sip:carol@example.com>')
DIALOG = Replaces("1", "b", "a")
OURS, THEIRS = "AC-ours", "AC-theirs"


def by_trunk(account_sid, name="t"):
    return Sender(CAROL, trunk=Trunk(name, account_sid))


def by_user(account_sid):
    return Sender(CAROL, domain=Domain("pbx.test", account_sid))


THIS_MACHINE = Sender(CAROL)


@pytest.mark.parametrize(
    ("sender", "home", "may"),
    [
        (by_trunk(OURS), "trunk other", True),
        (by_trunk(OURS), None, True),
        (by_user(OURS), "trunk t", True),
        (by_trunk(THEIRS), "trunk t", False),
        (by_user(THEIRS), "domain pbx.test", False),
        (by_trunk(None), "trunk t", True),
        (by_trunk(None), "trunk other", False),
        (by_trunk(None), None, False),
        (THIS_MACHINE, None, True),
        (THIS_MACHINE, "trunk t", False),
        (THIS_MACHINE, "domain pbx.test", False),
    ],
)
async def test_who_may_replace_whom(room, sender, home, may):
    call = await room.incoming(home=home)
    call.account = replace(call.account, sid=OURS)
    assert may_replace(sender, call) is may


@pytest.fixture
async def pair(room):
    first, second = await room.bridged()
    room.agent.dialogs["1", "b", "a"] = second.leg.session
    return first, second


async def test_a_connected_party_may_be_replaced(room, pair):
    assert taken(room.services, DIALOG, THIS_MACHINE) is pair[1]


@pytest.mark.parametrize(
    ("dialog", "sender", "status"),
    [
        (replace(DIALOG, to_tag="other"), THIS_MACHINE, 481),
        (DIALOG, by_trunk(THEIRS), 403),
        (replace(DIALOG, early_only=True), by_trunk(THEIRS), 403),  # who may not hears nothing of the call
        (replace(DIALOG, early_only=True), THIS_MACHINE, 486),
    ],
)
async def test_or_may_not(room, pair, dialog, sender, status):
    assert taken(room.services, dialog, sender) == status


async def test_not_while_it_is_being_transferred(room, pair):
    pair[1].transfer = object()
    assert taken(room.services, DIALOG, THIS_MACHINE) == 603
    pair[1].transfer = None


async def test_not_once_it_has_left(room, pair):
    pair[1].leg.hang_up()
    assert taken(room.services, DIALOG, THIS_MACHINE) == 603


@pytest.mark.parametrize("direction", ["incoming", "dialled"])
async def test_not_before_it_is_connected(room, direction):
    """RFC 3891 §3 allows it for calls that we make; not done."""
    call = await room.incoming()
    if direction == "dialled":
        call = await room.dialled(call)
    room.agent.dialogs["1", "b", "a"] = call.leg.session
    assert taken(room.services, DIALOG, THIS_MACHINE) == 481


async def replace_second(room, pair, body=SDP_TEXT, sender=THIS_MACHINE):
    """As far as it goes without anybody's answer."""
    task = asyncio.ensure_future(take_over(pair[1], "new", request("INVITE", body), sender))
    await turns()
    return task


async def test_the_newcomer_is_answered_and_the_other_gets_bye(room, pair):
    first, second = pair
    old = second.leg.session
    room.agent.commands.clear()
    task = await replace_second(room, pair, sender=by_trunk(OURS))
    assert (room.agent.last("respond").args, room.agent.last("bye").args) == (("new", 200), (old,))
    assert room.agent.last("reinvite").args == (first.leg.session,), "who stays hears of the newcomer's description"
    await room.take_offer(first)
    await task
    assert second.leg.session == "new"
    assert (second.party.aor, second.party.name, second.party.home) == ("sip:carol@example.com", "Carol", "trunk t")
    assert "transferred" in await room.timeline(second)


@pytest.mark.parametrize("body", ["", "v=1\r\n", SDP_TEXT.replace("audio 4000", "audio 0")])
async def test_one_that_cannot_be_heard_is_refused_and_nothing_changes(room, pair, body):
    old = pair[1].leg
    room.agent.commands.clear()
    await replace_second(room, pair, body)
    assert [(one.name, one.args) for one in room.agent.commands] == [("respond", ("new", 488))]
    assert pair[1].leg is old


async def test_one_that_comes_as_the_party_leaves_is_declined(room, pair):
    second = pair[1]
    gate = room.engine.hold("configure_endpoint")
    task = await replace_second(room, pair)
    second.leg.hang_up()
    gate.set()
    await task
    assert room.agent.last("respond").args == ("new", 603)
