"""Who is at the other end of a leg."""

from dataclasses import dataclass

from sidestream.base.ids import Ids
from sidestream.sip.values import NameAddr


@dataclass(frozen=True, slots=True)
class Party:
    """As the recording's metadata name it. `participant_id`: RFC 7865 §6.5, the same in every recording of the call.

    `home` is the trunk or domain that it was reached by, or proved to belong to; None for neither: this machine, or an
    address that was called as it stands. `accepts_refer`: whether it may transfer the call.
    """

    participant_id: str
    aor: str
    name: str | None
    home: str | None = None
    accepts_refer: bool = True


def party_of(address: NameAddr, ids: Ids, *, home: str | None = None, accepts_refer: bool = True) -> Party:
    """The party of a From, To or P-Asserted-Identity value."""
    return Party(ids.uuid_base64(), str(address.uri), address.display_name or None, home, accepts_refer)


def trunk_home(name: str) -> str:
    """What `Party.home` is for the parties of that trunk."""
    return f"trunk {name}"


def domain_home(name: str) -> str:
    """What `Party.home` is for the users of that domain."""
    return f"domain {name}"
