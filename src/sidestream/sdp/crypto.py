"""`a=crypto` lines: the keys of an SRTP stream, as its sender describes them (RFC 4568)."""

import base64
import binascii
import re
from dataclasses import dataclass
from enum import StrEnum

from sidestream.base.secret import Secret
from sidestream.sdp.lines import Line

MKI_LIMIT = 128  # octets, RFC 4568 §6.1
LIFETIME_LIMIT = 2**48  # packets, RFC 3711 §9.2

_GCM_SALT = 12  # octets, RFC 7714 §12
_CM_SALT = 14  # octets, RFC 3711 §8.2


class CryptoSuite(StrEnum):
    """The suites that the media engine knows (RFC 4568 §6.2, RFC 6188 §4, RFC 7714 §14.2)."""

    AES_CM_128_HMAC_SHA1_80 = "AES_CM_128_HMAC_SHA1_80"
    AES_CM_128_HMAC_SHA1_32 = "AES_CM_128_HMAC_SHA1_32"
    AES_256_CM_HMAC_SHA1_80 = "AES_256_CM_HMAC_SHA1_80"
    AES_256_CM_HMAC_SHA1_32 = "AES_256_CM_HMAC_SHA1_32"
    AEAD_AES_128_GCM = "AEAD_AES_128_GCM"
    AEAD_AES_256_GCM = "AEAD_AES_256_GCM"

    @property
    def key_octets(self) -> int:
        """Octets of master key and master salt together."""
        return (32 if "256" in self.value else 16) + (_GCM_SALT if self.value.startswith("AEAD") else _CM_SALT)


@dataclass(frozen=True, slots=True)
class MasterKey:
    """What one side protects with: base64 of master key and salt, and the octets, in hex, that mark its packets.

    A receiver needs of `mki` only how long it is. "" is no mark.
    """

    suite: CryptoSuite
    key: Secret
    mki: str = ""


@dataclass(frozen=True, slots=True)
class Crypto:
    """One `a=crypto` line. `tag` ties an answer to the line of the offer that it takes."""

    tag: int
    key: MasterKey

    @classmethod
    def parse(cls, value: str) -> "Crypto | None":
        """The line behind `a=crypto:`; None for one that is invalid or wants what we do not do, so cannot be taken."""
        # RFC 4568 §9.1: tag, suite, key parameters, then session parameters.
        fields = value.split()
        if len(fields) < 3 or not _TAG.fullmatch(fields[0]) or not all(map(_is_harmless, fields[3:])):
            return None
        suite = _SUITES.get(fields[1].upper())
        parsed = None if suite is None else _parse_key(suite, fields[2])
        return None if parsed is None else cls(int(fields[0]), parsed)

    def to_line(self) -> Line:
        """The line with the key in it. Lifetime and mark are left out: the defaults are what our engine does."""
        return Line("a", f"crypto:{self.tag} {self.key.suite.value} inline:{self.key.key.reveal()}")


_SUITES = {suite.value: suite for suite in CryptoSuite}
_TAG = re.compile(r"[0-9]{1,9}")
# RFC 4568 §9.2: key and salt, lifetime, MKI with its length; §6.1 forbids leading zeroes in the numbers.
_INLINE = re.compile(
    r"(?i:inline):(?P<key>[A-Za-z0-9+/]+={0,2})"
    r"(?:\|(?P<power>2\^)?(?P<lifetime>[1-9][0-9]{0,14}))?"
    r"(?:\|(?P<mki>[1-9][0-9]{0,308}):(?P<length>[1-9][0-9]{0,2}))?"
)
_WINDOW_HINT = re.compile(r"WSH=[1-9][0-9]+")


def _is_harmless(parameter: str) -> bool:
    """Whether a session parameter changes nothing for us.

    Those that switch off protection, KDR and FEC do, and so does any unknown one that is not marked as optional
    (RFC 4568 §6.3.7). The window hint may be ignored (RFC 4568 §6.3.6).
    """
    return parameter.startswith("-") or _WINDOW_HINT.fullmatch(parameter) is not None


def _parse_key(suite: CryptoSuite, text: str) -> MasterKey | None:
    # Several keys with an MKI each: RFC 4568 §6.1 allows it, no known peer does it, our engine takes one.
    match = _INLINE.fullmatch(text)
    if match is None or not _lifetime_fits(match["lifetime"], is_power=match["power"] is not None):
        return None
    body = match["key"].rstrip("=")
    try:
        # RFC 4568 §6.1: padding is discarded, so its absence is no fault.
        octets = base64.b64decode(body + "=" * (-len(body) % 4), validate=True)
    except binascii.Error:
        return None
    mki = _mki(match["mki"], match["length"])
    if len(octets) != suite.key_octets or mki is None:
        return None
    return MasterKey(suite, Secret(base64.b64encode(octets).decode("ascii")), mki)


def _lifetime_fits(digits: str | None, *, is_power: bool) -> bool:
    if digits is None:
        return True
    # RFC 4568 §6.1: a lifetime that is too large makes the line invalid. A shorter one is its sender's own business:
    # it brings a new key in time.
    return int(digits) <= LIFETIME_LIMIT.bit_length() - 1 if is_power else int(digits) <= LIFETIME_LIMIT


def _mki(digits: str | None, length: str | None) -> str | None:
    """The mark in hex, big-endian (RFC 4568 §6.1); None for one that does not fit its length."""
    if digits is None or length is None:
        return ""
    octets = int(length)
    if octets > MKI_LIMIT or int(digits).bit_length() > 8 * octets:
        return None
    return int(digits).to_bytes(octets).hex()
