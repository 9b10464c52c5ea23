"""The engine's SRTP against libsrtp: what one protects the other opens, and both make the same octets."""

import random
import shutil
import struct
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pylibsrtp import Error, Policy, Session
from pylibsrtp._binding import ffi

pytestmark = pytest.mark.interop

ROOT = Path(__file__).parents[2]
PEER = ROOT / "target" / "debug" / "examples" / "srtp_peer"
BUILD_SECONDS = 600  # a first build of everything, on two slow cores
SSRC = 0x5EED0001

# What libsrtp calls AES-256 in counter mode: cipher, octets of key and salt. Its Python binding has no profile for it.
AES_ICM_256 = (5, 46)


@dataclass(frozen=True)
class Suite:
    name: str
    master: int  # octets of key and salt
    profile: int
    is_256_cm: bool = False


SUITES = [
    Suite("AES_CM_128_HMAC_SHA1_80", 30, Policy.SRTP_PROFILE_AES128_CM_SHA1_80),
    Suite("AES_CM_128_HMAC_SHA1_32", 30, Policy.SRTP_PROFILE_AES128_CM_SHA1_32),
    Suite("AES_256_CM_HMAC_SHA1_80", 46, Policy.SRTP_PROFILE_AES128_CM_SHA1_80, is_256_cm=True),
    Suite("AES_256_CM_HMAC_SHA1_32", 46, Policy.SRTP_PROFILE_AES128_CM_SHA1_32, is_256_cm=True),
    Suite("AEAD_AES_128_GCM", 28, Policy.SRTP_PROFILE_AEAD_AES_128_GCM),
    Suite("AEAD_AES_256_GCM", 44, Policy.SRTP_PROFILE_AEAD_AES_256_GCM),
]


class Refused(Exception):
    """Our side would not take a packet."""


