"""A machine with several addresses: each peer's media goes by the one that the configuration names."""

import re
from collections.abc import AsyncIterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from sidestream.app.config import load
from sidestream.app.platform import Platform
from sidestream.demo.judgement import judge_recording
from sidestream.testing.comparison import compare
from sidestream.testing.phone.phone import SipPhone
from sidestream.testing.speech import AGENT, CALLER

from .platforms import accepted_siprec, configuration, descriptions, free_port

HOST = "127.0.0.1"
PUBLIC, INSIDE, VAULT = "127.0.0.2", "127.0.0.3", "127.0.0.4"
TALK_PACKETS = 30

pytestmark = pytest.mark.skipif(
    find_spec("sidestream._native") is None, reason="the native module is not built (make build)"
)

CONFIG = """
[[media.interfaces]]
name = "public"
address = "{public}"
[[media.interfaces]]
name = "inside"
address = "{inside}"
[[media.interfaces]]
name = "vault"
address = "{vault}"
[srs]
port = {srs}
[[trunks]]
name = "bob"
outbound = "{bob}"
media_interface = "inside"
[[connectors]]
name = "recorder"
srs = "sip:srs@{host}:{srs};transport=tcp"
media_interface = "vault"
[[numbers]]
number = "1000"
twiml = '''<Response><Start><Siprec connectorName="recorder"/></Start>
<Dial answerOnBridge="true">+15005550006</Dial></Response>'''
"""


@pytest.fixture
async def phones() -> AsyncIterator[list[SipPhone]]:
    phones = [SipPhone(name, speech=speech) for name, speech in (("alice", CALLER), ("bob", AGENT))]
    for phone in phones:
        await phone.start()
    yield phones
    for phone in phones:
        await phone.close()


@pytest.fixture
async def platform(tmp_path: Path, media_ports: tuple[int, int], phones: list[SipPhone]) -> AsyncIterator[Platform]:
    config = tmp_path / "sidestream.toml"
    addresses = {"public": PUBLIC, "inside": INSIDE, "vault": VAULT, "host": HOST, "srs": free_port()}
    addresses["bob"] = f"sip:{HOST}:{phones[1].port}"
    config.write_text(configuration(tmp_path, media_ports, CONFIG, **addresses))
    platform = Platform(load(config, {}))
    await platform.start()
    yield platform
    await platform.stop()


def _host(body: bytes) -> str:
    (host,) = set(re.findall(rb"^c=IN IP4 (\S+)", body, re.MULTILINE))
    return bytes(host).decode()


async def test_each_peers_media_goes_by_its_own_address(platform: Platform, phones: list[SipPhone]) -> None:
    alice, bob = phones
    outgoing = alice.call(f"sip:1000@{HOST}:{platform.services.driver.addresses['udp-0'][1]}")
    incoming = await bob.wait_for_call()
    assert _host(incoming.request.body) == INSIDE
    incoming.answer()
    await outgoing.answered()
    assert outgoing.media.remote is not None
    assert _host(outgoing.media.remote.to_bytes()) == PUBLIC
    await outgoing.heard(TALK_PACKETS)
    await incoming.heard(TALK_PACKETS)
    assert compare(incoming.heard_samples(), outgoing.sent_samples()).equal
    outgoing.bye()
    await incoming.ended()


async def test_a_recorders_media_comes_from_its_connectors_address(platform: Platform, phones: list[SipPhone]) -> None:
    alice, bob = phones
    outgoing = alice.call(f"sip:1000@{HOST}:{platform.services.driver.addresses['udp-0'][1]}")
    incoming = await bob.wait_for_call()
    incoming.answer()
    await outgoing.answered()
    siprec = await accepted_siprec(platform)
    assert [_host(sdp) for sdp in descriptions(platform) if b"a=label:" in sdp] == [VAULT]
    for phone in (outgoing, incoming):
        await phone.heard(len(phone.stream.received) + TALK_PACKETS)
    outgoing.bye()
    await incoming.ended()
    speech = {"inbound": outgoing.sent_samples(), "outbound": incoming.sent_samples()}
    kept = await judge_recording(platform.config.data_dir / "recordings", siprec.sip_call_id or "", speech, 10.0)
    assert kept.problems == []
    assert min(kept.packets.values()) >= TALK_PACKETS
