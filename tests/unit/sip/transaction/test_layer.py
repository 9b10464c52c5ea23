"""Matching messages to transactions (RFC 3261 §17.1.3, §17.2.3) and sending them where they belong (§18.2.2)."""

from typing import Any

import pytest

from sidestream.sip.timers import Timers
from sidestream.sip.transaction.layer import (
    AckArrived,
    RequestArrived,
    RequestFailed,
    ResponseArrived,
    TransactionLayer,
)
from sidestream.sip.transaction.machine import Failure
from sidestream.sip.transport import Destination, Peer, Transmit, Transport

NOW = 100.0
UDP_PEER = Peer(Transport.UDP, "10.0.0.1", 5070, "udp")
TCP_PEER = Peer(Transport.TCP, "10.0.0.1", 40000, "tcp")
UDP_TARGET = Destination(Transport.UDP, "10.0.0.2", 5060)


@pytest.fixture
def layer() -> TransactionLayer:
    return TransactionLayer(Timers())


def sent(layer: TransactionLayer) -> list[Any]:
    out = []
    while (transmit := layer.poll_transmit()) is not None:
        out.append(transmit)
    return out


def events(layer: TransactionLayer) -> list[Any]:
    out = []
    while (event := layer.poll_event()) is not None:
        out.append(event)
    return out


def arrive(layer: TransactionLayer, request: Any, peer: Peer = UDP_PEER) -> str:
    layer.receive_request(request, peer, NOW)
    (event,) = events(layer)
    assert isinstance(event, RequestArrived)
    return event.key


def send(layer: TransactionLayer, request: Any, context: object = "ours") -> str:
    return layer.request(request, request.to_bytes(), UDP_TARGET, "udp", context, NOW)


def test_a_response_finds_its_request_by_branch_and_method(
    layer: TransactionLayer, request_of: Any, response_to: Any
) -> None:
    invite, options = request_of(branch="z9hG4bKa"), request_of("OPTIONS", branch="z9hG4bKb")
    send(layer, invite, "invite")
    send(layer, options, "options")
    layer.receive_response(response_to(options, 200), NOW)
    layer.receive_response(response_to(invite, 180), NOW)
    assert [(event.context, event.response.status) for event in events(layer)] == [("options", 200), ("invite", 180)]
    assert layer.live == 2


@pytest.mark.parametrize("branch", ["z9hG4bKother", "z9hG4bKa"])
def test_a_response_to_nothing_of_ours_is_dropped(
    layer: TransactionLayer, request_of: Any, response_to: Any, branch: str
) -> None:
    send(layer, request_of(branch="z9hG4bKa"))
    layer.receive_response(response_to(request_of("BYE", branch=branch), 200), NOW)
    assert events(layer) == []
    assert layer.dropped == 1


def test_a_response_with_two_vias_is_dropped(layer: TransactionLayer, request_of: Any, response_to: Any) -> None:
    invite = request_of(branch="z9hG4bKa")
    send(layer, invite)
    invite.headers.add("Via", "SIP/2.0/UDP 10.0.0.9;branch=z9hG4bKx")
    layer.receive_response(response_to(invite, 200), NOW)
    assert layer.dropped == 1


def test_a_repeated_request_is_answered_without_waking_anybody(layer: TransactionLayer, request_of: Any) -> None:
    key = arrive(layer, request_of())
    layer.respond(key, request_of().response(180, to_tag="x"), NOW)
    first = sent(layer)
    layer.receive_request(request_of(), UDP_PEER, NOW)
    assert sent(layer) == first
    assert events(layer) == []


@pytest.mark.parametrize(
    "via",
    ["SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKother", "SIP/2.0/UDP 10.0.0.7:5060;branch=z9hG4bKone"],
)
def test_another_branch_or_sent_by_is_another_transaction(layer: TransactionLayer, request_of: Any, via: str) -> None:
    arrive(layer, request_of("OPTIONS", number=1))
    arrive(layer, request_of("OPTIONS", number=2, via=via))
    assert layer.live == 2


