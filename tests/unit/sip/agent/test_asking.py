"""What goes out as a request of ours, in a session or on its own."""

from typing import Any

import pytest

from sidestream.sip.agent.errors import WrongState
from sidestream.sip.agent.events import RequestAnswered
from sidestream.sip.digest import DigestCredentials
from sidestream.sip.errors import LocalError
from sidestream.sip.uri import Uri
from sidestream.sip.values import NameAddr

ALICE = NameAddr(None, Uri.parse("sip:alice@10.0.0.1"))
BOB = Uri.parse("sip:bob@10.0.0.2")


def test_requests_need_a_dialog(bench: Any) -> None:
    session, _ = bench.invite()
    with pytest.raises(WrongState):
        bench.agent.request(session, "INFO", now=bench.now)


def test_a_request_outside_a_session(bench: Any) -> None:
    route = NameAddr(None, Uri.parse("sip:10.0.0.9;lr"))
    name = bench.agent.request(None, "OPTIONS", target=BOB, from_=ALICE, route=[route], now=bench.now)
    (transmit,) = bench.take_transmits()
    assert transmit.destination.host == "10.0.0.9"
    bench.wait(32)
    assert bench.take_events() == [RequestAnswered(name, None, None)]


def test_a_request_outside_a_session_to_nowhere(bench: Any) -> None:
    name = bench.agent.request(
        None, "OPTIONS", target=Uri.parse("sips:b@h"), from_=ALICE, to=NameAddr("Bob", BOB), now=bench.now
    )
    assert bench.take_events() == [RequestAnswered(name, None, None)]


def test_a_request_outside_a_session_needs_target_and_sender(bench: Any) -> None:
    with pytest.raises(LocalError):
        bench.agent.request(None, "OPTIONS", target=BOB, now=bench.now)


def test_requests_that_belong_together_share_a_call_id_and_count_on(bench: Any) -> None:
    home = Uri.parse("sip:10.0.0.2;transport=tcp")
    contact = bench.agent.contact_toward(home, "alice")
    assert str(contact) == "<sip:alice@10.0.0.1:5062;transport=tcp>"
    bench.agent.request(
        None,
        "REGISTER",
        target=home,
        from_=NameAddr(None, Uri.parse("sip:alice@10.0.0.2")),
        credentials=DigestCredentials("alice", "secret"),
        headers=[("Contact", f"{contact};expires=60")],
        call_id="mine",
        seq=7,
        now=bench.now,
    )
    (first,) = bench.take_sent()
    assert (first.call_id, first.cseq.number, first.headers.get("Contact")) == ("mine", 7, f"{contact};expires=60")
    bench.reply(first, 401, extra='WWW-Authenticate: Digest realm="r", nonce="n", qop="auth"\r\n')
    (second,) = bench.take_sent()
    assert (second.call_id, second.cseq.number, second.headers.get("Contact")) == ("mine", 8, f"{contact};expires=60")
