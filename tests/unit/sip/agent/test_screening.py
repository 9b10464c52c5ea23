"""RFC 3261 §8.2: what comes in and what does not."""

from typing import Any

import pytest

from sidestream.sip.agent.events import InviteReceived, RequestReceived

SDP_TYPE = "Content-Type: application/sdp\r\n"


def refusal(bench: Any) -> Any:
    """The one response that was sent; nobody was woken."""
    assert bench.take_events() == []
    (response,) = bench.take_sent()
    return response


def test_an_unknown_method_is_told_the_known_ones(bench: Any) -> None:
    bench.request("PUBLISH")
    response = refusal(bench)
    assert response.status == 405
    assert response.allow == ("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "INFO", "UPDATE", "PRACK")
    assert response.to.tag


def test_a_malformed_field_that_matters_is_a_400(bench: Any) -> None:
    bench.request("INVITE", contact="<sip:bob@@>")
    response = refusal(bench)
    assert (response.status, response.reason) == (400, "Malformed URI")


def test_an_unknown_scheme_is_refused(bench: Any) -> None:
    bench.request("INVITE", uri="http://example.com/")
    assert refusal(bench).status == 416


@pytest.mark.parametrize("uri", ["sips:alice@10.0.0.1", "tel:+15551234567"])
def test_known_schemes_come_in(bench: Any, uri: str) -> None:
    bench.request("INVITE", uri=uri)
    assert len(bench.take_events()) == 1


@pytest.mark.parametrize(("method", "status"), [("INVITE", 483), ("OPTIONS", 200)])
def test_a_call_that_has_spent_its_hops_is_refused_but_a_probe_answered(bench: Any, method: str, status: int) -> None:
    bench.request(method, extra="Max-Forwards: 0\r\n")
    assert refusal(bench).status == status


def test_an_unknown_extension_is_named(bench_with: Any) -> None:
    bench = bench_with(supported=("timer",))
    bench.request("INVITE", extra="Require: timer, 100rel, Bar, Foo\r\n")
    response = refusal(bench)
    assert response.status == 420
    assert response.headers.get("Unsupported") == "bar, foo"


def test_a_bye_is_taken_whatever_it_requires(bench: Any) -> None:
    session = bench.established()
    bench.inside(session, "BYE", 1, extra="Require: siprec\r\n")
    assert bench.take_sent()[0].status == 200


@pytest.mark.parametrize(
    ("extra", "taken"),
    [
        ("Content-Type: application/sdp\r\n", True),
        ("Content-Type: APPLICATION/SDP;charset=utf-8\r\n", True),
        ("Content-Type: application/sdp\r\nContent-Encoding: identity\r\n", True),
        ("Content-Type: text/plain\r\nContent-Disposition: render;handling=optional\r\n", True),
        ("Content-Type: text/plain\r\nContent-Disposition: render\r\n", False),
        ("Content-Type: application/sdp\r\nContent-Encoding: gzip\r\n", False),
        ("Content-Type: text/plain\r\n", False),
        ("", False),
    ],
)
def test_which_bodies_an_invite_may_have(bench: Any, extra: str, taken: bool) -> None:
    bench.request("INVITE", extra=extra, body="v=0\r\n")
    if taken:
        assert isinstance(bench.take_events()[0], InviteReceived)
    else:
        response = refusal(bench)
        assert response.status == 415
        assert response.accept == ("application/sdp", "multipart/mixed")
        assert response.headers.get("Accept-Encoding") == "identity"


def test_the_body_of_an_info_is_for_the_application_to_judge(bench: Any) -> None:
    session = bench.established()
    bench.inside(session, "INFO", 1, extra="Content-Type: application/x-unheard\r\n", body="x")
    assert isinstance(bench.take_events()[0], RequestReceived)


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("text/plain", 406),
        ("text/plain, application/rs-metadata", 406),
        ("application/sdp;level=1, text/plain", 100),
        ("application/*", 100),
        ("*/*", 100),
        ("", 100),
    ],
)
def test_who_cannot_take_sdp_cannot_be_answered(bench: Any, accept: str, status: int) -> None:
    bench.request("INVITE", extra=f"Accept: {accept}\r\n")
    bench.wait(0.2)
    assert bench.take_sent()[-1].status == status
