"""A session that goes on in another agent, as after a restart."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidestream.sip.agent.events import ByeReceived, EndCause, ReinviteReceived, RequestReceived, SessionEnded
from sidestream.sip.agent.image import SEQ_GAP, SessionImage
from sidestream.sip.agent.session_clock import RESUME_SPREAD
from sidestream.sip.digest import DigestCredentials
from sidestream.sip.errors import LocalError
from sidestream.sip.session_timer import SessionTimerPolicy
from sidestream.sip.transport import Destination, ListenerAddress, Peer, Transport
from sidestream.sip.uri import Uri
from sidestream.sip.values import NameAddr

from .conftest import TCP, make_bench

TIMED: dict[str, Any] = {"session_timer": SessionTimerPolicy()}


def image(bench: Any, session: str) -> SessionImage:
    taken = bench.agent.image(session)
    assert taken is not None
    return taken


def restored(bench: Any, session: str, **config: Any) -> tuple[Any, str]:
    """Another agent that has taken up the session, and its name there."""
    later = make_bench(**config)
    later.now = bench.now + 5
    return later, later.agent.restore(image(bench, session), later.now)


def test_only_an_established_session_has_an_image(bench: Any) -> None:
    session, request = bench.invite()
    assert bench.agent.image(session) is None
    bench.reply(request, 180)
    assert bench.agent.image(session) is None
    bench.reply(request, 200)
    assert bench.agent.image(session) is None  # it waits for our ACK
    bench.agent.acknowledge(session, now=bench.now)
    assert bench.agent.image(session) is not None
    bench.agent.bye(session, now=bench.now)
    assert bench.agent.image(session) is None


def test_a_2xx_without_its_ack_has_none(bench: Any) -> None:
    session = bench.incoming()
    bench.agent.respond(session, 200, now=bench.now)
    assert bench.agent.image(session) is None
    bench.request("ACK", to_tag=bench.tag(session))
    assert bench.agent.image(session) is not None


def test_nothing_may_be_under_way(bench: Any) -> None:
    session = bench.established()
    bench.agent.request(session, "INFO", now=bench.now)
    (info,) = bench.take_sent()
    assert bench.agent.image(session) is None
    bench.reply(info, 200)
    bench.agent.reinvite(session, now=bench.now)
    assert bench.agent.image(session) is None


def test_our_requests_go_on_with_higher_numbers_to_the_same_place(bench: Any) -> None:
    session, request = bench.invite()
    route = "Record-Route: <sip:10.0.0.9;lr>\r\n"
    bench.reply(request, 200, extra=f"Contact: <sip:bob@10.0.0.2>\r\n{route}")
    bench.agent.acknowledge(session, now=bench.now)
    before = bench.agent.dialog(session)
    later, name = restored(bench, session)
    later.agent.bye(name, now=later.now)
    (transmit,) = later.take_transmits()
    assert transmit.destination == Destination(Transport.UDP, "10.0.0.9", 5060)
    text = transmit.data.decode()
    assert f"CSeq: {before.local_seq + SEQ_GAP + 1} BYE" in text
    assert "Route: <sip:10.0.0.9;lr>" in text
    assert text.startswith("BYE sip:bob@10.0.0.2 SIP/2.0")
    assert f"Call-ID: {before.call_id}" in text
    assert later.take_events() == [SessionEnded(name, EndCause.LOCAL_BYE)]


def test_the_peer_finds_its_session(bench: Any) -> None:
    session = bench.answered()
    later, name = restored(bench, session)
    later.inside(name, "INVITE", 2, extra="Content-Type: application/sdp\r\n", body="v=0\r\n")
    (event,) = later.take_events()
    assert isinstance(event, ReinviteReceived)
    later.agent.respond(name, 200, now=later.now)
    later.request("ACK", to_tag=later.tag(name), number=2)
    later.inside(name, "INFO", 3)
    assert [type(event) for event in later.take_events() if not hasattr(event, "cause")][-1] is RequestReceived
    later.inside(name, "BYE", 4)
    assert [type(event) for event in later.take_events()] == [ByeReceived, SessionEnded]
    assert later.take_sent()[-1].status == 200


def test_what_is_repeated_after_the_restart_does_no_harm(bench: Any) -> None:
    session, request = bench.invite()
    bench.reply(request, 200)
    bench.agent.acknowledge(session, now=bench.now)
    later, name = restored(bench, session)
    later.reply(request, 200)  # the peer has not seen our ACK
    assert later.take_events() == []
    assert later.agent.dropped == 1
    bench.take_events()
    called = bench.answered(call_id="another")
    again, name = restored(bench, called)
    again.request("ACK", to_tag=again.tag(name), call_id="another")
    assert again.take_events() == []
    again.inside(name, "INFO", 1)  # a number from before the restart
    assert again.take_sent()[-1].status == 500


def test_a_stream_is_opened_anew_where_the_contact_leads(bench: Any) -> None:
    session = bench.incoming(peer=TCP, contact="<sip:bob@10.0.0.2:5066;transport=tcp>")
    bench.agent.respond(session, 200, now=bench.now)
    bench.request("ACK", to_tag=bench.tag(session), peer=TCP)
    bench.take_transmits()
    later, name = restored(bench, session)
    later.agent.bye(name, now=later.now)
    (transmit,) = later.take_transmits()
    assert transmit.destination == Destination(Transport.TCP, "10.0.0.2", 5066)


def test_where_a_registered_phone_sent_from_is_kept_for_datagrams(bench: Any) -> None:
    seen = Peer(Transport.UDP, "203.0.113.5", 6000, "udp")
    session = bench.established(via=seen)
    later, name = restored(bench, session)
    later.agent.bye(name, now=later.now)
    assert later.take_transmits()[0].destination == seen


def test_a_challenge_is_answered(bench: Any) -> None:
    session = bench.established(credentials=DigestCredentials("alice", "wonder"))
    later, name = restored(bench, session)
    later.agent.bye(name, now=later.now)
    (bye,) = later.take_sent()
    later.reply(bye, 401, extra='WWW-Authenticate: Digest realm="r", nonce="n", qop="auth"\r\n')
    (again,) = later.take_sent()
    assert 'username="alice"' in again.headers.get("Authorization")


def test_our_refresh_comes_soon(bench_with: Any) -> None:
    bench = bench_with(**TIMED)
    session, request = bench.invite()
    bench.reply(request, 200, extra="Contact: <sip:bob@10.0.0.2>\r\nSession-Expires: 1800;refresher=uac\r\n")
    bench.agent.acknowledge(session, now=bench.now)
    later, _ = restored(bench, session, **TIMED)
    later.wait(RESUME_SPREAD)
    (refresh,) = later.take_sent()[:1]
    assert refresh.headers.get("Session-Expires") == "1800;refresher=uac"


def test_the_peers_refresh_is_waited_for(bench_with: Any) -> None:
    bench = bench_with(**TIMED)
    timer = "Supported: timer\r\nSession-Expires: 600;refresher=uac\r\n"
    session = bench.answered(extra=f"Content-Type: application/sdp\r\n{timer}")
    later, _ = restored(bench, session, **TIMED)
    later.wait(500)
    assert later.take_sent() == []
    later.wait(100)
    assert later.take_sent()[0].method == "BYE"


def test_a_listener_that_is_gone(bench: Any) -> None:
    session = bench.established()
    tcp_only = make_bench(listeners=(ListenerAddress("tcp", Transport.TCP, "10.0.0.1", 5062),))
    with pytest.raises(LocalError):
        tcp_only.agent.restore(image(bench, session), 0.0)


_WORD = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=12)
_PARAMS = st.lists(st.tuples(_WORD, st.none() | _WORD), max_size=2, unique_by=lambda one: one[0]).map(tuple)
_URIS = st.builds(
    lambda user, host, port: str(Uri.sip(user, f"{host}.example", port)),
    st.none() | _WORD,
    _WORD,
    st.none() | st.integers(1, 65535),
)
_NAMES = st.builds(
    lambda name, uri, tag: str(NameAddr(name, Uri.parse(uri)).with_tag(tag)),
    st.none() | st.text('ab "\\é', max_size=8),
    _URIS,
    _WORD,
)


@given(
    base=st.sampled_from(["established", "answered"]),
    changes=st.fixed_dictionaries(
        {
            "contact_user": st.none() | _WORD,
            "contact_params": _PARAMS,
            "secure": st.booleans(),
            "call_id": _WORD,
            "local": _NAMES,
            "remote": _NAMES,
            "remote_target": _URIS,
            "route_set": st.lists(_NAMES, max_size=3).map(tuple),
            "local_seq": st.integers(0, 2**30),
            "remote_seq": st.none() | st.integers(0, 2**31),
            "peer_allows": st.lists(_WORD, unique=True, max_size=3).map(sorted).map(tuple),
            "sent_sdp": st.binary(max_size=20),
            "heard_sdp": st.binary(max_size=20),
            "credentials": st.none() | st.builds(DigestCredentials, st.text(max_size=8), st.text(max_size=8)),
            "spoken_with": st.lists(_WORD, max_size=2, unique=True).map(sorted).map(tuple),
            "observed": st.none() | st.builds(Destination, st.just(Transport.UDP), _WORD, st.integers(1, 65535)),
        }
    ),
)
def test_an_image_is_read_back_and_restored_as_it_was(base: str, changes: dict[str, Any]) -> None:
    bench = make_bench()
    first = replace(image(bench, getattr(bench, base)()), **changes)
    read = msgspec.msgpack.decode(msgspec.msgpack.encode(first), type=SessionImage)
    assert read == first
    later = make_bench()
    again = later.agent.image(later.agent.restore(read, later.now))
    assert again == replace(first, local_seq=first.local_seq + SEQ_GAP)
