"""A call with SRTP, recorded by TLS and SRTP: the whole platform, the real engine, the reference recording server."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

from sidestream.app.config import load
from sidestream.app.platform import Platform
from sidestream.base.clock import SystemClock
from sidestream.base.ids import Ids
from sidestream.calls.call import Call
from sidestream.demo.judgement import judge_recording
from sidestream.recording.siprec import Siprec, SiprecStatus
from sidestream.sdp.crypto import CryptoSuite
from sidestream.sdp.session import SessionDescription
from sidestream.sip.transport import Transport
from sidestream.srs.config import SrsConfig
from sidestream.srs.server import SrsServer
from sidestream.testing.certificates import Authority
from sidestream.testing.phone.call import PhoneCall
from sidestream.testing.phone.phone import SipPhone
from sidestream.testing.speech import AGENT, CALLER
from sidestream.wire.listener import Listener
from sidestream.wire.tls import TlsSettings

from .platforms import configuration

HOST = "127.0.0.1"
GCM = CryptoSuite.AEAD_AES_256_GCM
CM = CryptoSuite.AES_CM_128_HMAC_SHA1_80
TALK_PACKETS = 120  # of each party, once the recording runs: enough to hear more than a second of speech

pytestmark = pytest.mark.skipif(
    find_spec("sidestream._native") is None, reason="the native module is not built (make build)"
)

CONFIG = """
[tls]
certificate = "{certificate}"
key = "{key}"
ca = "{ca}"
[srs]
enabled = false
[[trunks]]
name = "bob"
outbound = "sip:{host}:{bob}"
media_security = "{security}"
[[connectors]]
name = "secure"
srs = "sip:srs@{host}:{srs};secure=true"
[[connectors]]
name = "best"
srs = "sip:srs@{host}:{srs};secure=true"
srtp_suites = ["AEAD_AES_256_GCM", "AES_CM_128_HMAC_SHA1_80"]
[[connectors]]
name = "plain"
srs = "sip:srs@{host}:{srs};transport=tls"
[[numbers]]
number = "1000"
media_security = "optional"
twiml = '''<Response><Start><Siprec connectorName="{connector}"/></Start>
<Dial answerOnBridge="true"><Number>+15551234567</Number></Dial></Response>'''
"""


@dataclass
class Office:
    platform: Platform
    srs: SrsServer
    alice: SipPhone
    bob: SipPhone
    recordings: Path

    @property
    def number(self) -> str:
        return f"sip:1000@{HOST}:{self.platform.services.driver.addresses['udp-0'][1]}"

    def call(self) -> Call:
        (call,) = [call for call in self.platform.services.live if call.record.direction.value == "inbound"]
        return call

    async def siprec(self, status: SiprecStatus) -> Siprec:
        """The call's Siprec, as soon as it is accepted or has failed."""
        record = self.call().record
        async with asyncio.timeout(10):
            while True:
                (siprec,) = await self.platform.stores.siprecs.find(record.account_sid, record.sid, offset=0, limit=2)
                if siprec.status is status and (siprec.accepted_at or siprec.error_code):
                    return siprec
                await asyncio.sleep(0.02)


@dataclass
class Wanted:
    """How the parties and the connector are set up."""

    alice: tuple[CryptoSuite, ...] = (GCM,)
    bob: tuple[CryptoSuite, ...] = ()
    connector: str = "secure"


@pytest.fixture
async def office(tmp_path: Path, request: pytest.FixtureRequest, media_ports: tuple[int, int]) -> AsyncIterator[Office]:
    wanted: Wanted = request.param
    authority = Authority(tmp_path)
    files = {name: authority.issue(name, addresses=(HOST,)) for name in ("platform", "srs")}
    alice = SipPhone("alice", speech=CALLER, srtp=wanted.alice)
    bob = SipPhone("bob", speech=AGENT, srtp=wanted.bob)
    await alice.start()
    await bob.start()
    srs = SrsServer(
        SrsConfig(
            tmp_path / "recordings",
            (Listener("srs-tls", Transport.TLS, HOST, 0),),
            free_floor=0,
            tls=TlsSettings(*files["srs"], authority.path),
        ),
        engine := _Later(),
        SystemClock(),
        Ids(),
    )
    await srs.start()
    config = tmp_path / "sidestream.toml"
    config.write_text(
        configuration(
            tmp_path,
            media_ports,
            CONFIG,
            second="tls",
            host=HOST,
            bob=bob.port,
            srs=srs.address[1],
            security="required" if wanted.bob else "none",
            connector=wanted.connector,
            certificate=files["platform"][0],
            key=files["platform"][1],
            ca=authority.path,
        )
    )
    platform = Platform(load(config, {}))
    await platform.start()
    engine.become(platform.engine)
    yield Office(platform, srs, alice, bob, tmp_path / "recordings")
    await alice.close()
    await bob.close()
    await srs.close()
    await platform.stop()


