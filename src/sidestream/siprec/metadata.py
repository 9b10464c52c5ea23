"""Recording metadata: the model of RFC 7865 §6, one frozen class for each XML element of §9.

Ids are opaque text, compared exactly (our own are base64 UUIDs of `Ids.uuid_base64`). Times are the text that stands on
the wire; ours come from `base.clock.iso_micros`.
"""

from dataclasses import dataclass
from enum import StrEnum

NAMESPACE = "urn:ietf:params:xml:ns:recording:1"  # RFC 7865 §5.1

MEDIA_TYPE = "application/rs-metadata+xml"  # RFC 9806 §2
LEGACY_MEDIA_TYPE = "application/rs-metadata"  # RFC 7866 before it was updated; still sent by many products


class DataMode(StrEnum):
    COMPLETE = "complete"  # all there is: what it does not name is gone
    PARTIAL = "partial"  # changes: what it does not name is unchanged


@dataclass(frozen=True, slots=True)
class ExtensionParameters:
    """Custom parameters of a session, as a foreign element. `namespace` is never the recording namespace."""

    namespace: str
    parameters: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a session ended, of the Reason header field (RFC 3326)."""

    cause: int
    protocol: str = "SIP"
    text: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    group_id: str
    associate_time: str | None = None
    disassociate_time: str | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """A communication session: one recorded call."""

    session_id: str
    sip_session_ids: tuple[str, ...] = ()  # RFC 7989 values, one a leg
    reasons: tuple[Reason, ...] = ()
    group_ref: str | None = None
    start_time: str | None = None
    stop_time: str | None = None
    extension: ExtensionParameters | None = None


@dataclass(frozen=True, slots=True)
class NameId:
    aor: str
    name: str | None = None
    language: str | None = None


@dataclass(frozen=True, slots=True)
class Participant:
    participant_id: str
    name_ids: tuple[NameId, ...]


@dataclass(frozen=True, slots=True)
class Stream:
    """One m-line of the recording session, by the `a=label` of the SDP in the same message."""

    stream_id: str
    session_id: str | None = None
    label: str | None = None


@dataclass(frozen=True, slots=True)
class SessionRecording:
    """`sessionrecordingassoc`: the call is part of this recording session."""

    session_id: str
    associate_time: str | None = None
    disassociate_time: str | None = None


@dataclass(frozen=True, slots=True)
class ParticipantSession:
    """`participantsessionassoc`: who takes part in which call, from when to when."""

    participant_id: str
    session_id: str
    associate_time: str | None = None
    disassociate_time: str | None = None
    params: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ParticipantStream:
    """`participantstreamassoc`: the ids of the streams that a participant sends and receives."""

    participant_id: str
    send: tuple[str, ...] = ()
    recv: tuple[str, ...] = ()
    associate_time: str | None = None
    disassociate_time: str | None = None


@dataclass(frozen=True, slots=True)
class Recording:
    """A metadata document."""

    data_mode: DataMode
    groups: tuple[Group, ...] = ()
    sessions: tuple[Session, ...] = ()
    participants: tuple[Participant, ...] = ()
    streams: tuple[Stream, ...] = ()
    session_recordings: tuple[SessionRecording, ...] = ()
    participant_sessions: tuple[ParticipantSession, ...] = ()
    participant_streams: tuple[ParticipantStream, ...] = ()
