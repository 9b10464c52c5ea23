import io

from rich.console import Console

from sidestream.cli.demo import show
from sidestream.demo.report import CallbackReport, RelayReport, Report, SiprecReport

SIPREC = SiprecReport(
    sid="SR1",
    name="first",
    started_by="twiml",
    stopped_by="rest",
    packets_sent={"inbound": 150, "outbound": 149},
    packets_recorded={"inbound": 150, "outbound": 148},
    invite_ms=4.25,
    first_packet_ms=None,
    wav="/r/recording.wav",
    metadata="/r/metadata-001.xml",
    manifest="/r/manifest.json",
)


def shown(*problems):
    stream = io.StringIO()
    report = Report(
        call_sid="CA1",
        siprecs=(SIPREC,),
        callbacks=(CallbackReport("siprec-started", 0, False, {"SiprecName": "first"}),),
        relay=RelayReport(600, 2, 0.02, 0.11),
        versions={},
        console="http://127.0.0.1:8080/console",
        api="http://127.0.0.1:8080",
        problems=problems,
    )
    show(report, Console(file=stream, width=160, highlight=False))
    return stream.getvalue()


def test_a_person_sees_counts_files_callbacks_and_the_console():
    text = shown()
    for expected in (
        "CA1",
        "150 packets sent, 150 recorded",
        "149 packets sent, 148 recorded",
        "4.2 ms",
        "/r/recording.wav",
        "/r/metadata-001.xml",
        "siprec-started",
        "bad signature",
        "600 packets, 2 lost",
        "http://127.0.0.1:8080/console",
        "sample for sample",
    ):
        assert expected in text


def test_a_problem_takes_the_place_of_praise():
    text = shown("first: 150 packets sent, 148 recorded")
    assert "148 recorded" in text
    assert "sample for sample" not in text
