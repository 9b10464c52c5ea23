"""Media ports that no other test has, of this process or another.

Tests of several checkouts run on one machine. An engine that gets a port which another one has just given up hears for
a moment what is still sent there, and takes the sender for its own party.
"""

import random
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

NAME = "sidestream-test-ports"
UNIT = 100  # ports that are claimed at a time
# Around Linux's ephemeral ports, where sockets of any program may appear, and outside a platform's own default range.
RANGES = (range(30_000 // UNIT, 32_700 // UNIT), range(61_000 // UNIT, 65_500 // UNIT))


@contextmanager
def port_block(units: int = 1) -> Iterator[tuple[int, int]]:
    """The first and the last of so many times `UNIT` ports, which are the caller's until the exit.

    Raises RuntimeError if all are claimed.
    """
    starts = [start for within in RANGES for start in within[: max(0, len(within) - units + 1)]]
    random.shuffle(starts)  # so that ports rest before they are used again
    for start in starts:
        with ExitStack() as claims:
            try:
                for unit in range(start, start + units):
                    _claim(unit, claims)
            except OSError:
                continue
            yield start * UNIT, (start + units) * UNIT - 1
            return
    raise RuntimeError("other tests have all media ports")


def _claim(unit: int, claims: ExitStack) -> None:
    # A name in Linux's abstract namespace belongs to one socket and goes with its process. Raises OSError.
    claim = claims.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
    claim.bind(f"\0{NAME}-{unit}")
