"""Who is at the other end of a leg."""

from dataclasses import dataclass

from sidestream.base.ids import Ids
from sidestream.sip.values import NameAddr


@dataclass(frozen=True, slots=True)
class Party:
    """As the recording's metadata name it. `participant_id`: RFC 7865 §6.5, the same in every recording of the call."""

    participant_id: str
    aor: str
    name: str | None


def party_of(address: NameAddr, ids: Ids) -> Party:
    """The party of a From, To or P-Asserted-Identity value."""
    return Party(ids.uuid_base64(), str(address.uri), address.display_name or None)
