"""SRTP through the real engine, opened and protected at the other end by libsrtp."""

import random
from importlib.util import find_spec

import pytest

from sidestream.base.ids import Ids
from sidestream.media.engine import Address, EndpointStatistics, Format, Side, SrtpKey
from sidestream.sdp.crypto import CryptoSuite
from sidestream.sdp.keying import Keying, new_cryptos
from sidestream.testing.comparison import compare
from sidestream.testing.phone.srtp import SRTP_SUITES, SrtpCipher
from sidestream.testing.phone.stream import RtpStream

PCMU = Format(0, "PCMU", 8000)
EVENTS = Format(101, "TELEPHONE-EVENT", 8000)

pytestmark = pytest.mark.skipif(
    find_spec("sidestream._native") is None, reason="the native module is not built (make build)"
)


class Keys:
    """Keys for one leg or fork: those for the engine, and the cipher for its peer."""

    def __init__(self, suite: CryptoSuite, seed: int) -> None:
        ids = Ids(random.Random(seed))
        (send,), (receive,) = (new_cryptos(ids, (suite,)) for _ in range(2))
        self.engine = {
            name: SrtpKey(suite.value, crypto.key.key)
            for name, crypto in (("send_key", send), ("receive_key", receive))
        }
        self.peer = SrtpCipher(Keying(receive.key, send.key))


async def secure(bridge, endpoint: str, party: RtpStream, keys: Keys) -> None:
    await bridge.engine.configure_endpoint(
        "CA1", endpoint, remote=Address(party.host, party.port), formats=(PCMU, EVENTS), **keys.engine
    )
    party._cipher = keys.peer  # before a packet passes, as offer and answer would have it


async def statistics_of(bridge, endpoint: str) -> EndpointStatistics:
    return (await bridge.engine.session_statistics("CA1")).endpoints[endpoint]


def direct(bridge, ciphers: dict[str, SrtpCipher]) -> None:
    for name, party, ports in (("a", bridge.caller, bridge.a), ("b", bridge.agent, bridge.b)):
        party.direct(bridge.TALK, (ports.host, ports.rtp), (ports.host, ports.rtcp), ciphers.get(name))


@pytest.mark.parametrize("suite", SRTP_SUITES)
async def test_a_secure_leg_and_a_plain_leg_hear_each_other_sample_for_sample(bridge, suite: CryptoSuite) -> None:
    keys = Keys(suite, 1)
    await secure(bridge, "a", bridge.caller, keys)
    direct(bridge, {"a": keys.peer})
    await bridge.both_heard(30)
    await bridge.until(lambda: bridge.agent.received_reports and bridge.caller.received_reports, "reports both ways")
    for party, cipher in ((bridge.caller, keys.peer), (bridge.agent, None)):
        party.direct(None, cipher=cipher)
    for speaker, listener in ((bridge.caller, bridge.agent), (bridge.agent, bridge.caller)):
        await bridge.until(lambda one=speaker, other=listener: len(other.received) == len(one.sent), "all of it")
        assert compare(bridge.heard(listener), bridge.said(speaker)).whole
        assert listener.refused == listener.unparsable == 0
        assert listener.received_reports[0][1] == 200
    counted = await statistics_of(bridge, "a")
    assert (counted.packets_received, counted.packets_sent) == (len(bridge.caller.sent), len(bridge.agent.sent))
    assert (counted.unauthenticated, counted.replayed, counted.unprotected, counted.lost) == (0, 0, 0, 0)


async def test_two_secure_legs_and_a_secure_fork_have_keys_of_their_own(bridge) -> None:
    legs = {"a": Keys(CryptoSuite.AES_CM_128_HMAC_SHA1_80, 1), "b": Keys(CryptoSuite.AEAD_AES_256_GCM, 2)}
    await secure(bridge, "a", bridge.caller, legs["a"])
    await secure(bridge, "b", bridge.agent, legs["b"])
    fork, srs = Keys(CryptoSuite.AES_CM_128_HMAC_SHA1_80, 3), bridge.listener()
    srs.direct(None, cipher=fork.peer)
    await bridge.engine.open_fork(
        "CA1", "SR1/inbound", endpoint="a", side=Side.INBOUND, cname="x@sidestream", own_ports=True
    )
    await bridge.engine.configure_fork(
        "CA1", "SR1/inbound", remote=Address(srs.host, srs.port), active=True, formats=(PCMU, EVENTS), **fork.engine
    )
    direct(bridge, {name: keys.peer for name, keys in legs.items()})
    await bridge.both_heard(60)
    await bridge.until(lambda: srs.received_reports, "a report of the fork")
    for party, keys in ((bridge.caller, legs["a"]), (bridge.agent, legs["b"])):
        party.direct(None, cipher=keys.peer)
    await bridge.until(lambda: len(srs.received) == len(bridge.caller.sent), "all of the fork")
    assert compare(bridge.heard(srs), bridge.said(bridge.caller)).whole
    assert compare(bridge.heard(bridge.agent), bridge.said(bridge.caller)).whole
    assert [stream.refused for stream in (bridge.caller, bridge.agent, srs)] == [0, 0, 0]
    counted = (await bridge.engine.session_statistics("CA1")).forks["SR1/inbound"]
    assert (counted.packets_sent, counted.unprotected) == (len(srs.received), 0)


async def test_what_is_not_authentic_is_counted_and_goes_nowhere(bridge) -> None:
    keys = Keys(CryptoSuite.AES_CM_128_HMAC_SHA1_80, 1)
    await secure(bridge, "a", bridge.caller, keys)
    # The agent is heard before and after; the caller speaks without a key.
    direct(bridge, {})
    await bridge.until(lambda: len(bridge.caller.sent) >= 20, "20 packets")
    bridge.hush()

    async def all_counted() -> bool:
        return (await statistics_of(bridge, "a")).unauthenticated >= len(bridge.caller.sent)

    for _ in range(500):
        if await all_counted():
            break
    counted = await statistics_of(bridge, "a")
    assert counted.unauthenticated == len(bridge.caller.sent)
    assert (counted.packets_received, len(bridge.agent.received)) == (0, 0)
