"""What takes half a minute or more by RFC 3261 and its extensions, played by SIPp, all of it at the same time."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import pytest

from .conftest import Stage
from .server_process import CALLEE_USER, CALLER_USER, HOST, Number, free_port
from .sipp_process import Sipp
from .test_sipp_registration import CONFIG as REGISTRAR
from .test_sipp_registration import phone

# The first test waits for all of them.
pytestmark = [pytest.mark.interop, pytest.mark.long, pytest.mark.timeout(120)]

SECONDS = 90.0  # SIPp waits for a message for most of these; the longest play takes 46

EXPIRES = 10  # the least that a registrar can be told to allow


@dataclass(frozen=True)
class Play:
    """Two that play at a number of their own."""

    name: str
    caller: str
    callee: str
    port: int


PLAYS = [
    Play("no-ack", "caller_never_acknowledges", "callee_answers", free_port()),
    Play("no-prack", "caller_never_sends_prack", "callee_rings_until_cancelled", free_port()),
    Play("refresh", "caller_is_refreshed", "callee_is_refreshed", free_port()),
    Play("silence", "caller_hears_of_silence", "callee_says_nothing", free_port()),
]


def number(play: Play) -> Number:
    sip = f"<Sip>sip:{CALLEE_USER}@{HOST}:{play.port}</Sip>"
    return Number(play.name, f'<Dial answerOnBridge="true" timeout="60">{sip}</Dial>')


CONFIG = REGISTRAR + "".join(number(play).to_toml() for play in PLAYS)


@pytest.fixture(scope="module")
def played(stage: Stage) -> Iterator[dict[str, list[Sipp]]]:
    """Callee and caller of each play, all started."""
    peers = {
        play.name: [
            stage.play(play.callee, play.port, seconds=SECONDS).__enter__(),
            stage.call(play.caller, play.name, seconds=SECONDS).__enter__(),
        ]
        for play in PLAYS
    }
    yield peers
    for peer in chain.from_iterable(peers.values()):
        peer.kill()


def test_registration_ends_by_itself(stage: Stage, played: dict[str, list[Sipp]]) -> None:
    phone(stage, "phone_registers", CALLEE_USER, expires=EXPIRES).run()
    phone(stage, "phone_asks_where_it_is_registered", CALLEE_USER).run()
    time.sleep(EXPIRES + 1)
    phone(stage, "phone_calls_one_that_is_away", CALLER_USER).run()


@pytest.mark.parametrize("name", [play.name for play in PLAYS])
def test_play(played: dict[str, list[Sipp]], name: str) -> None:
    for peer in played[name]:
        peer.wait()


def test_answer_was_repeated_until_it_was_clear_that_no_ack_would_come(played: dict[str, list[Sipp]]) -> None:
    # RFC 3261 §13.3.1.4: after 0.5, 1.5, 3.5 s and from then on every 4 s, up to 32 s.
    assert 10 <= played["no-ack"][1].received("SIP/2.0 200") <= 11


def test_progress_was_repeated_until_it_was_clear_that_no_prack_would_come(played: dict[str, list[Sipp]]) -> None:
    # RFC 3262 §3: after 0.5, 1.5, 3.5, 7.5, 15.5 and 31.5 s.
    assert 6 <= played["no-prack"][1].received("SIP/2.0 180") <= 7
