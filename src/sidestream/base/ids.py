"""Identifiers and random values: the only source of chance in the project."""

import base64
import os
import random
import string

_ALPHANUMERIC = string.ascii_letters + string.digits

AUTH_TOKEN_LENGTH = 32  # alphanumeric: the go client library refuses any other character in a credential


STOCK_OCTETS = 4096  # fetched from the operating system at a time: a call needs some 400, in 30 pieces


class Ids:
    """Makes every identifier and random number; seed `rng` for a repeatable run.

    The default draws from the operating system (`random.SystemRandom`), so tokens are fit for credentials.
    """

    def __init__(self, rng: random.Random | None = None) -> None:
        self._rng = rng if rng is not None else _SystemChance()

    def sid(self, prefix: str) -> str:
        """A Twilio-style SID: two capital letters and 32 hex digits, such as CA0123…."""
        return prefix + self.hex(32)

    def hex(self, digits: int) -> str:
        """`digits` lower-case hex digits."""
        return self._rng.randbytes((digits + 1) // 2).hex()[:digits]

    def auth_token(self) -> str:
        """A secret of 32 alphanumeric characters (190 bits)."""
        return "".join(self._rng.choices(_ALPHANUMERIC, k=AUTH_TOKEN_LENGTH))

    def uuid_base64(self) -> str:
        """A version-4 UUID as base64: the 24-character id of RFC 7865 §6.10."""
        octets = bytearray(self._rng.randbytes(16))
        # RFC 9562 §5.4: the version in the upper half of octet 6, the variant in the upper two bits of octet 8.
        octets[6] = octets[6] & 0x0F | 0x40
        octets[8] = octets[8] & 0x3F | 0x80
        return base64.b64encode(octets).decode("ascii")

    def integer(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        return self._rng.randint(low, high)

    def fraction(self, low: float, high: float) -> float:
        """A number from `low` to `high`, evenly spread."""
        return self._rng.uniform(low, high)

    def octets(self, count: int) -> bytes:
        """`count` random octets."""
        return self._rng.randbytes(count)


class _SystemChance(random.SystemRandom):
    """The operating system's octets, fetched by the thousand, for each fetch is a system call. None is used twice."""

    def __init__(self) -> None:
        super().__init__()
        self._stock = b""
        self._used = 0
        self._owner = 0

    def randbytes(self, n: int) -> bytes:
        begin, end = self._used, self._used + n
        # A child process must not draw what its parent draws.
        if end > len(self._stock) or self._owner != os.getpid():
            self._stock, self._owner = os.urandom(max(STOCK_OCTETS, n)), os.getpid()
            begin, end = 0, n
        self._used = end
        return self._stock[begin:end]
