"""A recording that goes on after a restart."""

from dataclasses import replace

from sidestream.media.engine import ForkStatistics
from sidestream.recording.siprec import SiprecEvent, SiprecStatus
from sidestream.sip.agent.events import EndCause, ReinviteAccepted, SessionEnded
from sidestream.sip.headers import Headers
from sidestream.sip.message import Response

from .conftest import SDP, STARTED, Scene, settle


def answer() -> Response:
    return Response(200, "OK", Headers([("Content-Type", "application/sdp")]), SDP.encode())


async def test_only_a_running_one_at_rest_has_an_image(scene: Scene) -> None:
    assert scene.session.image() is None
    await scene.start()
    assert scene.session.image() is None
    await scene.accept()
    image = scene.session.image()
    assert image is not None
    assert (image.siprec_sid, image.target) == ("SR1", "sip:srs@192.0.2.50")
    assert image.call_id == scene.siprec.sip_call_id
    scene.agent.is_quiet = False
    assert scene.session.image() is None
    scene.agent.is_quiet = True
    scene.session.update(replace(scene.call, inbound_sending=False))
    assert scene.session.image() is None  # the machine has not read it yet
    await scene.stop()
    assert scene.session.image() is None


async def test_an_image_that_could_not_be_made_is_announced(scene: Scene) -> None:
    await scene.start()
    await scene.accept()
    assert scene.session.image() is not None
    scene.session.update(replace(scene.call, inbound_sending=False))
    await settle()
    assert scene.observer.settled == 0  # nobody asked
    assert scene.session.image() is None
    await settle()
    assert scene.observer.settled == 0
    await scene.say(ReinviteAccepted("s1", answer()))
    assert scene.observer.settled == 1
    assert scene.session.image() is not None
    scene.session.update(replace(scene.call, inbound_sending=True))
    await settle()
    await scene.say(ReinviteAccepted("s1", answer()))
    assert scene.observer.settled == 1
    await scene.stop()


async def test_nothing_is_sent_and_nothing_told_by_a_restart(scene: Scene) -> None:
    await scene.start()
    await scene.accept()
    forks = dict(scene.engine.sessions["CA1"].forks)
    heard = list(scene.observer.heard)
    await scene.restart()
    scene.session.update(scene.call)
    await settle()
    assert scene.agent.commands == []
    assert scene.engine.sessions["CA1"].forks == forks
    assert scene.session.forks == tuple(forks)
    assert scene.observer.heard == heard


async def test_changes_and_the_end_are_told_by_the_same_session(scene: Scene) -> None:
    await scene.start()
    await scene.accept()
    await scene.restart()
    scene.session.update(replace(scene.call, inbound_sending=False))
    await settle()
    assert scene.agent.names == ["reinvite"]
    await scene.say(ReinviteAccepted("s1", answer()))
    assert scene.agent.names == ["reinvite", "acknowledge"]
    for fork in scene.engine.sessions["CA1"].forks.values():
        fork.statistics = ForkStatistics(500, 500 * 172, 0, None)
    await scene.stop("rest")
    assert scene.agent.names[-1] == "bye"
    assert scene.observer.events == [SiprecEvent.STARTED, SiprecEvent.STOPPED]
    assert (scene.siprec.status, scene.siprec.stopped_by) == (SiprecStatus.STOPPED, "rest")
    assert scene.siprec.packets_sent == {"inbound": 500, "outbound": 500}
    assert scene.engine.sessions["CA1"].forks == {}


async def test_a_server_that_forgot_the_session_meanwhile(scene: Scene) -> None:
    await scene.start()
    await scene.accept()
    await scene.restart()
    await scene.say(SessionEnded("s1", EndCause.LOST))
    assert scene.observer.events == [SiprecEvent.STARTED, SiprecEvent.ERROR]


async def test_a_connector_that_changed_meanwhile(scene: Scene) -> None:
    """The recording stays where it is."""
    await scene.start()
    await scene.accept()
    image = scene.session.image()
    assert image is not None
    scene.session.restore(replace(image, target="sip:gone@192.0.2.9"))
    assert scene.session.image() is not None


async def test_one_that_begins_anew_after_a_restart_is_not_started_again(scene: Scene) -> None:
    """Its server died with the process, such as the bundled one."""
    scene.siprec.accepted_at = STARTED
    await scene.start()
    await scene.accept()
    assert scene.siprec.accepted_at == scene.clock.wall()
    await scene.stop("rest")
    assert scene.observer.events == [SiprecEvent.STOPPED]
