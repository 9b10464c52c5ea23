from collections.abc import Callable

import pytest

from sidestream.sip.message import Request
from sidestream.siprec.body import RecordingBody, parse_body
from sidestream.srs import journal as journal_module
from sidestream.srs.archive import Folder
from sidestream.srs.journal import Journal
from sidestream.srs.lines import Line
from sidestream.srs.manifest import Parameter, SessionEntry, State

from .conftest import NOW

RequestOf = Callable[..., Request]


def line(folder: Folder, index: int, label: str | None) -> Line:
    return Line(index, index + 1, label, "PCMU", folder.stream_path(index + 1), "127.0.0.1", 40000 + 2 * index)


@pytest.fixture
def journal(folder: Folder, request_of: RequestOf) -> Journal:
    return Journal(folder, request_of(), NOW)


@pytest.fixture
def lines(folder: Folder) -> list[Line]:
    return [line(folder, 0, "inbound"), line(folder, 1, "outbound")]


def body(text: str) -> RecordingBody:
    return RecordingBody(metadata=text.encode())


def test_who_is_who_comes_from_the_metadata(journal: Journal, lines: list[Line], metadata: str, folder: Folder) -> None:
    journal.take(body(metadata))
    manifest = journal.manifest(lines, State.RECORDING)
    assert [(s.label, s.stream_id, s.participant_aor, s.participant_name) for s in manifest.streams] == [
        ("inbound", "U0E=", "sip:ada@example.com", "Ada Field"),
        ("outbound", "U0I=", "tel:+14155550142", None),
    ]
    assert manifest.parameters == (Parameter("Role", "in & out"),)
    assert manifest.sessions == (SessionEntry(session_id="Q0FMTA==", start_time="2026-03-02T09:15:02.640118Z"),)
    assert manifest.metadata == ("metadata-001.xml",)
    assert (folder.path / "metadata-001.xml").read_bytes() == metadata.encode()
    assert (manifest.sip_call_id, manifest.from_, manifest.to) == (
        "079b93cc@src",
        "sip:src@src.example",
        "sip:srs@recorder.example",
    )


def test_without_labels_the_order_decides(journal: Journal, folder: Folder, metadata: str) -> None:
    journal.take(body(metadata))
    streams = journal.manifest([line(folder, i, None) for i in range(3)], State.RECORDING).streams
    assert [stream.stream_id for stream in streams] == ["U0E=", "U0I=", None]


def test_a_label_that_the_metadata_does_not_know_stays_unknown(journal: Journal, folder: Folder, metadata: str) -> None:
    journal.take(body(metadata))
    streams = journal.manifest([line(folder, 0, "inbound"), line(folder, 1, "third")], State.RECORDING).streams
    assert [stream.stream_id for stream in streams] == ["U0E=", None]


def test_what_is_known_is_kept_when_the_parties_leave(journal: Journal, lines: list[Line], metadata: str) -> None:
    journal.take(body(metadata))
    before = journal.manifest(lines, State.RECORDING).streams
    journal.take(
        body(
            '<recording xmlns="urn:ietf:params:xml:ns:recording:1"><datamode>partial</datamode>'
            '<session session_id="Q0FMTA=="><stop-time>2026-03-02T09:21:47Z</stop-time></session>'
            '<participantstreamassoc participant_id="UEE="/></recording>'
        )
    )
    manifest = journal.manifest(lines, State.COMPLETE, NOW)
    assert manifest.streams == before
    assert manifest.parameters == (Parameter("Role", "in & out"),)
    assert manifest.sessions[0].stop_time == "2026-03-02T09:21:47Z"
    assert manifest.metadata == ("metadata-001.xml", "metadata-002.xml")
    assert manifest.ended == "2026-03-02T09:15:04.250000Z"


def test_a_new_party_on_a_line_replaces_the_old(journal: Journal, lines: list[Line], metadata: str) -> None:
    journal.take(body(metadata))
    journal.manifest(lines, State.RECORDING)
    journal.take(body(metadata.replace("tel:+14155550142", "sip:desk@example.org")))
    assert journal.manifest(lines, State.RECORDING).streams[1].participant_aor == "sip:desk@example.org"


@pytest.mark.parametrize("text", ["<recording", "no xml", "<other/>", "<!DOCTYPE x [<!ENTITY e 'v'>]><recording>&e;"])
def test_metadata_that_cannot_be_read_is_stored_and_noted(
    journal: Journal, lines: list[Line], text: str, folder: Folder
) -> None:
    journal.take(body(text))
    manifest = journal.manifest(lines, State.RECORDING)
    assert manifest.problems
    assert (folder.path / "metadata-001.xml").read_bytes() == text.encode()


def test_a_body_without_metadata_changes_nothing_but_problems(journal: Journal, lines: list[Line]) -> None:
    journal.take(RecordingBody(problems=("odd",)))
    journal.take(RecordingBody(problems=("odd",)))
    manifest = journal.manifest(lines, State.RECORDING)
    assert (manifest.metadata, manifest.problems) == ((), ("odd",))


def test_problems_and_documents_are_bounded(journal: Journal, metadata: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "METADATA_LIMIT", 1)
    for _ in range(3):
        journal.take(body(metadata))
    for number in range(200):
        journal.note(f"problem {number}")
    manifest = journal.manifest([], State.RECORDING)
    assert manifest.metadata == ("metadata-001.xml",)
    assert manifest.problems[0] == "metadata documents after the first 1 are not kept"
    assert len(manifest.problems) == journal_module.PROBLEM_LIMIT


def test_a_full_disk_is_noted(journal: Journal, metadata: str, folder: Folder) -> None:
    folder.discard()
    journal.take(body(metadata))
    manifest = journal.manifest([], State.RECORDING)
    assert manifest.metadata == ()
    assert "could not be written" in manifest.problems[0]
    assert manifest.sessions


@pytest.mark.parametrize(
    ("date", "started"),
    [
        ("Date: Mon, 02 Mar 2026 09:15:01 GMT", "2026-03-02T09:15:01.000000Z"),
        ("Date: Mon, 02 Mar 2026 10:15:01 +0100", "2026-03-02T09:15:01.000000Z"),
        ("Date: Thu, 01 Jan 1970 00:00:10 GMT", "2026-03-02T09:15:04.250000Z"),
        ("Date: sometime", "2026-03-02T09:15:04.250000Z"),
        ("X-Nothing: 1", "2026-03-02T09:15:04.250000Z"),
    ],
)
def test_the_recording_starts_at_a_plausible_date(
    folder: Folder, request_of: RequestOf, date: str, started: str
) -> None:
    manifest = Journal(folder, request_of(extra=(date,)), NOW).manifest([], State.RECORDING)
    assert manifest.started == started


def test_the_multipart_body_of_a_request_is_what_it_takes(
    journal: Journal, request_of: RequestOf, sdp: Callable[..., str], metadata: str
) -> None:
    journal.take(parse_body(request_of(sdp=sdp("sendonly"), metadata=metadata)))
    assert journal.manifest([], State.RECORDING).sessions[0].session_id == "Q0FMTA=="
