"""A recorded call, as its owner tells it to the recording."""

from dataclasses import dataclass
from datetime import datetime

from sidestream.media.engine import Format
from sidestream.siprec.snapshot import Party, Snapshot


@dataclass(frozen=True, slots=True)
class RecordedParty:
    """A party of the call. `participant_id` is a base64 UUID that it keeps for the whole call (RFC 7865 §6.10).

    `aor` is the URI of its leg in any spelling; what must not stand in metadata is removed on the way there.
    """

    participant_id: str
    aor: str
    name: str | None
    joined_at: datetime


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """The call at one moment; make a new one on each change (answer, hold, leave) and hand it to `update`.

    `parties`: first the party of the leg on which recording was started, then the other, None before there is one.
    `formats`: what both directions of that leg may carry. `media_session` and `endpoint` name the leg in the media
    engine. `*_sending`: whether the first party's (inbound) and the other's (outbound) audio flows; False is hold.
    `is_secure`: that leg has SRTP, so its recording must have it too (C39).
    """

    call_sid: str
    account_sid: str
    session_id: str  # base64 UUID of the communication session
    started_at: datetime
    parties: tuple[RecordedParty, RecordedParty | None]
    formats: tuple[Format, ...]
    media_session: str
    endpoint: str
    inbound_sending: bool = True
    outbound_sending: bool = True
    is_secure: bool = False
    group_id: str | None = None  # base64 UUID of the sessions that belong together, after a transfer

    def snapshot(self) -> Snapshot:
        """The call as metadata tells it."""
        parties = tuple(
            Party(party.participant_id, party.aor, party.name, party.joined_at)
            for party in self.parties
            if party is not None
        )
        return Snapshot(
            self.session_id,
            self.started_at,
            parties,
            self.inbound_sending,
            self.outbound_sending,
            self.group_id,
        )
