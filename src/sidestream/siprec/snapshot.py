"""The state of a recorded call, and the metadata documents that tell it."""

from dataclasses import dataclass
from datetime import datetime

from sidestream.base.clock import iso_micros
from sidestream.siprec.aor import clean_aor
from sidestream.siprec.metadata import (
    DataMode,
    ExtensionParameters,
    Group,
    NameId,
    Participant,
    ParticipantSession,
    ParticipantStream,
    Reason,
    Recording,
    Session,
    SessionRecording,
    Stream,
)

INBOUND = "inbound"  # label of what the first party says
OUTBOUND = "outbound"  # label of what the first party hears: the other side


@dataclass(frozen=True, slots=True)
class Party:
    """Someone on the call. `participant_id` stays the same for the whole call, whoever records it."""

    participant_id: str
    aor: str
    name: str | None
    joined_at: datetime
    left_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A call at one moment. `parties`: first the party of the leg on which recording was started, then the other.

    `inbound_sending`: the first party's audio is flowing; `outbound_sending`: the other's. False is hold.
    """

    session_id: str
    started_at: datetime
    parties: tuple[Party, ...]
    inbound_sending: bool = True
    outbound_sending: bool = True
    group_id: str | None = None  # of sessions that belong together (B3)


@dataclass(frozen=True, slots=True)
class RecordingContext:
    """What the documents of one recording session share: streams by label, and the custom parameters."""

    streams: tuple[tuple[str, str], ...]  # (label, stream id), in the order of the m-lines
    associated_at: datetime
    extension: ExtensionParameters | None = None


def complete(snapshot: Snapshot, context: RecordingContext) -> Recording:
    """A full snapshot (C18); allowed at any time (C19)."""
    session_id = snapshot.session_id
    return Recording(
        DataMode.COMPLETE,
        groups=() if snapshot.group_id is None else (Group(snapshot.group_id, iso_micros(snapshot.started_at)),),
        sessions=(
            Session(
                session_id,
                group_ref=snapshot.group_id,
                start_time=iso_micros(snapshot.started_at),
                extension=context.extension,
            ),
        ),
        participants=tuple(
            Participant(party.participant_id, (NameId(clean_aor(party.aor), party.name or None),))
            for party in snapshot.parties
        ),
        streams=tuple(Stream(stream_id, session_id, label) for label, stream_id in context.streams),
        # C48, RFC 7865 §6.4.1: the session's id in each sessionrecordingassoc.
        session_recordings=(SessionRecording(session_id, iso_micros(context.associated_at)),),
        participant_sessions=tuple(
            ParticipantSession(party.participant_id, session_id, iso_micros(party.joined_at), _time(party.left_at))
            for party in snapshot.parties
        ),
        participant_streams=_streams(snapshot, dict(context.streams)),
    )


def call_ended(snapshot: Snapshot, at: datetime, reason: Reason | None = None) -> Recording:
    """The last document of a call that is over: its session stops and whoever is still in it leaves."""
    moment = iso_micros(at)
    return Recording(
        DataMode.PARTIAL,
        sessions=(Session(snapshot.session_id, reasons=() if reason is None else (reason,), stop_time=moment),),
        participant_sessions=tuple(
            ParticipantSession(party.participant_id, snapshot.session_id, disassociate_time=moment)
            for party in snapshot.parties
            if party.left_at is None
        ),
    )


def recording_ended(snapshot: Snapshot, at: datetime) -> Recording:
    """The last document to a recorder while the call goes on: the session only leaves this recording session."""
    return Recording(
        DataMode.PARTIAL,
        session_recordings=(SessionRecording(snapshot.session_id, disassociate_time=iso_micros(at)),),
    )


def _streams(snapshot: Snapshot, stream_ids: dict[str, str]) -> tuple[ParticipantStream, ...]:
    """Who sends and receives which stream. An association without either says: neither.

    C31, C49, RFC 7865 §6.8.1: on hold the held party has no `send` and the holder no `recv` of that stream.
    """
    inbound = [stream_ids[INBOUND]] if snapshot.inbound_sending and INBOUND in stream_ids else []
    outbound = [stream_ids[OUTBOUND]] if snapshot.outbound_sending and OUTBOUND in stream_ids else []
    associations = []
    for index, party in enumerate(snapshot.parties):
        send, recv = (inbound, outbound) if index == 0 else (outbound, inbound)
        if party.left_at is not None:
            send, recv = [], []
        associations.append(ParticipantStream(party.participant_id, tuple(send), tuple(recv)))
    return tuple(associations)


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else iso_micros(moment)
