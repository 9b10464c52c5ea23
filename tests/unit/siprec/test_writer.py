import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

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
from sidestream.siprec.reader import read
from sidestream.siprec.strict import check_strict
from sidestream.siprec.writer import escaped, write

TIME = "2026-03-02T09:15:02.640118Z"
EVERYTHING = Recording(
    DataMode.COMPLETE,
    groups=(Group("Z3JvdXAtb2YtMTYtYnl0ZQ==", TIME, TIME),),
    sessions=(
        Session(
            "+b6VvL1RRW24nrRQxci3lw==",
            ("ab30317f1a784dc48ff824d0d3715d86;remote=47755a9de7794ba387653f2099600ef2",),
            (Reason(16, "Q.850", "Normal <call> clearing"),),
            "Z3JvdXAtb2YtMTYtYnl0ZQ==",
            TIME,
            TIME,
            ExtensionParameters("urn:sidestream:siprec:parameters", (("Callee", 'Marsh & "Sons"\n'),)),
        ),
    ),
    participants=(
        Participant(
            "4/uAfbN0RWqLbFijp+5A/Q==", (NameId("sip:ada@example.com", "Ada Field", "en"), NameId("tel:+1415"))
        ),
    ),
    streams=(
        Stream("SiVoBgVqT0KlDFNIWOucRg==", "+b6VvL1RRW24nrRQxci3lw==", "inbound"),
        Stream("e1gTxFOPT+OR9nesj5OZnA=="),
    ),
    session_recordings=(SessionRecording("+b6VvL1RRW24nrRQxci3lw==", TIME, TIME),),
    participant_sessions=(
        ParticipantSession("4/uAfbN0RWqLbFijp+5A/Q==", "+b6VvL1RRW24nrRQxci3lw==", TIME, TIME, (("isfocus", "true"),)),
    ),
    participant_streams=(
        ParticipantStream(
            "4/uAfbN0RWqLbFijp+5A/Q==", ("SiVoBgVqT0KlDFNIWOucRg==",), ("e1gTxFOPT+OR9nesj5OZnA==",), TIME, TIME
        ),
    ),
)
LAYOUT = """<?xml version="1.0" encoding="UTF-8"?>
<recording xmlns="urn:ietf:params:xml:ns:recording:1">
  <datamode>complete</datamode>
  <group group_id="Z3JvdXAtb2YtMTYtYnl0ZQ==">
    <associate-time>2026-03-02T09:15:02.640118Z</associate-time>
    <disassociate-time>2026-03-02T09:15:02.640118Z</disassociate-time>
  </group>
  <session session_id="+b6VvL1RRW24nrRQxci3lw==">
    <sipSessionID>ab30317f1a784dc48ff824d0d3715d86;remote=47755a9de7794ba387653f2099600ef2</sipSessionID>
    <reason cause="16" protocol="Q.850">Normal &lt;call&gt; clearing</reason>
    <group-ref>Z3JvdXAtb2YtMTYtYnl0ZQ==</group-ref>
    <start-time>2026-03-02T09:15:02.640118Z</start-time>
    <stop-time>2026-03-02T09:15:02.640118Z</stop-time>
    <ExtensionParameters xmlns="urn:sidestream:siprec:parameters">
      <Parameter name="Callee" value="Marsh &amp; &quot;Sons&quot;&#10;"/>
    </ExtensionParameters>
  </session>
  <participant participant_id="4/uAfbN0RWqLbFijp+5A/Q==">
    <nameID aor="sip:ada@example.com">
      <name xml:lang="en">Ada Field</name>
    </nameID>
    <nameID aor="tel:+1415"/>
  </participant>
  <stream stream_id="SiVoBgVqT0KlDFNIWOucRg==" session_id="+b6VvL1RRW24nrRQxci3lw==">
    <label>inbound</label>
  </stream>
  <stream stream_id="e1gTxFOPT+OR9nesj5OZnA=="/>
  <sessionrecordingassoc session_id="+b6VvL1RRW24nrRQxci3lw==">
    <associate-time>2026-03-02T09:15:02.640118Z</associate-time>
    <disassociate-time>2026-03-02T09:15:02.640118Z</disassociate-time>
  </sessionrecordingassoc>
  <participantsessionassoc participant_id="4/uAfbN0RWqLbFijp+5A/Q==" session_id="+b6VvL1RRW24nrRQxci3lw==">
    <associate-time>2026-03-02T09:15:02.640118Z</associate-time>
    <disassociate-time>2026-03-02T09:15:02.640118Z</disassociate-time>
    <param pname="isfocus" pval="true"/>
  </participantsessionassoc>
  <participantstreamassoc participant_id="4/uAfbN0RWqLbFijp+5A/Q==">
    <send>SiVoBgVqT0KlDFNIWOucRg==</send>
    <recv>e1gTxFOPT+OR9nesj5OZnA==</recv>
    <associate-time>2026-03-02T09:15:02.640118Z</associate-time>
    <disassociate-time>2026-03-02T09:15:02.640118Z</disassociate-time>
  </participantstreamassoc>
</recording>
"""


def test_the_layout_of_a_document() -> None:
    """C30, X4: UTF-8, the namespace as default, every element in the order of the schema, CRLF."""
    assert write(EVERYTHING).decode() == LAYOUT.replace("\n", "\r\n")


def test_every_element_is_valid(schema: etree.XMLSchema) -> None:
    document = etree.fromstring(write(EVERYTHING))
    assert schema.validate(document), schema.error_log
    assert [problem.check for problem in check_strict(write(EVERYTHING), None)] == ["X9"]


def test_what_is_written_reads_back() -> None:
    reading = read(write(EVERYTHING))
    assert reading.problems == ()
    assert reading.recording == EVERYTHING


@pytest.mark.parametrize(
    ("text", "written"),
    [("a\x00b\x0b\ud800c\ufffe", "abc"), ("<&>\"'", "&lt;&amp;&gt;&quot;'"), ("a\tb\r\n", "a&#9;b&#13;&#10;")],
)
def test_text_is_escaped_and_freed_of_forbidden_characters(text: str, written: str) -> None:
    """I17: values from callers must not break the document."""
    assert escaped(text) == written


@given(st.text(), st.text())
def test_any_text_gives_a_well_formed_document(name: str, value: str) -> None:
    session = Session("+b6VvL1RRW24nrRQxci3lw==", extension=ExtensionParameters("urn:x", ((name, value),)))
    participant = Participant("4/uAfbN0RWqLbFijp+5A/Q==", (NameId("sip:a@b", name),))
    document = write(Recording(DataMode.PARTIAL, sessions=(session,), participants=(participant,)))
    assert document.endswith(b"</recording>\r\n")
    root = etree.fromstring(document)
    parameter = root.find(".//{urn:x}Parameter")
    assert parameter is not None
    assert escaped(parameter.get("value") or "") == escaped(value)