def test_the_ack_of_a_failure_ends_with_its_transaction(layer: TransactionLayer, request_of: Any) -> None:
    key = arrive(layer, request_of())
    layer.respond(key, request_of().response(486, to_tag="x"), NOW)
    layer.receive_request(request_of("ACK"), UDP_PEER, NOW)
    assert events(layer) == []
    layer.handle_timeout(NOW + 5)
    assert layer.live == 0


@pytest.mark.parametrize("branch", ["z9hG4bKone", "z9hG4bKown"])
def test_the_ack_of_a_2xx_is_passed_on_whichever_its_branch(
    layer: TransactionLayer, request_of: Any, branch: str
) -> None:
    key = arrive(layer, request_of())
    layer.respond(key, request_of().response(200, to_tag="x"), NOW)
    ack = request_of("ACK", branch=branch)
    layer.receive_request(ack, UDP_PEER, NOW)
    assert events(layer) == [AckArrived(ack, UDP_PEER)]


def test_clients_of_rfc_2543_are_matched_without_a_branch(layer: TransactionLayer, request_of: Any) -> None:
    old = "SIP/2.0/UDP 10.0.0.1:5060"
    key = arrive(layer, request_of(via=old))
    layer.respond(key, request_of(via=old).response(486, to_tag="x"), NOW)
    layer.receive_request(request_of(via=old), UDP_PEER, NOW)
    layer.receive_request(request_of("ACK", via=old, to_tag="x"), UDP_PEER, NOW)
    assert events(layer) == []
    arrive(layer, request_of(via=old, number=2))


def test_the_same_request_by_another_path_is_merged(layer: TransactionLayer, request_of: Any) -> None:
    arrive(layer, request_of())
    layer.receive_request(request_of(branch="z9hG4bKfork"), UDP_PEER, NOW)
    (event,) = events(layer)
    assert event.merged
    layer.respond(event.key, event.request.response(482, to_tag="x"), NOW)
    layer.handle_timeout(NOW + 32)
    assert layer.live == 1  # the first stays, and is still known
    layer.receive_request(request_of(branch="z9hG4bKfork2"), UDP_PEER, NOW + 33)
    assert events(layer)[0].merged


def test_requests_in_a_dialog_and_cancels_are_never_merged(layer: TransactionLayer, request_of: Any) -> None:
    arrive(layer, request_of(to_tag="x"))
    layer.receive_request(request_of(branch="z9hG4bKfork", to_tag="x"), UDP_PEER, NOW)
    layer.receive_request(request_of("CANCEL"), UDP_PEER, NOW)
    assert [event.merged for event in events(layer)] == [False, False]


def test_after_its_end_the_same_numbers_are_a_new_request(layer: TransactionLayer, request_of: Any) -> None:
    key = arrive(layer, request_of("OPTIONS"))
    layer.respond(key, request_of("OPTIONS").response(200, to_tag="x"), NOW)
    layer.handle_timeout(NOW + 32)
    layer.receive_request(request_of("OPTIONS", branch="z9hG4bKlater"), UDP_PEER, NOW + 40)
    assert [event.merged for event in events(layer)] == [False]


def test_a_cancel_finds_its_invite(layer: TransactionLayer, request_of: Any) -> None:
    key = arrive(layer, request_of())
    assert layer.cancelled_by(request_of("CANCEL")) == key
    assert layer.cancelled_by(request_of("CANCEL", branch="z9hG4bKother")) is None


def test_the_tag_of_an_invite_is_kept_as_long_as_the_invite(layer: TransactionLayer, request_of: Any) -> None:
    key = arrive(layer, request_of())
    assert layer.tag_of(key) is None
    layer.set_tag(key, "x")
    layer.respond(key, request_of().response(200, to_tag="x"), NOW)
    assert layer.tag_of(key) == "x"


