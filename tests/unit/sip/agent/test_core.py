"""Sessions and how they are found, kept and forgotten."""

from typing import Any


def test_an_ended_session_is_kept_for_late_messages_and_then_forgotten(bench: Any) -> None:
    session = bench.established()
    bench.agent.bye(session, now=bench.now)
    bench.wait(31.9)
    assert bench.agent.live[0] == 1
    bench.wait(0.2)
    assert bench.agent.live == (0, 0)


def test_a_call_that_never_had_a_dialog_is_forgotten_too(bench: Any) -> None:
    _, request = bench.invite()
    bench.reply(request, 404)
    bench.wait(33)
    assert bench.agent.live == (0, 0)


def test_early_dialogs_are_forgotten_with_their_session(bench: Any) -> None:
    _, request = bench.invite()
    bench.reply(request, 183)
    bench.reply(request, 404)
    bench.wait(33)
    bench.take_sent()
    bench.request("INFO", to_tag=request.from_.tag, call_id=request.call_id)
    assert bench.take_sent()[0].status == 481


def test_strict_routes_are_followed(bench: Any) -> None:
    session, request = bench.invite()
    # The last Record-Route is the router next to us.
    routes = "Record-Route: <sip:10.0.0.8;lr>\r\nRecord-Route: <sip:10.0.0.9:5070>\r\n"
    bench.reply(request, 200, extra=routes + "Contact: <sip:bob@10.0.0.2>\r\n")
    bench.agent.acknowledge(session, now=bench.now)
    (transmit,) = bench.take_transmits()
    assert (transmit.destination.host, transmit.destination.port) == ("10.0.0.9", 5070)
    assert transmit.data.startswith(b"ACK sip:10.0.0.9:5070 SIP/2.0\r\n")
    assert b"\r\nRoute: <sip:10.0.0.8;lr>\r\nRoute: <sip:bob@10.0.0.2>\r\n" in transmit.data
