"""Requests outside of calls, and some that are no SIP at all."""

import random
import socket

import pytest

from .conftest import DIAL, Stage
from .server_process import CALLER_USER, HOST

pytestmark = pytest.mark.interop

_ANSWER_SECONDS = 5.0


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize(
    "scenario",
    [
        "options_are_answered",
        "stray_bye_is_refused",
        "unknown_method_is_refused",
        "caller_requires_the_unknown",
        "caller_is_out_of_hops",
        "caller_speaks_another_language",
        "caller_accepts_no_description",
        "caller_has_no_common_medium",
        "caller_dials_another_scheme",
        "caller_wants_too_short_a_session",
    ],
)
def test_request(stage: Stage, scenario: str, transport: str) -> None:
    stage.call(scenario, DIAL, transport=transport).run()


def malformed(line: str, body: str = "", **changed: str) -> bytes:
    """A request with this first line; `changed` replaces header fields (an underscore stands for a hyphen)."""
    fields = {
        "Via": f"SIP/2.0/UDP {HOST}:9;branch=z9hG4bK-interop-{random.getrandbits(32)};rport",
        "Max-Forwards": "70",
        "From": f"<sip:{CALLER_USER}@{HOST}>;tag=1",
        "To": f"<sip:{DIAL}@{HOST}>",
        "Call-ID": "malformed@interop",
        "CSeq": "1 INVITE",
        "Contact": f"<sip:{CALLER_USER}@{HOST}>",
        "Content-Length": str(len(body)),
    } | {name.replace("_", "-"): value for name, value in changed.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value)
    return f"{line}\r\n{head}\r\n{body}".encode()


INVITE = f"INVITE sip:{DIAL}@{HOST} SIP/2.0"
MALFORMED = {
    "cseq-of-another-method": malformed(INVITE, CSeq="1 BYE"),
    "cseq-too-large": malformed(INVITE, CSeq="4294967296 INVITE"),
    "no-from": malformed(INVITE, From=""),
    "from-unclosed": malformed(INVITE, From='"Alice <sip:alice@example.org>;tag=1'),
    "no-call-id": malformed(INVITE, Call_ID=""),
    "length-beyond-datagram": malformed(INVITE, Content_Length="500"),
    "length-negative": malformed(INVITE, Content_Length="-1"),
    "uri-without-host": malformed("INVITE sip:dial@ SIP/2.0"),
    "two-spaces": malformed(f"INVITE  sip:{DIAL}@{HOST} SIP/2.0"),
    "no-description": malformed(INVITE, "v=0\r\nthis is no session description", Content_Type="application/sdp"),
}


@pytest.mark.parametrize("message", MALFORMED.values(), ids=MALFORMED)
def test_malformed_request_is_answered_400(stage: Stage, message: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.settimeout(_ANSWER_SECONDS)
        peer.sendto(message, (HOST, stage.server.sip_port))
        answer = peer.recv(65535)
        while answer.startswith(b"SIP/2.0 1"):
            answer = peer.recv(65535)
    assert answer.startswith(b"SIP/2.0 400 ")


def test_noise_is_survived(stage: Stage) -> None:
    chance = random.Random(4475)
    noise = [b"", b"\r\n\r\n", b"\0", b"SIP/2.0", b"INVITE", b"SIP/2.0 200 OK\r\n\r\n"]
    # Nothing by which its sender could match an answer, so it gets none.
    noise += [malformed(INVITE, CSeq=""), malformed(INVITE, Via="")]
    noise += [chance.randbytes(chance.randrange(1, 1400)) for _ in range(50)]
    whole = malformed(INVITE)
    noise += [whole[: chance.randrange(len(whole))] for _ in range(50)]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        for datagram in noise:
            peer.sendto(datagram, (HOST, stage.server.sip_port))
    for datagram in noise:
        with socket.create_connection((HOST, stage.server.sip_port), _ANSWER_SECONDS) as stream:
            stream.sendall(datagram)
    stage.call("options_are_answered", DIAL).run()
    stage.call("options_are_answered", DIAL, transport="tcp").run()
