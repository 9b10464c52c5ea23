from dataclasses import replace
from datetime import UTC, datetime

from sidestream.siprec.metadata import (
    DataMode,
    ParticipantSession,
    ParticipantStream,
    Recording,
    SessionRecording,
    Stream,
)
from sidestream.siprec.snapshot import RecordingContext, Snapshot, call_ended, complete
from sidestream.siprec.state import merged

IN, OUT = "SiVoBgVqT0KlDFNIWOucRg==", "e1gTxFOPT+OR9nesj5OZnA=="
ADA = "4/uAfbN0RWqLbFijp+5A/Q=="


def test_a_complete_document_replaces_everything(call: Snapshot, context: RecordingContext) -> None:
    first = complete(call, context)
    assert merged(Recording(DataMode.COMPLETE, streams=(Stream("gone"),)), first).recording == first
    assert not merged(None, first).wants_snapshot


def test_a_partial_document_changes_what_it_names(call: Snapshot, context: RecordingContext) -> None:
    """S20: an association replaces the one of its participant; everything else stays."""
    first = complete(call, context)
    held = Recording(DataMode.PARTIAL, participant_streams=(ParticipantStream(ADA, (), (OUT,)),))
    after = merged(first, held)
    assert after.problems == ()
    assert after.recording.participant_streams == (ParticipantStream(ADA, (), (OUT,)), first.participant_streams[1])
    assert replace(after.recording, participant_streams=first.participant_streams) == first


def test_the_end_of_a_call_keeps_its_beginning(call: Snapshot, context: RecordingContext) -> None:
    first = complete(call, context)
    after = merged(first, call_ended(call, datetime(2026, 3, 2, 9, 21, tzinfo=UTC))).recording
    assert after.sessions[0].start_time == first.sessions[0].start_time
    assert after.sessions[0].stop_time == "2026-03-02T09:21:00.000000Z"
    assert after.participant_sessions[1].associate_time == first.participant_sessions[1].associate_time


def test_what_refers_to_nothing_is_kept_and_reported() -> None:
    """S20, S23: a partial document before any complete one; unknown ids."""
    document = Recording(
        DataMode.PARTIAL,
        streams=(Stream("s"),),
        session_recordings=(SessionRecording("c"),),
        participant_sessions=(ParticipantSession("p", "c"),),
        participant_streams=(ParticipantStream("p", ("s",), ("t",)),),
    )
    after = merged(None, document)
    assert after.wants_snapshot
    assert after.recording == replace(document, data_mode=DataMode.COMPLETE)
    assert after.problems == (
        "a partial document came before any complete one",
        "session 'c' is unknown",
        "session 'c' is unknown",
        "participant 'p' is unknown",
        "participant 'p' is unknown",
        "stream 't' is unknown",
    )
