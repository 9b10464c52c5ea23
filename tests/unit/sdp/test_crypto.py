import base64

import pytest

from sidestream.base.secret import Secret
from sidestream.sdp.crypto import Crypto, CryptoSuite, MasterKey

KEY = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"  # 30 octets, the example of RFC 4568 §4
SUITE = CryptoSuite.AES_CM_128_HMAC_SHA1_80


def key_of(octets: int) -> str:
    return base64.b64encode(bytes(range(octets))).decode()


@pytest.mark.parametrize(
    ("suite", "octets"),
    [
        ("AES_CM_128_HMAC_SHA1_80", 30),
        ("AES_CM_128_HMAC_SHA1_32", 30),
        ("AES_256_CM_HMAC_SHA1_80", 46),
        ("AES_256_CM_HMAC_SHA1_32", 46),
        ("AEAD_AES_128_GCM", 28),
        ("AEAD_AES_256_GCM", 44),
    ],
)
def test_each_suite_is_read_and_written_with_its_length_of_key(suite: str, octets: int) -> None:
    crypto = Crypto.parse(f"7 {suite} inline:{key_of(octets)}")
    assert crypto == Crypto(7, MasterKey(CryptoSuite(suite), Secret(key_of(octets))))
    assert str(crypto.to_line()) == f"a=crypto:7 {suite} inline:{key_of(octets)}"
    for wrong in (octets - 1, octets + 1):
        assert Crypto.parse(f"7 {suite} inline:{key_of(wrong)}") is None


@pytest.mark.parametrize(
    ("value", "mki"),
    [
        (f"1 {SUITE} inline:{KEY}", ""),
        (f"1  {SUITE.lower()}\tINLINE:{KEY}", ""),  # RFC 4234 §2.3: literals know no case
        (f"1 {SUITE} inline:{KEY}|1", ""),
        (f"1 {SUITE} inline:{KEY}|2^48", ""),
        (f"1 {SUITE} inline:{KEY}|281474976710656", ""),
        (f"1 {SUITE} inline:{KEY}|2^20|1:4", "00000001"),
        (f"1 {SUITE} inline:{KEY}|1066:4", "0000042a"),
        (f"1 {SUITE} inline:{KEY}|255:1", "ff"),
        (f"1 {SUITE} inline:{KEY}|1:128", "00" * 127 + "01"),
        (f"1 {SUITE} inline:{KEY} WSH=64 -FUTURE=1", ""),
    ],
)
def test_lifetime_mark_and_harmless_parameters_are_taken(value: str, mki: str) -> None:
    assert Crypto.parse(value) == Crypto(1, MasterKey(SUITE, Secret(KEY), mki))


def test_missing_padding_is_no_fault() -> None:
    padded = key_of(28)
    assert padded.endswith("==")
    crypto = Crypto.parse(f"1 AEAD_AES_128_GCM inline:{padded.rstrip('=')}")
    assert crypto is not None
    assert crypto.key.key.reveal() == padded


@pytest.mark.parametrize(
    "value",
    [
        "",
        f"1 {SUITE}",
        f"x {SUITE} inline:{KEY}",
        f"1234567890 {SUITE} inline:{KEY}",
        f"1 F8_128_HMAC_SHA1_80 inline:{KEY}",
        f"1 {SUITE} uri:{KEY}",
        f"1 {SUITE} inline:{KEY[:-1]}",
        f"1 {SUITE} inline:{KEY[:-1]}*",
        f"1 {SUITE} inline:AAAAA",
        f"1 {SUITE} inline:{KEY};inline:{KEY}",
        f"1 {SUITE} inline:{KEY}|2^49",
        f"1 {SUITE} inline:{KEY}|281474976710657",
        f"1 {SUITE} inline:{KEY}|0",
        f"1 {SUITE} inline:{KEY}|010",
        f"1 {SUITE} inline:{KEY}|1:129",
        f"1 {SUITE} inline:{KEY}|256:1",
        f"1 {SUITE} inline:{KEY}|1:0",
        f"1 {SUITE} inline:{KEY} KDR=1",
        f"1 {SUITE} inline:{KEY} UNENCRYPTED_SRTP",
        f"1 {SUITE} inline:{KEY} UNENCRYPTED_SRTCP",
        f"1 {SUITE} inline:{KEY} UNAUTHENTICATED_SRTP",
        f"1 {SUITE} inline:{KEY} FEC_ORDER=FEC_SRTP",
        f"1 {SUITE} inline:{KEY} FEC_KEY=inline:{KEY}",
        f"1 {SUITE} inline:{KEY} WSH=0",
        f"1 {SUITE} inline:{KEY} FUTURE",
    ],
)
def test_what_is_invalid_or_not_supported_cannot_be_taken(value: str) -> None:
    assert Crypto.parse(value) is None


def test_no_key_shows_in_text() -> None:
    crypto = Crypto.parse(f"1 {SUITE} inline:{KEY}")
    assert KEY not in f"{crypto!r} {crypto}"
