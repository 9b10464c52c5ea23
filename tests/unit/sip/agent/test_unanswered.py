"""INVITEs that wait for an answer when their agent ends, and are ended by the next one."""

from dataclasses import replace
from typing import Any

import pytest

from sidestream.sip.agent.unanswered import UnansweredImage
from sidestream.sip.errors import MessageError
from sidestream.sip.transport import Destination, ListenerAddress, Transport

from .conftest import TCP, UDP, make_bench


def image(bench: Any, session: str) -> UnansweredImage:
    taken = bench.agent.unanswered(session)
    assert taken is not None
    return taken


def ended(bench: Any, taken: UnansweredImage) -> Any:
    """Another agent that has ended it."""
    later = make_bench()
    later.now = bench.now + 5
    later.agent.end_unanswered(taken, later.now)
    later.agent.handle_timeout(later.now)
    return later


def ringing(bench: Any) -> tuple[str, Any]:
    session, request = bench.invite()
    bench.reply(request, 180)
    return session, request


def test_only_what_waits_for_an_answer_has_an_image(bench: Any) -> None:
    session, request = bench.invite()
    assert bench.agent.unanswered(session) is None  # nobody may have heard of it
    bench.reply(request, 180)
    assert bench.agent.unanswered(session) is not None
    bench.reply(request, 200)
    assert bench.agent.unanswered(session) is None
    bench.take_events()
    session = bench.incoming()
    assert bench.agent.unanswered(session) is not None
    bench.agent.respond(session, 486, now=bench.now)
    assert bench.agent.unanswered(session) is None


def test_a_caller_is_refused_with_the_tag_that_it_knows(bench: Any) -> None:
    session = bench.incoming()
    bench.agent.respond(session, 180, now=bench.now)
    (progress,) = bench.take_sent()
    later = ended(bench, image(bench, session))
    (transmit,) = later.take_transmits()
    assert transmit.destination == Destination(Transport.UDP, UDP.host, UDP.port)
    text = transmit.data.decode()
    assert text.startswith("SIP/2.0 500 ")
    assert f"To: <sip:alice@10.0.0.1>;tag={progress.to.tag}\r\n" in text
    assert "Retry-After: 1\r\n" in text
    # until its ACK comes
    later.wait(1.0)
    assert [answer.status for answer in later.take_sent()] == [500]
    later.request("ACK", to_tag=progress.to.tag, branch="z9hG4bKbob1")
    later.wait(40.0)
    assert later.take_sent() == []
    assert later.agent.live == (0, 0)


def test_a_caller_by_a_stream_is_answered_by_it(bench: Any) -> None:
    session = bench.incoming(peer=TCP)
    later = ended(bench, image(bench, session))
    (transmit,) = later.take_transmits()
    assert transmit.destination == TCP
    # the stream ended with the process before: RFC 3261 §18.2.2
    later.agent.transport_failed(transmit.transmit_id, later.now)
    (again,) = later.take_transmits()
    assert again.destination == Destination(Transport.TCP, "10.0.0.2", 5060)
    assert again.data == transmit.data


def test_an_invite_that_came_again_before_is_refused_once(bench: Any) -> None:
    taken = image(bench, bench.incoming())
    later = make_bench()
    later.receive(taken.invite)
    later.agent.end_unanswered(taken, later.now)
    later.wait(1.0)
    assert [answer.status for answer in later.take_sent()] == [100]


def test_who_still_rings_is_cancelled(bench: Any) -> None:
    session, request = ringing(bench)
    later = ended(bench, image(bench, session))
    (copy,) = later.take_sent()
    assert copy.to_bytes() == request.to_bytes()
    later.reply(copy, 180)
    (cancel,) = later.take_sent()
    assert (cancel.method, cancel.via.branch, cancel.call_id) == ("CANCEL", request.via.branch, request.call_id)
    later.reply(cancel, 200)
    later.reply(copy, 487)
    assert [ack.method for ack in later.take_sent()] == ["ACK"]
    later.wait(80.0)
    assert later.agent.live == (0, 0)


def test_who_has_answered_meanwhile_is_hung_up(bench: Any) -> None:
    session, _ = ringing(bench)
    later = ended(bench, image(bench, session))
    (copy,) = later.take_sent()
    later.reply(copy, 200)
    ack, bye = later.take_sent()
    assert (ack.method, bye.method) == ("ACK", "BYE")
    assert bye.to.tag == "bobs"
    later.reply(bye, 200)
    later.wait(80.0)
    assert later.agent.live == (0, 0)


def test_who_is_not_there_any_more_is_given_up(bench: Any) -> None:
    session, _ = ringing(bench)
    later = ended(bench, image(bench, session))
    later.wait(150.0)
    assert {sent.method for sent in later.take_sent()} == {"INVITE"}
    assert later.agent.live == (0, 0)


def test_without_its_listener_nothing_is_sent(bench: Any) -> None:
    session, _ = ringing(bench)
    later = make_bench(listeners=(ListenerAddress("tcp", Transport.TCP, "10.0.0.1", 5062),))
    later.agent.end_unanswered(image(bench, session), later.now)
    assert later.take_sent() == []


def test_what_is_no_image_is_refused(bench: Any) -> None:
    taken = image(bench, bench.incoming())
    response = b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nFrom: <sip:a@a>;tag=a\r\nTo: <sip:a@a>\r\n"
    response += b"Call-ID: 1\r\nCSeq: 1 INVITE\r\n\r\n"
    for broken in (
        replace(taken, invite=response),
        replace(taken, invite=taken.invite.replace(b"INVITE", b"OPTIONS")),
        replace(taken, destination=None),
        replace(taken, invite=b"nothing"),
    ):
        with pytest.raises(MessageError):
            bench.agent.end_unanswered(broken, bench.now)
