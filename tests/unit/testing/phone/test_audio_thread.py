import random
import threading

import pytest

from sidestream.base.ids import Ids
from sidestream.testing.phone.audio_thread import AudioThread
from sidestream.testing.phone.stream import RtpStream
from sidestream.testing.phone.talker import Talk
from sidestream.testing.phone.tracks import transit


class ToldStream(RtpStream):
    """Tells when it has heard a number of packets."""

    def __init__(self, seed: int) -> None:
        super().__init__("127.0.0.1", Ids(random.Random(seed)), speech=None, loop_speech=True, cname="x")
        self.wanted = 10
        self.enough = threading.Event()

    def receive_rtp(self) -> None:
        super().receive_rtp()
        if len(self.received) >= self.wanted:
            self.enough.set()


@pytest.fixture
def thread():
    made = AudioThread("test")
    made.start()
    yield made
    made.close()


def test_streams_talk_to_each_other(thread) -> None:
    one, two = ToldStream(1), ToldStream(2)
    for mine, theirs in ((one, two), (two, one)):
        mine.direct(Talk("PCMU", 0), (theirs.host, theirs.port))
        thread.add(mine)
    assert one.enough.wait(10)
    assert two.enough.wait(10)
    thread.remove(one)
    thread.remove(one)
    two.wanted = len(two.received) + 1
    thread.remove(two)
    assert transit(list(one.sent), list(two.received)).clean


def test_closing_closes_the_streams_and_ends_the_thread() -> None:
    thread = AudioThread("test")
    thread.start()
    stream = ToldStream(3)
    thread.add(stream)
    thread.close()
    assert stream.rtp.fileno() == stream.rtcp.fileno() == -1
    assert not [one for one in threading.enumerate() if one.name == "phone-test"]


def test_one_that_never_started_can_be_closed() -> None:
    AudioThread("test").close()
