"""Every timer of RFC 3261 §17 (table 4) and RFC 6026 in one frozen value."""

from dataclasses import dataclass
from enum import StrEnum


class Timer(StrEnum):
    """The timers of the four transactions; each value says what its expiry means."""

    A = "client INVITE: retransmit the request (UDP)"
    B = "client INVITE: no response at all, give up"
    D = "client INVITE: no more retransmitted final responses will come"
    E = "client non-INVITE: retransmit the request (UDP)"
    F = "client non-INVITE: no final response, give up"
    G = "server INVITE: retransmit the final response (UDP)"
    H = "server INVITE: no ACK came, give up"
    I = "server INVITE: no more retransmitted ACKs will come"  # noqa: E741  RFC 3261's own name
    J = "server non-INVITE: no more retransmitted requests will come"
    K = "client non-INVITE: no more retransmitted responses will come"
    L = "server INVITE: no more retransmitted INVITEs will come after a 2xx (RFC 6026)"
    M = "client INVITE: no more 2xx of other forks will come (RFC 6026)"


@dataclass(frozen=True, slots=True)
class Timers:
    """The three base values, in seconds; everything else follows from them (RFC 3261 §17.1.1.1, table 4)."""

    t1: float = 0.5  # estimated round-trip time
    t2: float = 4.0  # longest interval between retransmissions of non-INVITE requests and INVITE responses
    t4: float = 5.0  # longest time a message stays in the network
    # RFC 3261 §17.1.1.2: at least 32 seconds, for the peer's T1 (and so its timer H) is not known to us.
    d: float = 32.0  # timer D over unreliable transports

    @property
    def patience(self) -> float:
        """64*T1: timers B, F, H, J, L and M, and the wait for the ACK of a 2xx."""
        return 64 * self.t1

    @classmethod
    def fast(cls) -> "Timers":
        """A hundredth of every value, for tests that run on real sockets."""
        return cls(t1=0.005, t2=0.04, t4=0.05, d=0.32)