@pytest.mark.parametrize(
    ("via", "target"),
    [
        ("SIP/2.0/UDP 10.0.0.1:5060;rport;branch=z9hG4bKx", ("10.0.0.1", 5070)),
        ("SIP/2.0/UDP 10.0.0.1:5061;branch=z9hG4bKx", ("10.0.0.1", 5061)),
        ("SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKx", ("10.0.0.1", 5060)),
        ("SIP/2.0/UDP phone.invalid:5062;branch=z9hG4bKx", ("10.0.0.1", 5062)),
        ("SIP/2.0/UDP 192.168.1.7:5060;rport;branch=z9hG4bKx", ("10.0.0.1", 5070)),
        ("SIP/2.0/UDP 10.0.0.1;maddr=224.2.0.1;branch=z9hG4bKx", ("10.0.0.1", 5060)),
    ],
)
def test_where_a_response_goes_over_udp(
    layer: TransactionLayer, request_of: Any, via: str, target: tuple[str, int]
) -> None:
    request = request_of("OPTIONS", via=via)
    key = arrive(layer, request)
    layer.respond(key, request.response(200, to_tag="x"), NOW)
    (transmit,) = sent(layer)
    assert transmit.destination == Destination(Transport.UDP, *target)
    assert transmit.listener == "udp"


def test_a_response_follows_its_stream_and_then_sent_by(layer: TransactionLayer, request_of: Any) -> None:
    request = request_of(via="SIP/2.0/TCP phone.invalid:5066;branch=z9hG4bKx")
    key = arrive(layer, request, TCP_PEER)
    layer.respond(key, request.response(180, to_tag="x"), NOW)
    (first,) = sent(layer)
    assert first.destination == TCP_PEER
    layer.transport_failed(first.transmit_id, NOW)
    (second,) = sent(layer)
    assert second.destination == Destination(Transport.TCP, "10.0.0.1", 5066)
    assert second.data == first.data
    layer.transport_failed(second.transmit_id, NOW)
    assert sent(layer) == []
    assert layer.live == 1


def test_a_request_that_cannot_be_sent_fails(layer: TransactionLayer, request_of: Any) -> None:
    key = send(layer, request_of())
    layer.transport_failed(key, NOW)
    layer.transport_failed(key, NOW)
    assert events(layer) == [RequestFailed("ours", Failure.TRANSPORT)]
    assert layer.live == 0


def test_timers_are_those_of_their_transactions(layer: TransactionLayer, request_of: Any) -> None:
    assert layer.poll_timeout() is None
    send(layer, request_of())
    assert layer.poll_timeout() == NOW + 0.5
    layer.handle_timeout(NOW + 0.5)
    assert len(sent(layer)) == 2
    assert layer.poll_timeout() == NOW + 1.5


def test_an_abandoned_request_is_forgotten_without_a_word(layer: TransactionLayer, request_of: Any) -> None:
    key = send(layer, request_of())
    layer.abandon(key)
    layer.abandon(key)
    layer.handle_timeout(NOW + 100)
    assert events(layer) == []
    assert len(sent(layer)) == 1
    assert layer.live == 0


def test_a_late_response_of_ours_goes_nowhere(layer: TransactionLayer, request_of: Any) -> None:
    request = request_of("OPTIONS")
    key = arrive(layer, request)
    layer.handle_timeout(NOW + 32)
    layer.respond(key, request.response(200, to_tag="x"), NOW + 33)
    assert sent(layer) == []


def test_the_2xx_copies_are_all_reported(layer: TransactionLayer, request_of: Any, response_to: Any) -> None:
    invite = request_of()
    send(layer, invite)
    ok = response_to(invite, 200)
    for _ in range(2):
        layer.receive_response(ok, NOW)
    assert events(layer) == [ResponseArrived("ours", ok)] * 2


def test_what_no_transaction_owns_is_sent_as_it_is(layer: TransactionLayer) -> None:
    layer.send_stateless(b"ACK", TCP_PEER, "tcp", "a|1")
    assert sent(layer) == [Transmit(b"ACK", TCP_PEER, "a|1", "tcp")]
