import random
import socket
import time

import numpy as np
import pytest

from sidestream.base.ids import Ids
from sidestream.testing.phone.stream import FIRST_REPORT_SECONDS, REPORT_SECONDS, RtpStream
from sidestream.testing.phone.talker import Talk
from sidestream.testing.phone.tracks import Heard, transit
from sidestream.testing.speech import CALLER

MU = Talk("PCMU", 0, 101)


@pytest.fixture
def make():
    made = []

    def stream(host: str = "127.0.0.1", **options) -> RtpStream:
        one = RtpStream(
            host, Ids(random.Random(len(made))), **{"speech": CALLER, "loop_speech": True, "cname": "x"} | options
        )
        made.append(one)
        return one

    yield stream
    for one in made:
        one.close()


def _address(stream: RtpStream) -> tuple[str, int]:
    return (stream.host, stream.port)


def test_it_binds_an_even_port_and_the_next(make) -> None:
    stream = make()
    assert stream.port % 2 == 0
    assert stream.rtcp.getsockname()[1] == stream.port + 1


def test_what_one_sends_the_other_hears(make) -> None:
    one, two = make(), make()
    one.direct(MU, _address(two))
    assert one.run(10.0) == pytest.approx(10.02)
    assert one.run(10.99) == pytest.approx(11.0)
    read_ns = time.time_ns()
    two.receive_rtp()
    assert len(one.sent) == len(two.received) == 50
    assert [heard.packet for heard in two.received] == [sent.packet for sent in one.sent]
    result = transit(one.sent, two.received)
    assert result.clean
    # Stamped by the kernel on its arrival, not when it was read.
    assert result.latency_min_us >= 0
    assert all(heard.at_ns <= read_ns for heard in two.received)


def test_nothing_is_sent_without_an_address_or_leave(make) -> None:
    one, two = make(), make()
    one.run(0.0)
    one.direct(None, _address(two))
    one.run(0.1)
    one.direct(MU)
    one.run(0.2)
    two.receive_rtp()
    assert one.sent == two.received == []
    one.direct(MU, _address(two))
    one.run(0.22)
    assert len(one.sent) == 1
    assert one.sent[0].packet.marker


def test_digits_are_sent(make) -> None:
    one, two = make(), make()
    one.direct(MU, _address(two))
    one.press("7")
    one.run(0.0)
    two.receive_rtp()
    assert two.received[0].packet.payload_type == 101


def test_it_reports_after_a_second_and_then_every_five(make) -> None:
    one, two = make(), make()
    one.direct(MU, _address(two), (two.host, two.port + 1))
    one.run(0.0)
    for now in (FIRST_REPORT_SECONDS - 0.01, FIRST_REPORT_SECONDS, FIRST_REPORT_SECONDS + REPORT_SECONDS - 0.01):
        one.run(now)
    two.receive_rtcp()
    assert len(two.received_reports) == 1
    one.run(FIRST_REPORT_SECONDS + REPORT_SECONDS)
    two.receive_rtcp()
    assert len(two.received_reports) == 2
    report = two.received_reports[0]
    assert report[1] == 200
    assert int.from_bytes(report[4:8], "big") == one.talker.ssrc
    assert int.from_bytes(report[20:24], "big") == 51  # packets sent by then


def test_it_says_goodbye(make) -> None:
    one, two = make(), make()
    one.direct(MU, _address(two), (two.host, two.port + 1))
    one.run(0.0)
    one.close()
    two.receive_rtcp()
    [compound] = two.received_reports
    assert compound[-7] == 203
    two.close()


def test_what_is_no_rtp_is_counted(make) -> None:
    stream = make()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.sendto(b"hello", _address(stream))
    stream.receive_rtp()
    assert (stream.unparsable, stream.received) == (1, [])


def test_a_refused_packet_is_lost_and_the_next_one_sent(make) -> None:
    one = make()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = closed.getsockname()
    one.direct(MU, nobody)
    one.run(0.0)
    one.run(0.1)
    one.receive_rtp()
    assert len(one.sent) + one.send_errors == 6
    one.close()
    one.direct(MU, nobody)
    one.run(0.12)
    assert one.send_errors >= 1


def test_ipv6(make) -> None:
    one, two = make("::1"), make("::1")
    one.direct(MU, _address(two))
    one.run(0.0)
    two.receive_rtp()
    assert len(two.received) == 1


def test_arrivals_have_the_kernels_stamp(make) -> None:
    stream = make()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        before = time.time_ns()
        sender.sendto(b"\x80\x00" + bytes(10) + b"abc", _address(stream))
        after = time.time_ns()
    busy = np.arange(2_000_000).sum()  # the packet waits while we are busy
    assert busy
    stream.receive_rtp()
    [heard] = stream.received
    assert isinstance(heard, Heard)
    assert before <= heard.at_ns <= after
