from dataclasses import replace
from datetime import UTC, datetime

from lxml import etree

from sidestream.siprec.metadata import DataMode, ExtensionParameters, ParticipantStream, Reason
from sidestream.siprec.snapshot import RecordingContext, Snapshot, call_ended, complete, recording_ended
from sidestream.siprec.state import merged
from sidestream.siprec.strict import check_strict
from sidestream.siprec.writer import write

IN, OUT = "SiVoBgVqT0KlDFNIWOucRg==", "e1gTxFOPT+OR9nesj5OZnA=="
ADA, DESK = "4/uAfbN0RWqLbFijp+5A/Q==", "L0yHiwMvSo6sbfgjQ2s37g=="
ENDED = datetime(2026, 3, 2, 9, 21, 47, 3910, UTC)

FIRST_INVITE = """<?xml version="1.0" encoding="UTF-8"?>
<recording xmlns="urn:ietf:params:xml:ns:recording:1">
  <datamode>complete</datamode>
  <session session_id="+b6VvL1RRW24nrRQxci3lw==">
    <start-time>2026-03-02T09:15:02.640118Z</start-time>
    <ExtensionParameters xmlns="urn:sidestream:siprec:parameters">
      <Parameter name="Role" value="inbound"/>
      <Parameter name="CalleeDisplayName" value="Marsh &amp; Sons, front desk"/>
    </ExtensionParameters>
  </session>
  <participant participant_id="4/uAfbN0RWqLbFijp+5A/Q==">
    <nameID aor="sip:+14155550142@pstn.example.com">
      <name>Ada Field</name>
    </nameID>
  </participant>
  <participant participant_id="L0yHiwMvSo6sbfgjQ2s37g==">
    <nameID aor="sip:desk@marsh.example.org"/>
  </participant>
  <stream stream_id="SiVoBgVqT0KlDFNIWOucRg==" session_id="+b6VvL1RRW24nrRQxci3lw==">
    <label>inbound</label>
  </stream>
  <stream stream_id="e1gTxFOPT+OR9nesj5OZnA==" session_id="+b6VvL1RRW24nrRQxci3lw==">
    <label>outbound</label>
  </stream>
  <sessionrecordingassoc session_id="+b6VvL1RRW24nrRQxci3lw==">
    <associate-time>2026-03-02T09:15:04.218733Z</associate-time>
  </sessionrecordingassoc>
  <participantsessionassoc participant_id="4/uAfbN0RWqLbFijp+5A/Q==" session_id="+b6VvL1RRW24nrRQxci3lw==">
    <associate-time>2026-03-02T09:15:02.640118Z</associate-time>
  </participantsessionassoc>
  <participantsessionassoc participant_id="L0yHiwMvSo6sbfgjQ2s37g==" session_id="+b6VvL1RRW24nrRQxci3lw==">
    <associate-time>2026-03-02T09:15:04.107502Z</associate-time>
  </participantsessionassoc>
  <participantstreamassoc participant_id="4/uAfbN0RWqLbFijp+5A/Q==">
    <send>SiVoBgVqT0KlDFNIWOucRg==</send>
    <recv>e1gTxFOPT+OR9nesj5OZnA==</recv>
  </participantstreamassoc>
  <participantstreamassoc participant_id="L0yHiwMvSo6sbfgjQ2s37g==">
    <send>e1gTxFOPT+OR9nesj5OZnA==</send>
    <recv>SiVoBgVqT0KlDFNIWOucRg==</recv>
  </participantstreamassoc>
</recording>
"""


def test_a_full_snapshot(call: Snapshot, context: RecordingContext) -> None:
    """C18, C47, C48, C49: every party, stream and association, times in UTC with Z."""
    parameters = (("Role", "inbound"), ("CalleeDisplayName", "Marsh & Sons, front desk"))
    context = replace(context, extension=ExtensionParameters("urn:sidestream:siprec:parameters", parameters))
    assert write(complete(call, context)).decode() == FIRST_INVITE.replace("\n", "\r\n")


def test_hold_takes_send_and_recv_away(call: Snapshot, context: RecordingContext) -> None:
    """B1, C31: the desk holds Ada, so she sends nothing and the desk receives nothing of it."""
    held = complete(replace(call, inbound_sending=False), context)
    assert held.participant_streams == (ParticipantStream(ADA, (), (OUT,)), ParticipantStream(DESK, (OUT,), ()))
    assert len(held.streams) == 2


def test_both_held_leaves_empty_associations(call: Snapshot, context: RecordingContext) -> None:
    """B1, C49: an association without send and recv says neither."""
    held = complete(replace(call, inbound_sending=False, outbound_sending=False), context)
    assert held.participant_streams == (ParticipantStream(ADA), ParticipantStream(DESK))
    resumed = complete(call, context)
    assert resumed.participant_streams == (
        ParticipantStream(ADA, (IN,), (OUT,)),
        ParticipantStream(DESK, (OUT,), (IN,)),
    )


def test_one_track_has_one_stream_and_both_parties(call: Snapshot, context: RecordingContext) -> None:
    one = complete(call, replace(context, streams=context.streams[1:]))
    assert [stream.label for stream in one.streams] == ["outbound"]
    assert one.participant_streams == (ParticipantStream(ADA, (), (OUT,)), ParticipantStream(DESK, (OUT,), ()))


def test_a_party_that_left_takes_part_in_no_stream(call: Snapshot, context: RecordingContext) -> None:
    ada, desk = call.parties
    left = complete(replace(call, parties=(ada, replace(desk, left_at=ENDED))), context)
    assert left.participant_sessions[1].disassociate_time == "2026-03-02T09:21:47.003910Z"
    assert left.participant_streams[1] == ParticipantStream(DESK)


def test_the_last_document_of_a_call(call: Snapshot, context: RecordingContext) -> None:
    """B19: the session stops and the parties still in it leave."""
    ada, desk = call.parties
    gone = replace(call, parties=(ada, replace(desk, left_at=ENDED)))
    last = call_ended(gone, ENDED, Reason(16, "Q.850", "Normal call clearing"))
    assert last.data_mode is DataMode.PARTIAL
    assert last.sessions[0].stop_time == "2026-03-02T09:21:47.003910Z"
    assert last.sessions[0].reasons == (Reason(16, "Q.850", "Normal call clearing"),)
    assert [association.participant_id for association in last.participant_sessions] == [ADA]
    assert call_ended(call, ENDED).sessions[0].reasons == ()


def test_a_recording_that_ends_before_its_call(call: Snapshot, context: RecordingContext) -> None:
    last = recording_ended(call, ENDED)
    assert last.sessions == ()
    assert last.session_recordings[0].disassociate_time == "2026-03-02T09:21:47.003910Z"


def test_sessions_after_a_transfer_share_a_group(
    call: Snapshot, context: RecordingContext, schema: etree.XMLSchema
) -> None:
    document = complete(replace(call, group_id="R3JvdXAgb25lIGluIGFsbA=="), context)
    assert document.groups[0].group_id == document.sessions[0].group_ref == "R3JvdXAgb25lIGluIGFsbA=="
    schema.assertValid(etree.fromstring(write(document)))


def test_every_document_is_valid(call: Snapshot, context: RecordingContext, schema: etree.XMLSchema) -> None:
    known = merged(None, complete(call, context)).recording
    for document in (call_ended(call, ENDED, Reason(16)), recording_ended(call, ENDED)):
        xml = write(document)
        assert schema.validate(etree.fromstring(xml)), schema.error_log
        assert check_strict(xml, None, known) == []
    assert schema.validate(etree.fromstring(write(complete(call, context)))), schema.error_log
