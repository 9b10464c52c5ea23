"""RFC 3261 §12."""

import json
from dataclasses import asdict

import pytest

from sidestream.sip.dialog.dialog import Dialog, contact_of, uac_dialog, uas_dialog
from sidestream.sip.errors import MessageError
from sidestream.sip.message import Request, Response, parse_message
from sidestream.sip.uri import Uri
from sidestream.sip.values import NameAddr

RECORD_ROUTE = "Record-Route: <sip:p2.example;lr>\r\nRecord-Route: <sip:p1.example;lr>\r\n"


def invite(extra: str = "Contact: <sip:alice@10.0.0.1:5070;transport=tcp>\r\n", tag: str = ";tag=far") -> Request:
    message = parse_message(
        (
            "INVITE sip:bob@10.0.0.2 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1\r\n"
            f"From: Alice <sip:alice@10.0.0.1>{tag}\r\nTo: <sip:bob@10.0.0.2>\r\nCall-ID: one\r\n"
            f"CSeq: 7 INVITE\r\n{extra}\r\n"
        ).encode()
    )
    assert isinstance(message, Request)
    return message


def answer(status: int = 200, extra: str = "Contact: <sip:bob@10.0.0.2:5080>\r\n") -> Response:
    data = invite().response(status, to_tag="near").to_bytes().decode()
    message = parse_message(data.replace("Content-Length: 0\r\n", extra).encode())
    assert isinstance(message, Response)
    return message


def routed(*uris: str) -> Dialog:
    dialog = uas_dialog(invite(), "near")
    dialog.route_set = tuple(NameAddr(None, Uri.parse(uri)) for uri in uris)
    return dialog


def test_the_callee_takes_its_side_from_the_invite() -> None:
    dialog = uas_dialog(invite(RECORD_ROUTE + "Contact: <sip:alice@10.0.0.1:5070>\r\n"), "near")
    assert dialog.id == ("one", "near", "far")
    assert (dialog.local_seq, dialog.remote_seq) == (0, 7)
    assert str(dialog.local) == "<sip:bob@10.0.0.2>;tag=near"
    assert str(dialog.remote) == '"Alice" <sip:alice@10.0.0.1>;tag=far'
    assert str(dialog.remote_target) == "sip:alice@10.0.0.1:5070"
    assert [str(route.uri) for route in dialog.route_set] == ["sip:p2.example;lr", "sip:p1.example;lr"]
    assert not dialog.confirmed


@pytest.mark.parametrize("extra", ["", "Contact: <tel:+15551234567>\r\n"])
def test_an_invite_without_a_usable_contact_makes_no_dialog(extra: str) -> None:
    with pytest.raises(MessageError) as caught:
        uas_dialog(invite(extra), "near")
    assert caught.value.status == 400


@pytest.mark.parametrize(("status", "confirmed"), [(180, False), (200, True)])
def test_the_caller_takes_its_side_from_the_response(status: int, confirmed: bool) -> None:
    dialog = uac_dialog(invite(), answer(status, RECORD_ROUTE + "Contact: <sip:bob@10.0.0.2:5080>\r\n"))
    assert dialog.id == ("one", "far", "near")
    assert (dialog.local_seq, dialog.remote_seq) == (7, None)
    assert str(dialog.remote_target) == "sip:bob@10.0.0.2:5080"
    assert [str(route.uri) for route in dialog.route_set] == ["sip:p1.example;lr", "sip:p2.example;lr"]
    assert dialog.confirmed is confirmed


def test_a_response_without_contact_leaves_the_request_uri_as_target() -> None:
    assert uac_dialog(invite(), answer(200, "")).remote_target == invite().uri


def test_a_peer_without_a_tag_counts_as_one_with_an_empty_tag() -> None:
    assert uas_dialog(invite(tag=""), "near").id == ("one", "near", "")


def test_numbers_of_the_peer_only_rise() -> None:
    dialog = uas_dialog(invite(), "near")
    assert not dialog.accept_seq(6)
    assert not dialog.accept_seq(7)
    assert dialog.accept_seq(20)
    assert dialog.remote_seq == 20


def test_the_first_number_of_the_peer_is_its_own_choice() -> None:
    dialog = uac_dialog(invite(), answer())
    assert dialog.accept_seq(0)


def test_our_numbers_go_on_by_one() -> None:
    dialog = uac_dialog(invite(), answer())
    assert [dialog.next_seq(), dialog.next_seq()] == [8, 9]


def test_a_target_refresh_needs_a_contact() -> None:
    dialog = uac_dialog(invite(), answer())
    dialog.refresh(answer(200, ""))
    assert str(dialog.remote_target) == "sip:bob@10.0.0.2:5080"
    dialog.refresh(answer(200, "Contact: <sip:bob@10.0.0.9;method=BYE>\r\n"))
    assert str(dialog.remote_target) == "sip:bob@10.0.0.9"


def test_without_routes_a_request_goes_to_the_target() -> None:
    assert routed().addressing() == (Uri.parse("sip:alice@10.0.0.1:5070;transport=tcp"), ())


def test_loose_routers_leave_the_target_in_the_request_uri() -> None:
    dialog = routed("sip:p1.example;lr", "sip:p2.example")
    assert dialog.addressing() == (dialog.remote_target, dialog.route_set)


def test_a_strict_router_becomes_the_request_uri() -> None:
    dialog = routed("sip:p1.example;method=X", "sip:p2.example;lr")
    uri, routes = dialog.addressing()
    assert str(uri) == "sip:p1.example"
    assert [str(route.uri) for route in routes] == ["sip:p2.example;lr", "sip:alice@10.0.0.1:5070;transport=tcp"]


def test_a_dialog_can_be_written_down() -> None:
    dialog = routed("sip:p1.example;lr")
    assert json.loads(json.dumps(asdict(dialog)))["remote_target"]["host"] == "10.0.0.1"


def test_contact_star_is_no_target() -> None:
    assert contact_of(invite("Contact: *\r\n")) is None
