from dataclasses import replace

from sidestream.sip.agent.events import ReinviteReceived, RequestReceived
from sidestream.sip.headers import Headers
from sidestream.sip.message import Request
from sidestream.sip.transport import Peer, Transport
from sidestream.sip.uri import Uri

from .conftest import Scene, settle

PEER = Peer(Transport.UDP, "192.0.2.50", 5060, "udp")


def request(method: str) -> Request:
    return Request(method, Uri.parse("sip:SRC@192.0.2.20"), Headers())


async def test_commands_of_a_whole_session(scene: Scene) -> None:
    """C1, C2, C5: what the machine wants reaches the agent."""
    await scene.start()
    invite = scene.agent.last("invite")
    assert str(invite["target"]) == "sip:srs@192.0.2.50"
    assert invite["contact_params"] == (("+sip.src", None),)
    assert ("Require", "siprec") in invite["headers"]
    assert len(invite["call_id"]) == 32
    await scene.accept()
    scene.session.update(replace(scene.call, inbound_sending=False))
    await settle()
    await scene.say(ReinviteReceived("s1", request("INVITE"), PEER))
    await scene.say(RequestReceived("r1", "s1", request("UPDATE"), PEER))
    await scene.stop("call-ended")
    assert scene.agent.names == ["invite", "acknowledge", "reinvite", "respond", "answer", "bye"]
    assert scene.agent.last("respond")["values"] == (200,)
    assert scene.agent.last("answer")["target"] == "r1"
    assert b"stop-time" in scene.agent.last("bye")["body"]


async def test_a_crossing_reinvite_is_glare(scene: Scene) -> None:
    """C33: ours waits, and carries the newest state then."""
    await scene.start()
    await scene.accept()
    scene.agent.is_free = False
    scene.session.update(replace(scene.call, inbound_sending=False))
    await settle()
    assert "reinvite" not in scene.agent.names
    scene.agent.is_free = True
    scene.clock.advance(4.0)
    scene.session.update(replace(scene.call, outbound_sending=False))
    await settle()
    assert scene.agent.names.count("reinvite") == 1
    await scene.stop()


async def test_a_command_that_no_longer_fits_is_no_failure(scene: Scene) -> None:
    await scene.start()
    await scene.accept()
    scene.agent.refused.add("respond")
    await scene.say(ReinviteReceived("s1", request("INVITE"), PEER))
    assert scene.task is not None
    assert not scene.task.done()
    await scene.stop()


async def test_giving_up_uses_bye_because_a_2xx_may_have_crossed(scene: Scene) -> None:
    """B20."""
    await scene.start()
    await scene.stop()
    assert scene.agent.names == ["invite", "bye"]