class Ours:
    """A process that holds one SRTP session of the engine."""

    def __init__(self) -> None:
        self._process = subprocess.Popen([PEER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)

    def set_keys(self, suite: Suite, *, sending: bytes, receiving: bytes) -> None:
        self._ask("send", suite.name, sending.hex())
        self._ask("receive", suite.name, receiving.hex())

    def protect(self, packet: bytes) -> bytes:
        return self._ask("protect-rtp", packet.hex())

    def unprotect(self, packet: bytes) -> bytes:
        return self._ask("unprotect-rtp", packet.hex())

    def protect_rtcp(self, packet: bytes) -> bytes:
        return self._ask("protect-rtcp", packet.hex())

    def unprotect_rtcp(self, packet: bytes) -> bytes:
        return self._ask("unprotect-rtcp", packet.hex())

    def close(self) -> None:
        self._process.communicate(timeout=10)
        assert self._process.returncode == 0

    def _ask(self, *words: str) -> bytes:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(" ".join(words) + "\n")
        status, _, rest = self._process.stdout.readline().rstrip("\n").partition(" ")
        if status != "ok":
            raise Refused(rest)
        return bytes.fromhex(rest)


class Theirs:
    """libsrtp in both directions; one of its sessions holds keys of one."""

    def __init__(self, suite: Suite, *, sending: bytes, receiving: bytes) -> None:
        sender = Session(policy(suite, sending, Policy.SSRC_ANY_OUTBOUND))
        receiver = Session(policy(suite, receiving, Policy.SSRC_ANY_INBOUND))
        self.protect, self.protect_rtcp = sender.protect, sender.protect_rtcp
        self.unprotect, self.unprotect_rtcp = receiver.unprotect, receiver.unprotect_rtcp


@dataclass(frozen=True)
class Pair:
    ours: Ours
    theirs: Theirs


@pytest.fixture(scope="session", autouse=True)
def peer() -> None:
    cargo = shutil.which("cargo")
    if cargo is None:
        pytest.skip("cargo is missing")
    build = [cargo, "build", "-q", "-p", "media-core", "--example", "srtp_peer"]
    subprocess.run(build, cwd=ROOT, check=True, timeout=BUILD_SECONDS)


@pytest.fixture
def chance(suite: Suite) -> random.Random:
    return random.Random(suite.name)


@pytest.fixture
def pair(suite: Suite, chance: random.Random) -> Iterator[Pair]:
    from_us, from_them = chance.randbytes(suite.master), chance.randbytes(suite.master)
    ours = Ours()
    ours.set_keys(suite, sending=from_us, receiving=from_them)
    yield Pair(ours, Theirs(suite, sending=from_them, receiving=from_us))
    ours.close()


def policy(suite: Suite, master: bytes, ssrc_type: int) -> Policy:
    """libsrtp's name for a suite and a key, in one direction."""
    if not suite.is_256_cm:
        return Policy(master, ssrc_type, srtp_profile=suite.profile)
    made = Policy(master, ssrc_type, srtp_profile=suite.profile)
    for part in (made._policy.rtp, made._policy.rtcp):
        # srtp_crypto_policy_t begins with cipher_type and cipher_key_len
        fields = ffi.cast("int *", ffi.addressof(part))
        assert (fields[0], fields[1]) == (1, 30), "another layout of libsrtp's srtp_crypto_policy_t"
        fields[0], fields[1] = AES_ICM_256
    return made


def rtp(chance: random.Random, sequence: int, ssrc: int = SSRC) -> bytes:
    """A packet with any header: CSRCs, an extension, a payload of any length."""
    csrcs, extended = chance.randrange(4), chance.randrange(2)
    header = struct.pack(
        "!BBHII", 0x80 | csrcs | extended << 4, chance.randrange(256), sequence & 0xFFFF, chance.getrandbits(32), ssrc
    )
    extension = b""
    if extended:
        words = chance.randrange(4)
        extension = struct.pack("!HH", 0xBEDE, words) + chance.randbytes(4 * words)
    return header + chance.randbytes(4 * csrcs) + extension + chance.randbytes(chance.choice([0, 1, 16, 33, 160, 400]))


def rtcp(chance: random.Random, ssrc: int = SSRC) -> bytes:
    """A sender report, and an application's packet of any length."""
    words = chance.randrange(40)
    report = struct.pack("!BBHI", 0x80, 200, 6, ssrc) + chance.randbytes(20)
    return report + struct.pack("!BBHI", 0x80, 204, 2 + words, ssrc) + b"test" + chance.randbytes(4 * words)


def shuffled(chance: random.Random, items: Iterable[bytes], reach: int = 8) -> list[bytes]:
    """In an order that no item is far from its place in."""
    keyed = sorted((at + chance.random() * reach, item) for at, item in enumerate(items))
    return [item for _, item in keyed]


def cycles(count: int) -> Iterator[int]:
    """Sequence numbers of so many cycles: closely around each wrap, between wraps every 5000th."""
    for cycle in range(count):
        for sequence in (*range(50), *range(50, 65_486, 5000), *range(65_486, 65_536)):
            yield cycle * 65_536 + sequence


@pytest.mark.timeout(BUILD_SECONDS)
@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)
class TestSuite:
    def test_both_make_the_same_octets(self, suite: Suite, chance: random.Random) -> None:
        master = chance.randbytes(suite.master)
        ours, theirs = Ours(), Theirs(suite, sending=master, receiving=master)
        ours.set_keys(suite, sending=master, receiving=master)
        # both count RTCP from where they like: the engine from zero as RFC 3711 says, libsrtp from one
        ours.protect_rtcp(rtcp(chance))
        for sequence in cycles(2):
            packet, report = rtp(chance, sequence), rtcp(chance)
            assert ours.protect(packet) == theirs.protect(packet)
            assert ours.protect_rtcp(report) == theirs.protect_rtcp(report)
        ours.close()

    def test_libsrtp_opens_what_the_engine_protects(self, pair: Pair, chance: random.Random) -> None:
        for sequence in cycles(3):
            packet, report = rtp(chance, sequence), rtcp(chance)
            assert pair.theirs.unprotect(pair.ours.protect(packet)) == packet
            assert pair.theirs.unprotect_rtcp(pair.ours.protect_rtcp(report)) == report

    def test_the_engine_opens_what_libsrtp_protects(self, pair: Pair, chance: random.Random) -> None:
        for sequence in cycles(3):
            packet, report = rtp(chance, sequence), rtcp(chance)
            assert pair.ours.unprotect(pair.theirs.protect(packet)) == packet
            assert pair.ours.unprotect_rtcp(pair.theirs.protect_rtcp(report)) == report

    def test_either_opens_packets_out_of_order_over_a_wrap(self, pair: Pair, chance: random.Random) -> None:
        packets = [rtp(chance, sequence) for sequence in range(65_486, 65_586)]
        by_us = {pair.ours.protect(packet): packet for packet in packets}
        by_them = {pair.theirs.protect(packet): packet for packet in packets}
        for sealed in shuffled(chance, by_us):
            assert pair.theirs.unprotect(sealed) == by_us[sealed]
        for sealed in shuffled(chance, by_them):
            assert pair.ours.unprotect(sealed) == by_them[sealed]

    def test_the_engine_finds_a_stream_whose_beginning_was_lost(self, pair: Pair, chance: random.Random) -> None:
        for sequence in range(65_530, 65_540):
            sealed = pair.theirs.protect(packet := rtp(chance, sequence))
        assert pair.ours.unprotect(sealed) == packet

    def test_each_source_has_its_own_counter(self, pair: Pair, chance: random.Random) -> None:
        for sequence in cycles(2):
            for ssrc, offset in ((1, 0), (2, 40_000)):
                packet = rtp(chance, sequence + offset, ssrc)
                assert pair.theirs.unprotect(pair.ours.protect(packet)) == packet
                assert pair.ours.unprotect(pair.theirs.protect(packet)) == packet

    def test_either_refuses_what_was_changed_or_sent_again(self, pair: Pair, chance: random.Random) -> None:
        by_us, by_them = pair.ours.protect(rtp(chance, 1)), pair.theirs.protect(rtp(chance, 1))
        reports = pair.ours.protect_rtcp(rtcp(chance)), pair.theirs.protect_rtcp(rtcp(chance))
        calls = [
            (pair.theirs.unprotect, Error, by_us),
            (pair.ours.unprotect, Refused, by_them),
            (pair.theirs.unprotect_rtcp, Error, reports[0]),
            (pair.ours.unprotect_rtcp, Refused, reports[1]),
        ]
        for unprotect, error, sealed in calls:
            for at in range(0, len(sealed), 3):
                forged = bytearray(sealed)
                forged[at] ^= 1 << chance.randrange(8)
                with pytest.raises(error):
                    unprotect(bytes(forged))
            unprotect(sealed)
            with pytest.raises(error):
                unprotect(sealed)
