"""The agent's own messages, field by field."""

from typing import Any

import pytest

from sidestream.sip.agent.compose import Composer, cancel_of, contact_value, trying, via_of
from sidestream.sip.agent.config import AgentConfig
from sidestream.sip.errors import LocalError
from sidestream.sip.message import Request, parse_message
from sidestream.sip.transport import ListenerAddress, Transport
from sidestream.sip.uri import Uri
from sidestream.sip.values import NameAddr

COMPOSER = Composer(AgentConfig(name="Test/1", supported=("timer",)))
BOB = Uri.parse("sip:bob@10.0.0.2")


def build(method: str = "INVITE", **options: Any) -> Request:
    return COMPOSER.request(
        method,
        BOB,
        (NameAddr(None, Uri.parse("sip:p;lr")),),
        from_=NameAddr("Alice", Uri.parse("sip:alice@10.0.0.1"), (("tag", "a"),)),
        to=NameAddr(None, BOB),
        call_id="one",
        seq=3,
        **options,
    )


def test_an_invite_in_full() -> None:
    request = build(contact="<sip:alice@10.0.0.1>", headers=[("X-Y", "z")], body=b"v=0\r\n", content_type="a/b")
    assert request.to_bytes().decode().split("\r\n") == [
        "INVITE sip:bob@10.0.0.2 SIP/2.0",
        "Max-Forwards: 70",
        "Route: <sip:p;lr>",
        'From: "Alice" <sip:alice@10.0.0.1>;tag=a',
        "To: <sip:bob@10.0.0.2>",
        "Call-ID: one",
        "CSeq: 3 INVITE",
        "Contact: <sip:alice@10.0.0.1>",
        "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK",
        "Supported: timer, 100rel",
        "User-Agent: Test/1",
        "X-Y: z",
        "Content-Type: a/b",
        "Content-Length: 5",
        "",
        "v=0",
        "",
    ]


def test_other_requests_do_without_capabilities_and_contact() -> None:
    names = [name for name, _ in build("BYE", max_forwards=9).headers.items()]
    assert names == ["Max-Forwards", "Route", "From", "To", "Call-ID", "CSeq", "Supported", "User-Agent"]


@pytest.mark.parametrize("name", ["via", "Contact", "v", "CSeq", "l", "Route"])
def test_the_agents_own_fields_cannot_be_given(name: str) -> None:
    with pytest.raises(LocalError):
        build(headers=[(name, "x")])


def test_a_body_needs_a_type() -> None:
    with pytest.raises(LocalError):
        build(body=b"x")


def test_header_injection_is_refused() -> None:
    with pytest.raises(LocalError):
        build(headers=[("X-Y", "z\r\nVia: evil")])


def test_the_cancel_repeats_what_identifies_the_invite() -> None:
    invite = build()
    invite.headers.insert_first("Via", "SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKx")
    cancel = cancel_of(invite, [("Reason", "SIP;cause=200")])
    assert cancel.method == "CANCEL"
    assert str(cancel.cseq) == "3 CANCEL"
    for name in ("Via", "Route", "From", "To", "Call-ID"):
        assert cancel.headers.get_all(name) == invite.headers.get_all(name)
    assert cancel.headers.get("Reason") == "SIP;cause=200"


def received(extra: str = "") -> Request:
    message = parse_message(
        (
            "INVITE sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\nFrom: <sip:a@h>;tag=a\r\n"
            f"To: <sip:b@h>\r\nCall-ID: one\r\nCSeq: 1 INVITE\r\n{extra}\r\n"
        ).encode()
    )
    assert isinstance(message, Request)
    return message


def test_a_100_has_the_timestamp_and_no_tag() -> None:
    response = trying(received("Timestamp: 54\r\n"))
    assert response.headers.get("Timestamp") == "54"
    assert response.to.tag is None
    assert "Timestamp" not in trying(received()).headers


def test_a_response_that_makes_a_dialog_repeats_the_record_route() -> None:
    request = received("Record-Route: <sip:p1;lr>, <sip:p2;lr>\r\nRecord-Route: <sip:p3;lr>\r\n")
    response = COMPOSER.response(request, 180, tag="t", contact="<sip:b@h>")
    assert [str(route.uri) for route in response.record_routes] == ["sip:p1;lr", "sip:p2;lr", "sip:p3;lr"]
    assert "Record-Route" not in COMPOSER.response(request, 486, tag="t").headers


def test_an_agent_without_a_name_keeps_silent_about_it() -> None:
    silent = Composer(AgentConfig(name=""))
    assert "Server" not in silent.response(received(), 200, tag="t").headers


@pytest.mark.parametrize(
    ("listener", "via", "contact"),
    [
        (
            ListenerAddress("l", Transport.UDP, "10.0.0.1", 5060),
            "SIP/2.0/UDP 10.0.0.1:5060;rport;branch=z9hG4bKx",
            "<sip:u@10.0.0.1>;+sip.src",
        ),
        (
            ListenerAddress("l", Transport.TCP, "2001:db8::1", 5070),
            "SIP/2.0/TCP [2001:db8::1]:5070;branch=z9hG4bKx",
            "<sip:u@[2001:db8::1]:5070;transport=tcp>;+sip.src",
        ),
        (
            ListenerAddress("l", Transport.TLS, "10.0.0.1", 5061),
            "SIP/2.0/TLS 10.0.0.1:5061;branch=z9hG4bKx;alias",
            "<sip:u@10.0.0.1:5061;transport=tls>;+sip.src",
        ),
    ],
)
def test_our_via_and_contact(listener: ListenerAddress, via: str, contact: str) -> None:
    assert via_of(listener, "z9hG4bKx") == via
    assert contact_value(listener, "u", (("+sip.src", None),)) == contact


@pytest.mark.parametrize(
    ("transport", "port", "secure", "contact"),
    [
        # RFC 7118 §5.2, §5.5
        (Transport.WS, 80, False, "<sip:u@h;transport=ws>"),
        (Transport.WS, 8080, True, "<sip:u@h:8080;transport=ws>"),
        (Transport.WSS, 443, True, "<sips:u@h;transport=ws>"),
        (Transport.WSS, 443, False, "<sip:u@h:443;transport=ws>"),
        (Transport.TLS, 5061, True, "<sips:u@h>"),
    ],
)
def test_our_contact_toward_a_websocket(transport: Transport, port: int, secure: bool, contact: str) -> None:
    listener = ListenerAddress("l", transport, "h", port)
    assert contact_value(listener, "u", (), secure=secure) == contact
    assert via_of(listener, "z9hG4bKx") == f"SIP/2.0/{transport} h:{port};branch=z9hG4bKx" + (
        ";alias" if transport is Transport.TLS else ""
    )
