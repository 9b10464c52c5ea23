import pytest

from sidestream.sdp.session import SessionDescription
from sidestream.siprec.metadata import Recording
from sidestream.siprec.reader import read
from sidestream.siprec.strict import Problem, check_strict

DOCUMENT = """<?xml version="1.0" encoding="UTF-8"?>
<recording xmlns="urn:ietf:params:xml:ns:recording:1">
  <datamode>complete</datamode>
  <group group_id="Z3JvdXAtb2YtMTYtYnl0ZQ=="/>
  <session session_id="+b6VvL1RRW24nrRQxci3lw==">
    <sipSessionID>x</sipSessionID>
    <reason cause="16" protocol="Q.850">Normal</reason>
    <group-ref>Z3JvdXAtb2YtMTYtYnl0ZQ==</group-ref>
    <start-time>2026-03-02T09:15:02.640118Z</start-time>
    <ExtensionParameters xmlns="urn:x"/>
  </session>
  <participant participant_id="4/uAfbN0RWqLbFijp+5A/Q==">
    <nameID aor="sip:ada@example.com"><name xml:lang="en">Ada</name></nameID>
  </participant>
  <stream stream_id="SiVoBgVqT0KlDFNIWOucRg==" session_id="+b6VvL1RRW24nrRQxci3lw==">
    <label>inbound</label>
  </stream>
  <stream stream_id="e1gTxFOPT+OR9nesj5OZnA==">
    <label>outbound</label>
  </stream>
  <sessionrecordingassoc session_id="+b6VvL1RRW24nrRQxci3lw=="/>
  <participantsessionassoc participant_id="4/uAfbN0RWqLbFijp+5A/Q==" session_id="+b6VvL1RRW24nrRQxci3lw==">
    <param pname="a" pval="b"/>
  </participantsessionassoc>
  <participantstreamassoc participant_id="4/uAfbN0RWqLbFijp+5A/Q==">
    <send>SiVoBgVqT0KlDFNIWOucRg==</send>
    <recv>e1gTxFOPT+OR9nesj5OZnA==</recv>
  </participantstreamassoc>
</recording>
"""


def sdp(*labels: str) -> SessionDescription:
    rows = [f"m=audio 4000 RTP/AVP 0\r\na=label:{label}\r\n" for label in labels]
    return SessionDescription.parse(("v=0\r\n" + "".join(rows)).encode())


OFFER = sdp("inbound", "outbound")


def check(document: str, offer: SessionDescription | None = OFFER, known: Recording | None = None) -> list[Problem]:
    return check_strict(document.encode(), offer, known)


