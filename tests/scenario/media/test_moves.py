"""Parties that move in mid-call: the engine follows them, whoever else still sends."""

import pytest

from sidestream.base.ids import Ids
from sidestream.media.engine import Address, Latch
from sidestream.testing.phone.stream import RtpStream
from sidestream.testing.speech import AGENT

from .conftest import FORMATS, Bridge


@pytest.mark.parametrize("latch", [Latch.EACH, Latch.FIRST])
async def test_the_phone_that_answers_is_heard_over_the_one_that_rings_on(bridge: Bridge, latch: Latch) -> None:
    """Early media of one phone goes on until the CANCEL gets there, when another has answered already."""
    answering = RtpStream("127.0.0.1", Ids(), speech=AGENT, loop_speech=True, cname="q")
    bridge.thread.add(answering)
    bridge.talk()
    await bridge.both_heard(20)
    await bridge.engine.configure_endpoint(
        "CA1", "b", remote=Address(answering.host, answering.port), formats=FORMATS, latch=latch
    )
    rung = len(bridge.caller.received)
    await bridge.until(lambda: len(bridge.caller.received) >= rung + 5, "the one that rings on, until the other speaks")
    answering.direct(bridge.TALK, (bridge.b.host, bridge.b.rtp), (bridge.b.host, bridge.b.rtcp))

    def heard_from(stream: RtpStream) -> int:
        return sum(one.packet.ssrc == stream.talker.ssrc for one in list(bridge.caller.received))

    await bridge.until(lambda: heard_from(answering) >= 20, "20 packets of the one that answered")
    before = heard_from(bridge.agent)
    await bridge.until(lambda: len(answering.received) >= 20, "the caller at the phone that answered")
    await bridge.until(lambda: heard_from(answering) >= 60, "60 packets")
    assert heard_from(bridge.agent) == before
    answering.direct(None)
    bridge.hush()
