"""Parsing an INVITE and reading its nine typed fields, by the native codec and by the Python one, in turns; beside them
the standard library's e-mail parser on the same header block (which gives strings only)."""

import email.parser
import email.policy
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from benches.table import print_table
from sidestream.sip import codec
from sidestream.sip.message import Request, parse_message

TURNS = 3  # of each codec, in processes of their own
SLICES = 60  # the fastest counts: everything slower is someone else's work on the machine
LOOPS = 200  # in a slice: a millisecond or a few, which even a busy machine gives undisturbed now and then

_BODY = (
    b"v=0\r\no=- 3981438904 1 IN IP4 192.0.2.20\r\ns=Sidestream\r\nc=IN IP4 192.0.2.20\r\nt=0 0\r\n"
    b"m=audio 40016 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n"
    b"a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\n"
)
_HEAD = (
    b"INVITE sip:+14155550100@sip.example.com:5060;transport=udp SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK480336f838e3d864;rport\r\n"
    b"Via: SIP/2.0/UDP 192.0.2.11:5060;branch=z9hG4bK-5d2c9a7e11;received=192.0.2.4\r\n"
    b"Record-Route: <sip:192.0.2.10;lr;ftag=7347b9e66c9e>\r\n"
    b"Max-Forwards: 69\r\n"
    b'From: "Ada Field" <sip:+14155550142@carrier.example.net>;tag=7347b9e66c9e\r\n'
    b"To: <sip:+14155550100@sip.example.com>\r\n"
    b"Call-ID: 079b93cc30197757c2dd5e3aa168fe42@192.0.2.11\r\n"
    b"CSeq: 102 INVITE\r\n"
    b"Contact: <sip:+14155550142@192.0.2.11:5060;transport=udp>\r\n"
    b"Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, SUBSCRIBE, NOTIFY, INFO, UPDATE\r\n"
    b"Supported: timer, 100rel, replaces\r\n"
    b"Session-Expires: 1800;refresher=uac\r\n"
    b"Min-SE: 90\r\n"
    b"Accept: application/sdp, application/dtmf-relay\r\n"
    b"User-Agent: Example Gateway 4.2\r\n"
    b"P-Asserted-Identity: <sip:+14155550142@carrier.example.net>\r\n"
    b"Date: Mon, 02 Mar 2026 09:15:04 GMT\r\n"
    b"Content-Type: application/sdp\r\n"
)
INVITE = _HEAD + b"Content-Length: %d\r\n\r\n" % len(_BODY) + _BODY
_HEADER_BLOCK = INVITE.partition(b"\r\n")[2]


def _parse() -> object:
    return parse_message(INVITE)


def _parse_and_read() -> object:
    request = parse_message(INVITE)
    return (
        request.vias,
        request.from_,
        request.to,
        request.call_id,
        request.cseq,
        request.max_forwards,
        request.contacts,
        request.content_type,
        request.supported,
    )


_REQUEST = parse_message(INVITE)
assert isinstance(_REQUEST, Request)


def _write() -> object:
    return _REQUEST.to_bytes()


def _answer() -> object:
    return _REQUEST.response(180, to_tag="a73kszlfl").to_bytes()


def _parse_email() -> object:
    return email.parser.BytesParser(policy=email.policy.compat32).parsebytes(_HEADER_BLOCK)


_RUNS: dict[str, Callable[[], object]] = {
    "parse and nine typed fields": _parse_and_read,
    "parse alone": _parse,
    "answer and write it": _answer,
    "write": _write,
    "stdlib e-mail parser, strings only": _parse_email,
}


def measure() -> dict[str, float]:
    """Microseconds of each run in this process; they take turns, so that a slow spell meets all of them."""
    best = dict.fromkeys(_RUNS, float("inf"))
    for _ in range(SLICES):
        for name, run in _RUNS.items():
            started = time.perf_counter()
            for _ in range(LOOPS):
                run()
            best[name] = min(best[name], (time.perf_counter() - started) / LOOPS * 1e6)
    return best


def _measure_elsewhere(codec_name: str) -> dict[str, float]:
    environment = os.environ | {"SIDESTREAM_SIP_CODEC": codec_name}
    command = [sys.executable, "-m", "benches", "sip_parse", "--here"]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def main(arguments: Sequence[str] = ()) -> None:
    if "--here" in arguments:
        print(json.dumps(measure()))
        return
    turns = [(_measure_elsewhere("native"), _measure_elsewhere("python")) for _ in range(TURNS)]
    rows = []
    for name in _RUNS:
        native, python = (min(turn[which][name] for turn in turns) for which in (0, 1))
        rows.append((name, f"{native:.1f}", f"{python:.1f}", f"{python / native:.1f} ×"))
    title = f"SIP codec: INVITE of {len(INVITE)} bytes, {len(_REQUEST.headers)} header fields; µs"
    if codec.native is None:
        title += "; the native codec is NOT built"
    print_table(title, ("", "native", "Python", "ratio"), rows)


if __name__ == "__main__":
    main(sys.argv[1:])
