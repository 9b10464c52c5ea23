"""The session descriptions of a call between two phones: read in the short way and remembered, read in it but of one
call alone (an SSRC), and read line by line with nothing remembered, in turns."""

import time
from collections.abc import Callable, Sequence
from functools import partial

from benches.table import print_table
from sidestream.sdp.lines import Origin
from sidestream.sdp.relay import relayed
from sidestream.sdp.remote import remote_address
from sidestream.sdp.session import SessionDescription

SLICES = 200  # the fastest counts: everything slower is someone else's work on the machine
LOOPS = 50  # in a slice: a few milliseconds, which even a busy machine gives undisturbed now and then

_HOST, _ORIGIN = "192.0.2.1", Origin("-", 123456789, 1, "192.0.2.1")
_HEAD = "v=0\r\no=- {0} 1 IN IP4 192.0.2.20\r\ns=-\r\nc=IN IP4 192.0.2.20\r\nt=0 0\r\n"
_EVENTS = "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\n"
_OFFER = f"{_HEAD}m=audio 40016 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n{_EVENTS}"
_ANSWER = f"{_HEAD}m=audio 40018 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\n{_EVENTS}"
_SSRC = "a=ssrc:{0} cname:x\r\n"

_Read = Callable[[bytes], SessionDescription]


def _call(read: _Read, offer: bytes, answer: bytes) -> None:
    """What the platform says to either phone, and where their media go."""
    offered = read(offer)
    relayed(offered, _HOST, {offered.usable_lines[0]: 6000}, _ORIGIN).to_bytes()
    answered = read(answer)
    relayed(answered, _HOST, {answered.usable_lines[0]: 6002}, _ORIGIN, offered=offered).to_bytes()
    for description in (offered, answered):
        remote_address(description, 0)
        description.direction(0)


def _by_line(data: bytes) -> SessionDescription:
    return SessionDescription.parse_by_line(data.decode("utf-8", "surrogateescape"))


def _texts(template: str) -> list[bytes]:
    return [template.format(3981438904 + number).encode() for number in range(LOOPS)]


def _fastest(runs: Sequence[Callable[[int], object]]) -> list[float]:
    """Microseconds of each; they take turns, so that a slow spell meets all of them."""
    best = [float("inf")] * len(runs)
    for _ in range(SLICES):
        for which, run in enumerate(runs):
            started = time.perf_counter()
            for number in range(LOOPS):
                run(number)
            best[which] = min(best[which], (time.perf_counter() - started) / LOOPS * 1e6)
    return best


def main() -> None:
    texts = [(_texts(_OFFER + more), _texts(_ANSWER + more)) for more in ("", _SSRC, "")]
    reads: list[_Read] = [SessionDescription.parse, SessionDescription.parse, _by_line]
    ways = list(zip(reads, texts, strict=True))
    rows = {
        "read an offer": [partial(lambda read, offers, n: read(offers[n]), read, offers) for read, (offers, _) in ways],
        "both sides of a call": [
            partial(lambda read, offers, answers, n: _call(read, offers[n], answers[n]), read, *both)
            for read, both in ways
        ],
    }
    print_table(
        f"SDP: an offer of {len(texts[0][0][0])} octets and its answer; µs",
        ("", "remembered", "of one call alone", "line by line", "ratio"),
        [
            (name, *(f"{spent:.1f}" for spent in taken), f"{taken[2] / taken[0]:.1f} ×")
            for name, taken in ((name, _fastest(runs)) for name, runs in rows.items())
        ],
    )


if __name__ == "__main__":
    main()
