import io
import json
import re

import pytest

from sidestream.base.logs import configure_logs, get_logger


@pytest.fixture
def lines():
    stream = io.StringIO()
    configure_logs("info", json=True, stream=stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    configure_logs("info")


def test_a_line_carries_room_event_and_sid(lines):
    get_logger("calls").info("< INVITE", call="CA00000000000000000000000000000001")
    (line,) = lines()
    assert (line["room"], line["event"], line["call"]) == ("calls", "< INVITE", "CA00000000000000000000000000000001")


def test_personal_data_does_not_reach_the_log(lines):
    get_logger("calls").info("< call from sip:alice@192.0.2.9", from_="sip:+14155550142@192.0.2.9", tries=3)
    (line,) = lines()
    text = json.dumps(line)
    assert "alice" not in text
    assert "14155550142" not in text
    assert "192.0.2.9" not in text
    assert line["tries"] == 3


def test_objects_are_redacted_by_their_text(lines):
    class Address:
        def __str__(self):
            return "tel:+14155550142"

    get_logger("calls").info("x", address=Address())
    assert lines()[0]["address"] == "tel:…0142"


def test_lines_below_the_level_are_dropped(lines):
    get_logger("calls").debug("detail")
    assert lines() == []


def test_people_get_plain_lines():
    stream = io.StringIO()
    configure_logs("warning", stream=stream)
    get_logger("calls").warning("! problem", call="CA1")
    configure_logs("info")
    assert "! problem" in stream.getvalue()
    assert "call=CA1" in stream.getvalue()


def test_a_plain_line_begins_with_time_and_level_and_quotes_what_has_blanks_or_line_breaks():
    stream = io.StringIO()
    configure_logs("info", stream=stream)
    get_logger("calls").info("= ringing", call="CA1", reason="not now", text="a\nb", empty="")
    configure_logs("info")
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z \[info    \] = ringing {21} "
        r"room=calls call=CA1 reason='not now' text='a\\nb' empty=''\n",
        stream.getvalue(),
    )


def test_a_traceback_follows_its_line():
    stream = io.StringIO()
    configure_logs("info", stream=stream)
    try:
        raise ValueError("tel:+14155550142")
    except ValueError:
        get_logger("calls").exception("! failed", call="CA1")
    configure_logs("info")
    first, *rest = stream.getvalue().splitlines()
    assert "! failed" in first
    assert rest[0].startswith("Traceback")
    assert rest[-1] == "ValueError: tel:…0142"


def test_without_a_stream_standard_error_is_the_one_of_the_moment(capsys):
    configure_logs("info")
    get_logger("calls").warning("! problem")
    assert "! problem" in capsys.readouterr().err


def test_errors_are_told_when_only_those_are_wanted():
    stream = io.StringIO()
    configure_logs("error", stream=stream)
    logger = get_logger("calls")
    for write in (logger.debug, logger.info, logger.warning):
        write("too little")
    try:
        raise ValueError("boom")
    except ValueError as error:
        kept = error
    logger.error("! failed", exc_info=kept)
    logger.error("! no exception", exc_info=True)
    configure_logs("info")
    first, *rest = stream.getvalue().splitlines()
    assert "! failed" in first
    assert rest[-2] == "ValueError: boom"
    assert "! no exception" in rest[-1]


def test_debug_lines_are_written_when_wanted():
    stream = io.StringIO()
    configure_logs("debug", stream=stream)
    get_logger("calls").debug("detail", call="CA1")
    configure_logs("info")
    assert "[debug   ] detail" in stream.getvalue()
