from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidestream.siprec.metadata import (
    DataMode,
    ExtensionParameters,
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
from sidestream.siprec.writer import escaped, write

TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=6)


def recording(inner: str, *, root: str = "recording", ns: str = "urn:ietf:params:xml:ns:recording:1") -> Recording:
    found = read(f'<{root} xmlns="{ns}">{inner}</{root}>'.encode())
    assert found.recording is not None
    return found.recording


def problems(inner: str) -> tuple[str, ...]:
    return read(f'<recording xmlns="urn:ietf:params:xml:ns:recording:1">{inner}</recording>'.encode()).problems


@pytest.mark.parametrize(
    ("root", "ns"),
    [
        ("recording", "urn:ietf:params:xml:ns:recording:1"),
        ("recording", "urn:ietf:params:xml:ns:recording"),
        ("recording_metadata", "urn:ietf:params:xml:ns:siprec"),
    ],
)
def test_any_namespace_and_either_root(root: str, ns: str) -> None:
    """I6."""
    assert recording("<session session_id='1'/>", root=root, ns=ns).sessions == (Session("1"),)


def test_a_prefix_is_no_matter() -> None:
    """I6."""
    found = read(b"<tns:recording xmlns:tns='urn:x'><tns:stream stream_id='a'/></tns:recording>")
    assert found.recording is not None
    assert found.recording.streams == (Stream("a"),)


@pytest.mark.parametrize(
    ("element", "mode"),
    [
        ("", DataMode.COMPLETE),
        ("<datamode>partial</datamode>", DataMode.PARTIAL),
        ("<dataMode> Complete </dataMode>", DataMode.COMPLETE),
        ("<datamode>some</datamode>", DataMode.COMPLETE),
    ],
)
def test_data_modes(element: str, mode: DataMode) -> None:
    """I7, X1: absent means complete; case and blanks are forgiven."""
    assert recording(element).data_mode is mode


def test_elements_in_any_order() -> None:
    """I7, X12: associations before what they refer to, elements interleaved, foreign ones ignored."""
    found = recording(
        "<participantstreamassoc participant_id='p'><recv>s2</recv><send>s1</send></participantstreamassoc>"
        "<x:thing xmlns:x='urn:x'/><stream label='no' stream_id='s1' session_id=' c '><label> inbound </label></stream>"
        "<participant participant_id='p'><nameID aor='sip:a@b'><name xml:lang='de'>Ada</name></nameID></participant>"
        "<session session_id='c'><stop-time>2</stop-time><start-time>1</start-time></session>"
        "<participantsessionassoc session_id='c' participant_id='p'><associate-time>1</associate-time>"
        "<param pname='isfocus' pval='x'/><param/></participantsessionassoc>"
        "<sessionrecordingassoc session_id='c'><disassociate-time>3</disassociate-time></sessionrecordingassoc>"
    )
    assert found.sessions == (Session("c", start_time="1", stop_time="2"),)
    assert found.streams == (Stream("s1", "c", "inbound"),)
    assert found.participants == (Participant("p", (NameId("sip:a@b", "Ada", "de"),)),)
    assert found.participant_streams == (ParticipantStream("p", ("s1",), ("s2",)),)
    assert found.participant_sessions == (ParticipantSession("p", "c", "1", None, (("isfocus", "x"), ("", ""))),)
    assert found.session_recordings == (SessionRecording("c", None, "3"),)


def test_groups_reasons_and_parameters() -> None:
    found = recording(
        "<group group_id='g'/><session session_id='c'><sipSessionID>x</sipSessionID><group-ref>g</group-ref>"
        "<reason cause='486'>Busy</reason><reason cause='lots' protocol='Q.850'/>"
        "<x:ExtensionParameters xmlns:x='urn:x'><x:Parameter name='Role' value='in '/><x:Parameter name='R2'>v"
        "</x:Parameter><x:Parameter/></x:ExtensionParameters></session>"
    )
    assert [group.group_id for group in found.groups] == ["g"]
    assert found.sessions == (
        Session(
            "c",
            ("x",),
            (Reason(486, "SIP", "Busy"), Reason(0, "Q.850", "")),
            "g",
            extension=ExtensionParameters("urn:x", (("Role", "in "), ("R2", "v"), ("", ""))),
        ),
    )


def test_parameters_without_a_namespace() -> None:
    """X2 as a receiver meets it."""
    found = read(b"<recording><session session_id='c'><ExtensionParameters/></session></recording>")
    assert found.recording is not None
    assert found.recording.sessions[0].extension == ExtensionParameters("", ())