def test_a_proper_document_has_no_problems() -> None:
    assert check(DOCUMENT) == []


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        # X1
        ("<datamode>complete<", "<datamode>Complete<", "X1: datamode is 'Complete'"),
        ("<datamode>complete<", "<datamode> complete <", "X1: datamode is ' complete '"),
        ("datamode>", "dataMode>", "X2: dataMode does not belong into recording"),
        # X2
        ('<ExtensionParameters xmlns="urn:x"/>', "<ExtensionParameters/>", "X2: ExtensionParameters does not belong"),
        ('<ExtensionParameters xmlns="urn:x"/>', '<ExtensionParameters xmlns=""/>', "X2: ExtensionParameters has no"),
        # X3
        ("<sipSessionID>", '<x xmlns="urn:x"/><sipSessionID>', "X3: sipSessionID after a foreign element in session"),
        ("<name xml", '<x xmlns="urn:x"/><name xml', "X3: foreign element x in nameID"),
        # X4
        (
            "<sipSessionID>x</sipSessionID>\n    <reason",
            "<stop-time>2026-03-02T09:15:02Z</stop-time><reason",
            "X4: reason",
        ),
        ("<send>", "<recv>e1gTxFOPT+OR9nesj5OZnA==</recv><send>", "X4: send too late in participantstreamassoc"),
        ("<label>inbound</label>", "<label>inbound</label><associate-time/>", "X2: associate-time does not belong"),
        # X5
        ("Z3JvdXAtb2YtMTYtYnl0ZQ==", "ab30317f-1a78-4dc4", "X5: 'ab30317f-1a78-4dc4' in group is no base64 UUID"),
        ('group_id="Z3JvdXAtb2YtMTYtYnl0ZQ=="', 'group_id=""', "X5: '' in group"),
        ("<send>SiVoBgVqT0KlDFNIWOucRg==", "<send>!!!!", "X5: '!!!!' in send"),
        # X6
        (".640118Z", ".640118", "X6: start-time"),
        ("T09:15", "T24:00", "X6: start-time"),
        ("02.640118Z", "60Z", "X6: start-time"),
        (".640118Z", ".640118+00:00", "X6: start-time"),
        # X7
        ("sip:ada@example.com", "4930123", "X7: aor '4930123'"),
        ("sip:ada@example.com", "sip:ada@example.com;user=phone", "X7: aor 'sip:ada@example.com;user=phone'"),
        # X8
        ("<send>SiVoBgVqT0KlDFNIWOucRg==", "<send>AAAAAAAAAAAAAAAAAAAAAA==", "X8: stream AAAAAAAAAAAAAAAAAAAAAA=="),
        ('"e1gTxFOPT+OR9nesj5OZnA=="', '"SiVoBgVqT0KlDFNIWOucRg=="', "X8: the id of stream SiVoBgVqT0KlDFNIWOucRg=="),
        ("<group-ref>Z3", "<group-ref>A3", "X8: group A3JvdXAtb2YtMTYtYnl0ZQ== is not defined"),
        # X9
        ("<label>outbound</label>", "<label>other</label>", "X9: no m-line of this message has the label 'other'"),
        ("<label>outbound</label>", "", "X9: no stream has the label 'outbound' of an m-line"),
        # X10
        ('<reason cause="16" protocol="Q.850">', "<reason>", "X10: reason without cause"),
        ('pval="b"', 'value="b"', "X10: param without pval"),
        ('pval="b"', 'pval="b" x="1"', "X10: unknown attribute x of param"),
        (
            '<nameID aor="sip:ada@example.com"><name xml:lang="en">Ada</name></nameID>',
            "",
            "X10: participant without nameID",
        ),
        # X12
        ("<recording", "<!DOCTYPE recording><recording", "X12: a document type declaration"),
        ("</recording>", "", "X12: not well-formed"),
        # C30
        ("ns:recording:1", "ns:recording", "C30: the root element is"),
        ('encoding="UTF-8"', 'encoding="ISO-8859-1"', "C30: the encoding is not UTF-8"),
    ],
)
def test_each_trap(old: str, new: str, found: str) -> None:
    assert old in DOCUMENT
    problems = [str(problem) for problem in check(DOCUMENT.replace(old, new))]
    assert any(problem.startswith(found) for problem in problems), problems


def test_labels_need_the_sdp_of_the_same_message() -> None:
    """C11, X9."""
    assert [problem.check for problem in check(DOCUMENT, None)] == ["X9", "X9"]
    assert [problem.check for problem in check(DOCUMENT, sdp("inbound"))] == ["X9"]


def test_a_removed_line_needs_no_stream() -> None:
    """X9 looks at lines with a port only."""
    removed = SessionDescription(OFFER.lines, (OFFER.media[0], OFFER.media[1].refused()))
    outbound = '<stream stream_id="e1gTxFOPT+OR9nesj5OZnA==">\n    <label>outbound</label>'
    assert check(DOCUMENT.replace(outbound, '<stream stream_id="e1gTxFOPT+OR9nesj5OZnA==">'), removed) == []


PARTIAL = """<?xml version="1.0" encoding="UTF-8"?>
<recording xmlns="urn:ietf:params:xml:ns:recording:1"><datamode>partial</datamode>
<participantstreamassoc participant_id="4/uAfbN0RWqLbFijp+5A/Q=="><recv>e1gTxFOPT+OR9nesj5OZnA==</recv>
</participantstreamassoc></recording>"""


def test_a_partial_document_may_refer_to_what_is_known() -> None:
    """X8: references of a partial document resolve in the state."""
    known = read(DOCUMENT.encode()).recording
    assert check(PARTIAL, None, known) == []
    assert check(PARTIAL, OFFER, known) == []
    assert {problem.check for problem in check(PARTIAL, None)} == {"X8"}


def test_a_complete_document_stands_alone() -> None:
    known = read(DOCUMENT.encode()).recording
    assert {problem.check for problem in check(PARTIAL.replace("partial", "complete"), None, known)} == {"X8"}