class _Later:
    """The platform's media engine, for a server that is made before it."""

    def become(self, engine: object) -> None:
        self._engine = engine

    def __getattr__(self, name: str) -> object:
        return getattr(self._engine, name)


async def connected(office: Office) -> tuple[PhoneCall, PhoneCall]:
    dialled = office.alice.call(office.number)
    answered = await office.bob.wait_for_call()
    answered.answer()
    await dialled.answered()
    return dialled, answered


@pytest.mark.parametrize(
    "office",
    [Wanted(), Wanted(bob=(CM,), connector="best"), Wanted(alice=(), bob=(GCM, CM))],
    indirect=True,
    ids=["secure-plain", "secure-secure", "plain-secure"],
)
async def test_secure_legs_are_recorded_over_srtp_sample_for_sample(
    office: Office, capfd: pytest.CaptureFixture[str]
) -> None:
    dialled, answered = await connected(office)
    siprec = await office.siprec(SiprecStatus.IN_PROGRESS)
    for phone in (dialled, answered):
        await phone.heard(len(phone.stream.received) + TALK_PACKETS)
    keys = _keys(office)
    dialled.bye()
    await answered.ended()
    there, back = dialled.transit_to(answered), answered.transit_to(dialled)
    assert there.clean
    assert back.clean
    assert dialled.stream.refused == answered.stream.refused == 0
    speech = {"inbound": dialled.sent_samples(), "outbound": answered.sent_samples()}
    kept = await judge_recording(office.recordings, siprec.sip_call_id or "", speech, 10.0)
    assert kept.problems == []
    assert min(kept.packets.values()) >= TALK_PACKETS
    assert len(keys) >= 2
    logged = "".join(capfd.readouterr())
    assert "= recorded" in logged
    assert not any(key in logged for key in keys)


@pytest.mark.parametrize("office", [Wanted(connector="plain")], indirect=True)
async def test_a_secure_call_is_not_recorded_in_the_clear_and_goes_on(office: Office) -> None:
    """C39, RFC 7866 §12; C51."""
    dialled, answered = await connected(office)
    siprec = await office.siprec(SiprecStatus.STOPPED)
    assert siprec.error_code == 32208
    assert office.srs.live == 0
    await answered.heard(TALK_PACKETS)
    await dialled.heard(TALK_PACKETS)


@pytest.mark.parametrize("office", [Wanted(alice=(), bob=(CM,))], indirect=True)
async def test_hold_and_resume_keep_the_keys(office: Office) -> None:
    """M4: and the rollover counters with them."""
    dialled, answered = await connected(office)
    await answered.heard(10)
    leg = next(call.leg for call in office.platform.services.live if call.leg.media.is_secure)
    keys = leg.media.local
    await answered.hold()
    await answered.resume()
    heard = len(dialled.stream.received), len(answered.stream.received)
    await dialled.heard(heard[0] + 10)
    await answered.heard(heard[1] + 10)
    assert answered.stream.refused == 0
    assert keys is not None
    assert leg.media.local is not None
    (now,) = leg.media.local.media[0].cryptos
    assert now.key in [crypto.key for crypto in keys.media[0].cryptos]


def _keys(office: Office) -> set[str]:
    """Every key of the call and its recording that a log could have picked up."""
    descriptions: list[SessionDescription | None] = []
    for call in office.platform.services.live:
        descriptions += [call.leg.media.local, call.leg.media.remote]
    return {
        crypto.key.key.reveal()
        for description in descriptions
        if description is not None
        for line in description.media
        for crypto in line.cryptos
    }
