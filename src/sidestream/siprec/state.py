"""A recording's metadata as it grows: complete documents replace it, partial ones change it (RFC 7866 §9.1, S20)."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields, replace
from typing import TypeVar

from sidestream.siprec.metadata import (
    DataMode,
    Group,
    Participant,
    ParticipantSession,
    ParticipantStream,
    Recording,
    Session,
    SessionRecording,
    Stream,
)

T = TypeVar("T", Group, Session, Participant, Stream, SessionRecording, ParticipantSession, ParticipantStream)


@dataclass(frozen=True, slots=True)
class Merged:
    """The state after one more document, and what did not fit. `wants_snapshot`: ask for a full one, once (S20)."""

    recording: Recording
    problems: tuple[str, ...] = ()

    @property
    def wants_snapshot(self) -> bool:
        return bool(self.problems)


def merged(state: Recording | None, document: Recording) -> Merged:
    """`state` changed by the next document, in the order of arrival. What refers to unknown ids is kept (S20, S23)."""
    if document.data_mode is DataMode.COMPLETE:
        return Merged(document)
    problems = []
    if state is None:
        # S20: a partial document before any full one: keep what is usable.
        problems.append("a partial document came before any complete one")
        state = Recording(DataMode.COMPLETE)
    result = Recording(
        DataMode.COMPLETE,
        groups=_changed(state.groups, document.groups, lambda group: group.group_id),
        sessions=_changed(state.sessions, document.sessions, lambda session: session.session_id),
        participants=_changed(state.participants, document.participants, lambda party: party.participant_id),
        streams=_changed(state.streams, document.streams, lambda stream: stream.stream_id),
        session_recordings=_changed(
            state.session_recordings, document.session_recordings, lambda assoc: assoc.session_id
        ),
        participant_sessions=_changed(
            state.participant_sessions,
            document.participant_sessions,
            lambda assoc: (assoc.participant_id, assoc.session_id),
        ),
        participant_streams=_changed(
            state.participant_streams, document.participant_streams, lambda assoc: assoc.participant_id
        ),
    )
    return Merged(result, (*problems, *_unknown(result, document)))


def _changed(old: Iterable[T], new: Iterable[T], key: Callable[[T], object]) -> tuple[T, ...]:
    elements = {key(element): element for element in old}
    for element in new:
        earlier = elements.get(key(element))
        elements[key(element)] = element if earlier is None else _over(earlier, element)
    return tuple(elements.values())


def _over(earlier: T, later: T) -> T:
    """`later` with what it leaves out filled from `earlier`: a session's last document has no start-time, for one.

    But who sends and receives what is always said whole: an association without `send` means that nothing is sent.
    """
    absent = {field.name for field in fields(later) if getattr(later, field.name) in (None, ())} - {"send", "recv"}
    return replace(later, **{name: getattr(earlier, name) for name in absent})


def _unknown(state: Recording, document: Recording) -> Iterator[str]:
    """The ids that `document` refers to and that are nowhere defined."""
    sessions = {session.session_id for session in state.sessions}
    participants = {participant.participant_id for participant in state.participants}
    streams = {stream.stream_id for stream in state.streams}
    wanted = [("session", assoc.session_id, sessions) for assoc in document.session_recordings]
    for in_session in document.participant_sessions:
        wanted.append(("session", in_session.session_id, sessions))
        wanted.append(("participant", in_session.participant_id, participants))
    for media in document.participant_streams:
        wanted.append(("participant", media.participant_id, participants))
        wanted += [("stream", stream_id, streams) for stream_id in media.send + media.recv]
    for kind, found, known in wanted:
        if found not in known:
            yield f"{kind} {found[:60]!r} is unknown"
