"""RFC 4028 without a session around it."""

import pytest

from sidestream.sip.message import Request, Response, parse_message
from sidestream.sip.session_timer import (
    Refresher,
    SessionInterval,
    SessionTimerPolicy,
    agreed,
    answer,
    is_too_short,
    request_fields,
)

POLICY = SessionTimerPolicy()
HEAD = (
    "Via: SIP/2.0/UDP a;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n"
)


def request(fields: str = "") -> Request:
    message = parse_message(f"INVITE sip:c@d SIP/2.0\r\n{HEAD}{fields}\r\n".encode())
    assert isinstance(message, Request)
    return message


def response(fields: str = "") -> Response:
    message = parse_message(f"SIP/2.0 200 OK\r\n{HEAD}{fields}\r\n".encode())
    assert isinstance(message, Response)
    return message


@pytest.mark.parametrize(("seconds", "refresh", "give_up"), [(1800, 900, 1768), (90, 45, 60), (96, 48, 64)])
def test_when_to_refresh_and_when_to_give_up(seconds: int, refresh: float, give_up: float) -> None:
    interval = SessionInterval(seconds, we_refresh=True)
    assert (interval.refresh_after, interval.give_up_after) == (refresh, give_up)


@pytest.mark.parametrize(
    ("current", "least", "fields"),
    [
        (None, 0, ("1800", "90")),
        (None, 3600, ("3600", "3600")),
        (SessionInterval(600, True), 0, ("600;refresher=uac", "90")),
        (SessionInterval(600, False), 900, ("900;refresher=uas", "900")),
    ],
)
def test_what_a_request_says(current: SessionInterval | None, least: int, fields: tuple[str, str]) -> None:
    assert request_fields(POLICY, current, least) == (("Session-Expires", fields[0]), ("Min-SE", fields[1]))


@pytest.mark.parametrize(
    ("fields", "short"),
    [
        ("", False),
        ("Supported: timer\r\nSession-Expires: 119\r\n", True),
        ("Supported: timer\r\nSession-Expires: 120\r\n", False),
        ("Session-Expires: 119\r\n", False),  # who does not know timers cannot read a 422
    ],
)
def test_a_short_interval_is_refused_only_to_those_who_know(fields: str, short: bool) -> None:
    assert is_too_short(request(fields), SessionTimerPolicy(1800, 120)) is short


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ("", None),
        # RFC 4028 §9, table 2
        ("Session-Expires: 600\r\n", "600;refresher=uas"),
        ("Supported: timer\r\nSession-Expires: 600\r\n", "600;refresher=uac"),
        ("Supported: timer\r\nSession-Expires: 600;refresher=uac\r\n", "600;refresher=uac"),
        ("Supported: timer\r\nSession-Expires: 600;refresher=uas\r\n", "600;refresher=uas"),
        ("Supported: timer\r\nSession-Expires: 600;refresher=x\r\n", "600;refresher=uac"),
        # lowered to ours, but not below the Min-SE
        ("Supported: timer\r\nSession-Expires: 7200\r\n", "1800;refresher=uac"),
        ("Supported: timer\r\nSession-Expires: 7200\r\nMin-SE: 3600\r\n", "3600;refresher=uac"),
        ("Supported: timer\r\n", "1800;refresher=uas"),
        ("Supported: timer\r\nMin-SE: 3600\r\n", "3600;refresher=uas"),
        ("Session-Expires: 35\r\n", None),
    ],
)
def test_what_our_2xx_says(fields: str, said: str | None) -> None:
    interval, answered = answer(request(fields), POLICY)
    assert dict(answered).get("Session-Expires") == said
    assert ("Require" in dict(answered)) is (said is not None and "Supported" in fields)
    if said is None:
        assert interval is None
    else:
        assert interval == SessionInterval(int(said.partition(";")[0]), we_refresh=said.endswith("uas"))


@pytest.mark.parametrize(
    ("asked", "granted", "interval"),
    [
        ("", "", None),
        ("Session-Expires: 1800\r\n", "", SessionInterval(1800, True)),
        ("Session-Expires: 1800\r\n", "Session-Expires: x\r\n", SessionInterval(1800, True)),
        ("Session-Expires: 1800\r\n", "Session-Expires: 600;refresher=uas\r\n", SessionInterval(600, False)),
        ("Session-Expires: 1800\r\n", "Session-Expires: 600;refresher=uac\r\n", SessionInterval(600, True)),
        ("Session-Expires: 1800\r\n", "Session-Expires: 600\r\n", SessionInterval(600, True)),
        ("", "Session-Expires: 35;refresher=uas\r\n", SessionInterval(90, False)),
    ],
)
def test_what_the_2xx_of_the_peer_means(asked: str, granted: str, interval: SessionInterval | None) -> None:
    assert agreed(request(asked), response(granted)) == interval


@pytest.mark.parametrize(
    ("refresher", "said"),
    [(Refresher.EITHER, "1800"), (Refresher.US, "1800;refresher=uac"), (Refresher.PEER, "1800;refresher=uas")],
)
def test_the_first_request_names_whom_we_want_to_refresh(refresher: Refresher, said: str) -> None:
    assert dict(request_fields(SessionTimerPolicy(refresher=refresher), None, 0))["Session-Expires"] == said


@pytest.mark.parametrize(
    ("fields", "refresher", "we_refresh"),
    [
        ("Supported: timer\r\nSession-Expires: 600\r\n", Refresher.EITHER, False),
        ("Supported: timer\r\nSession-Expires: 600\r\n", Refresher.US, True),
        ("Supported: timer\r\nSession-Expires: 600\r\n", Refresher.PEER, False),
        ("Supported: timer\r\nSession-Expires: 600;refresher=uac\r\n", Refresher.US, False),
        ("Supported: timer\r\nSession-Expires: 600;refresher=uas\r\n", Refresher.PEER, True),
        ("Session-Expires: 600\r\n", Refresher.PEER, True),
        ("Supported: timer\r\n", Refresher.EITHER, True),
        ("Supported: timer\r\n", Refresher.PEER, False),
    ],
)
def test_the_peers_wish_goes_before_ours(fields: str, refresher: Refresher, we_refresh: bool) -> None:
    interval, said = answer(request(fields), SessionTimerPolicy(refresher=refresher))
    assert interval is not None
    assert interval.we_refresh is we_refresh
    assert dict(said)["Session-Expires"].endswith("uas" if we_refresh else "uac")
