"""A recording session that goes on in another process."""

import random
from dataclasses import replace
from typing import Any

import msgspec

from sidestream.base.ids import Ids
from sidestream.base.secret import Secret
from sidestream.sdp.crypto import CryptoSuite
from sidestream.sip.agent.events import ReinviteAccepted, ReinviteReceived
from sidestream.siprec.metadata import DataMode
from sidestream.siprec.snapshot import Snapshot
from sidestream.siprec.src.actions import SendAck, SendBye, SendReinvite, Stopped
from sidestream.siprec.src.image import SrcImage
from sidestream.siprec.src.session import SrcSession, State

from .test_session import PEER, SETTINGS, Scene, description, held, metadata, parts, request, response, sdp


def reveal(value: Any) -> str:
    assert isinstance(value, Secret)
    return value.reveal()


def conceal(kind: type, value: str) -> Secret:
    assert kind is Secret
    return Secret(value)


def restored(scene: Scene) -> Scene:
    """The same scene with another machine, by way of octets."""
    image = scene.src.image()
    assert image is not None
    octets = msgspec.msgpack.encode(image, enc_hook=reveal)
    read = msgspec.msgpack.decode(octets, type=SrcImage, dec_hook=conceal)
    assert read == image
    later = Scene(scene.call, scene.src._settings)
    later.src = SrcSession(scene.src._settings, Ids(random.Random(9)))
    later.src.restore(read)
    assert later.src.image() == image
    return later


def test_only_a_session_at_rest_has_an_image(call: Snapshot) -> None:
    scene = Scene(call)
    assert scene.src.image() is None
    scene.start()
    assert scene.src.image() is None
    scene.accept()
    assert scene.src.image() is not None
    scene.update(held(call))
    assert scene.src.image() is None  # the re-INVITE has no answer yet
    scene.receive(ReinviteAccepted("s", response(200, sdp("recvonly", "recvonly"))))
    assert scene.src.image() is not None
    scene.receive(ReinviteReceived("s", request("INVITE"), PEER))
    assert scene.src.image() is None  # the ACK is to come
    scene.stop()
    assert scene.src.image() is None


def test_what_the_server_knows_is_not_told_again(call: Snapshot) -> None:
    scene = Scene(call)
    scene.start()
    scene.accept()
    later = restored(scene)
    assert later.src.state is State.ESTABLISHED
    assert later.update(call) == []
    assert later.said == []


def test_a_change_is_told_in_the_same_dialog_of_descriptions(call: Snapshot) -> None:
    scene = Scene(call)
    first = description(parts(scene.start()).sdp)
    scene.accept()
    later = restored(scene)
    (update,) = later.update(held(call))
    assert isinstance(update, SendReinvite)
    second = description(parts(update).sdp)
    assert second.origin.session_id == first.origin.session_id
    assert [(line.port, line.label) for line in second.media] == [(line.port, line.label) for line in first.media]
    found = metadata(update)
    assert found.data_mode is DataMode.COMPLETE
    assert found.session_recordings[0].associate_time == "2026-03-02T09:15:04.218733Z"
    assert later.receive(ReinviteAccepted("s", response(200, sdp("recvonly", "recvonly")))) == [SendAck()]


def test_it_ends_with_its_last_metadata(call: Snapshot) -> None:
    scene = Scene(call)
    scene.start()
    scene.accept()
    later = restored(scene)
    actions = later.stop()
    bye = actions[-1]
    assert isinstance(bye, SendBye)
    assert metadata(bye).sessions[0].stop_time is not None
    assert later.said == [Stopped(by_server=False)]


def test_keys_are_kept(call: Snapshot) -> None:
    settings = replace(SETTINGS, suites=(CryptoSuite.AES_CM_128_HMAC_SHA1_80,))
    scene = Scene(call, settings)
    offered = description(parts(scene.start()).sdp)
    key = "inline:" + "A" * 40
    answer = sdp("recvonly", "recvonly").replace(b"RTP/AVP", b"RTP/SAVP")
    answer = answer.replace(b"a=recvonly\r\n", f"a=recvonly\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 {key}\r\n".encode())
    scene.accept(answer)
    later = restored(scene)
    (update,) = later.update(held(call))
    assert isinstance(update, SendReinvite)
    again = description(parts(update).sdp)
    assert [line.cryptos for line in again.media] == [line.cryptos for line in offered.media]
