"""Identifiers and random values: the only source of chance in the project."""

import base64
import random
import string
import uuid

_ALPHANUMERIC = string.ascii_letters + string.digits

AUTH_TOKEN_LENGTH = 32  # alphanumeric: the go client library refuses any other character in a credential


class Ids:
    """Makes every identifier and random number; seed `rng` for a repeatable run.

    The default draws from the operating system (`random.SystemRandom`), so tokens are fit for credentials.
    """

    def __init__(self, rng: random.Random | None = None) -> None:
        self._rng = rng if rng is not None else random.SystemRandom()

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
        return base64.b64encode(uuid.UUID(bytes=self._rng.randbytes(16), version=4).bytes).decode("ascii")

    def integer(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        return self._rng.randint(low, high)

    def fraction(self, low: float, high: float) -> float:
        """A number from `low` to `high`, evenly spread."""
        return self._rng.uniform(low, high)

    def octets(self, count: int) -> bytes:
        """`count` random octets."""
        return self._rng.randbytes(count)