def test_addresses_as_elements_and_links_inside_participants() -> None:
    """I7, I9: aor as an element, of nameID or of the participant; send and recv inside it, with an id inside them."""
    found = recording(
        "<participant id='1'><nameID><aor>sip:a@b</aor><name> </name></nameID><send>s1</send>"
        "<recv><id>s2</id></recv><recv/></participant>"
        "<participant participant='2'><aor>tel:+1</aor></participant>"
        "<participant participant_id='3'><name>Bob</name></participant>"
        "<stream id='s1' session='c'/>"
    )
    assert found.participants == (
        Participant("1", (NameId("sip:a@b"),)),
        Participant("2", (NameId("tel:+1"),)),
        Participant("3", (NameId("", "Bob"),)),
    )
    assert found.participant_streams == (ParticipantStream("1", ("s1",), ("s2",)),)
    assert found.streams == (Stream("s1", "c"),)


def test_several_associations_of_one_participant_are_joined() -> None:
    one = "<participantstreamassoc participant_id='p'><send>s1</send></participantstreamassoc>"
    two = "<participantstreamassoc participant_id='p'><send>s1</send><recv>s2</recv></participantstreamassoc>"
    assert recording(one + two).participant_streams == (ParticipantStream("p", ("s1",), ("s2",)),)


@pytest.mark.parametrize("own", ["ab30317f-1a78-4dc4", "urn:uuid:1", "1", "sip:a@b", "", "!!!!"])
def test_ids_are_opaque(own: str) -> None:
    """I8, X5: any text, even none, is an id."""
    assert recording(f"<session session_id='{own}'/>").sessions == (Session(own),)


def test_an_id_of_two_elements_counts_for_the_first() -> None:
    """S10: the same id for two different elements is an error; that portion is ignored."""
    inner = "<session session_id='x'/><stream stream_id='x'/><session session_id='x'/>"
    assert recording(inner).streams == ()
    assert recording(inner).sessions == (Session("x"),)
    assert problems(inner) == ("the id of stream 'x' belongs to another element",)


def test_elements_without_an_id_are_problems() -> None:
    inner = (
        "<group/><session/><participant/><stream/><sessionrecordingassoc/><participantstreamassoc/>"
        "<participantsessionassoc participant_id='1'/><participant participant_id='p'/>"
    )
    assert problems(inner) == (
        "group without group_id",
        "session without session_id",
        "participant without participant_id",
        "stream without stream_id",
        "sessionrecordingassoc without session_id",
        "participantstreamassoc without participant_id",
        "participantsessionassoc without session_id",
        "participant 'p' has no nameID",
    )


def test_a_document_of_only_a_data_mode() -> None:
    """S23, X11: a persistent recording session without calls."""
    assert recording("<datamode>complete</datamode>") == Recording(DataMode.COMPLETE)


def test_a_snapshot_request() -> None:
    """S9, C21."""
    ns = "xmlns='urn:ietf:params:xml:ns:recording:1'"
    found = read(f"<requestsnapshot {ns}><requestreason>lost</requestreason></requestsnapshot>".encode())
    assert (found.recording, found.snapshot_reason, found.problems) == (None, "lost", ())
    assert read(f"<requestsnapshot {ns}/>".encode()).snapshot_reason == ""


def test_what_is_no_metadata() -> None:
    assert read(b"<html/>").problems == ("unknown root element 'html'",)
    found = read(b"no xml at all")
    assert found.recording is None
    assert found.snapshot_reason is None
    assert len(found.problems) == 1


NAMES = st.sampled_from(
    [
        "recording",
        "session",
        "participant",
        "nameID",
        "name",
        "aor",
        "stream",
        "label",
        "send",
        "recv",
        "id",
        "param",
        "datamode",
        "reason",
        "group",
        "participantstreamassoc",
        "participantsessionassoc",
        "sessionrecordingassoc",
        "ExtensionParameters",
        "Parameter",
    ]
)
ATTRIBUTES = st.dictionaries(st.sampled_from(["id", "session_id", "stream_id", "participant_id", "aor"]), TEXTS)
TREES = st.recursive(
    st.tuples(NAMES, ATTRIBUTES, TEXTS, st.just([])),
    lambda inner: st.tuples(NAMES, ATTRIBUTES, TEXTS, st.lists(inner, max_size=4)),
    max_leaves=20,
)


def element(tree: tuple[str, dict[str, str], str, list[Any]]) -> str:
    name, attributes, text, children = tree
    written = "".join(f' {key}="{escaped(value)}"' for key, value in attributes.items())
    return f"<{name}{written}>{escaped(text)}{''.join(element(child) for child in children)}</{name}>"


@given(st.lists(TREES, max_size=6))
def test_any_arrangement_of_elements_is_read(trees: list[Any]) -> None:
    """X12: whatever links exist make the model, and what was read can be written and read again."""
    found = read(f"<recording>{''.join(element(tree) for tree in trees)}</recording>".encode())
    assert found.recording is not None
    again = read(write(found.recording)).recording
    assert again is not None
    assert len(again.sessions) == len(found.recording.sessions)


@given(st.binary(max_size=300), st.none() | st.text(max_size=12))
def test_any_octets_are_read_or_reported(data: bytes, charset: str | None) -> None:
    found = read(data, charset)
    assert found.recording is not None or found.problems or found.snapshot_reason is not None
