"""A running recording session written down as plain values."""

from dataclasses import dataclass
from datetime import datetime

from sidestream.siprec.snapshot import Snapshot
from sidestream.siprec.src.lines import Cryptos, LineState, OfferedFork


@dataclass(frozen=True, slots=True)
class SrcImage:
    """What `SrcSession.restore` goes on with. It may hold keys: whoever keeps it has to keep it secret.

    `local`: our last description. `told`: what the server knows of the call; None if it has to be told again.
    """

    forks: tuple[OfferedFork, ...]
    lines: tuple[LineState, ...]
    cryptos: tuple[Cryptos, ...]
    local: bytes
    snapshot: Snapshot
    told: Snapshot | None
    associated_at: datetime
