import random

import pytest

from sidestream.base.ids import Ids
from sidestream.base.secret import Secret
from sidestream.connectors.connector import ConnectorOptions
from sidestream.media.engine import Address, Format, MediaEngineError, Side, SrtpKey
from sidestream.recording.forks import ForkSet, to_sdp
from sidestream.recording.siprec import Track
from sidestream.sdp import formats as sdp_formats
from sidestream.sdp.crypto import CryptoSuite, MasterKey
from sidestream.sdp.keying import Keying
from sidestream.sdp.remote import RemoteAddress
from sidestream.siprec.src.actions import ConfigureFork

from .conftest import Scene

OPTIONS = ConnectorOptions()


async def forks_of(scene: Scene, track: Track = Track.BOTH, options: ConnectorOptions = OPTIONS) -> ForkSet:
    await scene.open_media()
    return ForkSet(scene.engine, Ids(random.Random(1)), "SR1", scene.call, track, options)


@pytest.mark.parametrize(
    ("track", "sides"),
    [
        (Track.BOTH, {"SR1/inbound": Side.INBOUND, "SR1/outbound": Side.OUTBOUND}),
        (Track.INBOUND, {"SR1/inbound": Side.INBOUND}),
        (Track.OUTBOUND, {"SR1/outbound": Side.OUTBOUND}),
    ],
)
async def test_a_fork_for_each_label(scene: Scene, track: Track, sides: dict[str, Side]) -> None:
    forks = await forks_of(scene, track)
    await forks.open()
    opened = scene.engine.sessions["CA1"].forks
    assert {name: fork.side for name, fork in opened.items()} == sides
    assert [f"SR1/{offered.label}" for offered in forks.offered] == list(sides)
    assert [offered.port for offered in forks.offered] == [fork.ports.rtp for fork in opened.values()]
    assert forks.host == "127.0.0.1"


async def test_the_connector_says_how_packets_leave(scene: Scene) -> None:
    scene.engine.interfaces = ("default", "vault")
    options = ConnectorOptions(fork_batch_ms=80, own_fork_ports=True, media_interface="vault")
    forks = await forks_of(scene, options=options)
    await forks.open()
    opened = scene.engine.sessions["CA1"].forks.values()
    assert [(fork.batch_ms, fork.own_ports, fork.interface) for fork in opened] == [(80, True, "vault")] * 2


async def test_the_connector_may_keep_keys_from_its_server(scene: Scene) -> None:
    for dtmf in (True, False):
        forks = await forks_of(scene, options=ConnectorOptions(dtmf=dtmf))
        await forks.open()
        encodings = {f.encoding for offered in forks.offered for f in offered.formats}
        assert ("TELEPHONE-EVENT" in encodings) is dtmf
        assert {fork.drop_dtmf for fork in scene.engine.sessions["CA1"].forks.values()} == {not dtmf}
        await forks.close()


async def test_streams_and_cnames_are_unique(scene: Scene) -> None:
    """C26, C38, C46."""
    forks = await forks_of(scene)
    await forks.open()
    cnames = [fork.cname for fork in scene.engine.sessions["CA1"].forks.values()]
    assert len({*cnames}) == 2
    assert all(len(cname) == 24 for cname in cnames)
    assert len({offered.stream_id for offered in forks.offered}) == 2


async def test_a_fork_is_pointed_at_the_server(scene: Scene) -> None:
    forks = await forks_of(scene)
    await forks.open()
    remote = RemoteAddress("192.0.2.50", 6000, "192.0.2.51", 6009)
    await forks.configure([ConfigureFork("inbound", remote, True, (sdp_formats.PCMU,))])
    fork = scene.engine.sessions["CA1"].forks["SR1/inbound"]
    assert (fork.remote, fork.remote_rtcp) == (Address("192.0.2.50", 6000), Address("192.0.2.51", 6009))
    assert (fork.active, fork.formats) == (True, (Format(0, "PCMU", 8000),))
    await forks.configure([ConfigureFork("inbound", None, False, ())])
    assert (fork.remote, fork.remote_rtcp, fork.active) == (None, None, False)


async def test_a_secure_fork_gets_its_keys_and_ports_of_its_own(scene: Scene) -> None:
    await scene.open_media()
    forks = ForkSet(scene.engine, Ids(random.Random(1)), "SR1", scene.call, Track.INBOUND, OPTIONS, is_secure=True)
    await forks.open()
    ours, theirs = (MasterKey(CryptoSuite.AEAD_AES_128_GCM, Secret(key)) for key in ("b3du", "dGhlaXI="))
    await forks.configure([ConfigureFork("inbound", None, True, (sdp_formats.PCMU,), Keying(ours, theirs))])
    fork = scene.engine.sessions["CA1"].forks["SR1/inbound"]
    assert fork.own_ports
    assert (fork.send_key, fork.receive_key) == (
        SrtpKey("AEAD_AES_128_GCM", Secret("b3du")),
        SrtpKey("AEAD_AES_128_GCM", Secret("dGhlaXI=")),
    )


async def test_closing_gives_statistics_and_never_fails(scene: Scene) -> None:
    forks = await forks_of(scene)
    await forks.open()
    scene.engine.fail("close_fork")
    assert set(await forks.close()) == {"outbound"}
    assert await forks.close() == {}


async def test_after_a_failure_all_that_may_be_open_is_closed(scene: Scene) -> None:
    forks = await forks_of(scene)
    await scene.engine.open_fork("CA1", "SR1/outbound", endpoint="a", side=Side.OUTBOUND, cname="x")
    with pytest.raises(MediaEngineError):
        await forks.open()
    assert set(await forks.close()) == {"inbound", "outbound"}
    assert scene.engine.sessions["CA1"].forks == {}


async def test_which_forks_are_mine(scene: Scene) -> None:
    forks = await forks_of(scene, Track.INBOUND)
    assert forks.is_mine("SR1/inbound")
    assert not forks.is_mine("SR1/outbound")
    assert not forks.is_mine("SR2/inbound")


def test_formats_in_sdp() -> None:
    assert to_sdp(Format(101, "TELEPHONE-EVENT", 8000)) == sdp_formats.EVENTS
    assert to_sdp(Format(0, "PCMU", 8000)) == sdp_formats.PCMU
