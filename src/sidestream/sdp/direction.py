"""The direction of a media stream (RFC 3264 §5.1), as its describer sees it."""

from enum import StrEnum


class Direction(StrEnum):
    SENDRECV = "sendrecv"
    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    INACTIVE = "inactive"

    @staticmethod
    def of(*, sends: bool, receives: bool) -> "Direction":
        if sends:
            return Direction.SENDRECV if receives else Direction.SENDONLY
        return Direction.RECVONLY if receives else Direction.INACTIVE

    @property
    def sends(self) -> bool:
        return self in (Direction.SENDRECV, Direction.SENDONLY)

    @property
    def receives(self) -> bool:
        return self in (Direction.SENDRECV, Direction.RECVONLY)

    @property
    def reversed(self) -> "Direction":
        """The same stream as the other side sees it."""
        return Direction.of(sends=self.receives, receives=self.sends)

    def within(self, other: "Direction") -> "Direction":
        """What both allow: `SENDRECV.within(RECVONLY)` is `RECVONLY`."""
        return Direction.of(sends=self.sends and other.sends, receives=self.receives and other.receives)
