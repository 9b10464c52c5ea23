"""One process: a call recorded by the bundled recording server over TLS and SRTP, and the configuration reloaded."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

from sidestream.app.config import load
from sidestream.app.platform import Platform
from sidestream.demo.judgement import judge_recording
from sidestream.testing.certificates import Authority
from sidestream.testing.phone.phone import SipPhone
from sidestream.testing.speech import AGENT, CALLER

from .platforms import ACCOUNT, accepted_siprec, configuration, descriptions, free_port

HOST = "127.0.0.1"
TALK_PACKETS = 120

pytestmark = pytest.mark.skipif(
    find_spec("sidestream._native") is None, reason="the native module is not built (make build)"
)

CONFIG = """
[tls]
certificate = "{certificate}"
key = "{key}"
ca = "{ca}"
[srs]
port = 0
tls_port = {srs}
[[trunks]]
name = "bob"
outbound = "sip:{host}:{bob}"
[[connectors]]
name = "secure"
srs = "sip:srs@{host}:{srs};transport=tls;secure=true"
[[numbers]]
number = "{number}"
twiml = '''<Response><Start><Siprec connectorName="secure"/></Start>
<Dial answerOnBridge="true"><Number>+15551234567</Number></Dial></Response>'''
"""


@dataclass
class House:
    platform: Platform
    alice: SipPhone
    bob: SipPhone
    file: Path
    ports: tuple[int, int]
    values: dict[str, object]

    def write(self, **changes: object) -> None:
        values = self.values | changes
        self.file.write_text(configuration(self.file.parent, self.ports, CONFIG, second="tls", **values))

    def uri(self, number: str) -> str:
        return f"sip:{number}@{HOST}:{self.platform.services.driver.addresses['udp-0'][1]}"


@pytest.fixture
async def house(tmp_path: Path, media_ports: tuple[int, int]) -> AsyncIterator[House]:
    authority = Authority(tmp_path)
    certificate, key = authority.issue("sidestream", addresses=(HOST,))
    alice, bob = SipPhone("alice", speech=CALLER), SipPhone("bob", speech=AGENT)
    await alice.start()
    await bob.start()
    values: dict[str, object] = {
        "certificate": certificate,
        "key": key,
        "ca": authority.path,
        "srs": free_port(),
        "host": HOST,
        "bob": bob.port,
        "number": "1000",
    }
    file = tmp_path / "sidestream.toml"
    file.write_text(configuration(tmp_path, media_ports, CONFIG, second="tls", **values))
    platform = Platform(load(file, {}))
    await platform.start()
    yield House(platform, alice, bob, file, media_ports, values)
    await alice.close()
    await bob.close()
    await platform.stop()


async def test_a_call_is_recorded_over_tls_and_srtp_by_the_server_in_the_box(
    house: House, capfd: pytest.CaptureFixture[str]
) -> None:
    dialled = house.alice.call(house.uri("1000"))
    answered = await house.bob.wait_for_call()
    answered.answer()
    await dialled.answered()
    siprec = await accepted_siprec(house.platform)
    assert siprec.srs_uri is not None
    assert "transport=tls" in siprec.srs_uri
    assert [b"RTP/SAVP" in sdp for sdp in descriptions(house.platform) if b"a=label:" in sdp] == [True]
    for phone in (dialled, answered):
        await phone.heard(len(phone.stream.received) + TALK_PACKETS)
    dialled.bye()
    await answered.ended()
    speech = {"inbound": dialled.sent_samples(), "outbound": answered.sent_samples()}
    recordings = house.platform.config.data_dir / "recordings"
    kept = await judge_recording(recordings, siprec.sip_call_id or "", speech, 10.0)
    assert kept.problems == []
    assert min(kept.packets.values()) >= TALK_PACKETS
    assert "inline:" not in "".join(capfd.readouterr())


async def test_a_reload_is_for_the_next_call_and_the_present_one_goes_on(house: House) -> None:
    dialled = house.alice.call(house.uri("1000"))
    answered = await house.bob.wait_for_call()
    answered.answer()
    await dialled.answered()
    house.write(number="2000", token="u" * 32, bob=house.bob.port)
    left = await house.platform.reload(load(house.file, {}))
    assert left == ()
    refused = house.alice.call(house.uri("1000"))
    await refused.ended()
    assert refused.status == 404
    welcome = house.alice.call(house.uri("2000"))
    second = await house.bob.wait_for_call()
    second.answer()
    await welcome.answered()
    assert house.platform.accounts.authenticate(ACCOUNT, "u" * 32) is not None
    await dialled.heard(len(dialled.stream.received) + 10)
    for call in (dialled, welcome):
        call.bye()
    await answered.ended()
    await second.ended()


async def test_what_a_reload_cannot_take_is_said(house: House) -> None:
    house.write(srs=free_port())
    assert await house.platform.reload(load(house.file, {})) == ("srs",)
