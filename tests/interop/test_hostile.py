"""What somebody writes by hand to break the real process, or to make it speak to somebody else."""

import socket
from base64 import b64encode
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest

from .conftest import DIAL, Stage
from .server_process import HOST, free_port
from .test_sipp_overload import STRANGER
from .test_sipp_requests import malformed

pytestmark = pytest.mark.interop

WAIT_S = 5.0
PUBLIC_PORT = free_port()
WAIT = "wait"
CONFIG = f'[[numbers]]\nnumber = "{WAIT}"\ntwiml = """<Response><Play digits="w"/><Pause length="60"/></Response>"""\n'
CONFIG += f'[[trunks]]\nname = "lan"\nsources = ["{HOST}/32", "{STRANGER or HOST}/32"]\n'
if STRANGER is not None:
    CONFIG += f'[[listeners]]\ntransport = "udp"\nhost = "{STRANGER}"\nport = {PUBLIC_PORT}\n'

OPTIONS = f"OPTIONS sip:{HOST} SIP/2.0"
# What follows is sent over TCP, so that Content-Length says where a message ends.
STREAMS = {
    "length-huge": (malformed(OPTIONS, CSeq="1 OPTIONS", Content_Length="99999999999"), b"400"),
    "length-negative": (malformed(OPTIONS, CSeq="1 OPTIONS", Content_Length="-5"), b"400"),
    "length-signed": (malformed(OPTIONS, CSeq="1 OPTIONS", Content_Length="+0"), b"400"),
    "length-missing": (malformed(OPTIONS, CSeq="1 OPTIONS", Content_Length=""), b"400"),
    "lengths-differ": (malformed(OPTIONS, CSeq="1 OPTIONS", l="7"), b"400"),
    "two-froms": (malformed(OPTIONS, CSeq="1 OPTIONS", f="<sip:c@h>;tag=2"), b"400"),
    "two-call-ids": (malformed(OPTIONS, CSeq="1 OPTIONS", i="another"), b"400"),
    "many-headers": (malformed(OPTIONS, CSeq="1 OPTIONS", Subject="a\r\n" + "a: b\r\n" * 1000 + "c: d"), b"400"),
    "long-header": (malformed(OPTIONS, CSeq="1 OPTIONS", Subject="a" * 20_000), b"400"),
    "long-head": (malformed(OPTIONS, CSeq="1 OPTIONS", Subject="a" * 64_000), None),
    "http": (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", None),
}


@pytest.mark.parametrize(("data", "status"), STREAMS.values(), ids=STREAMS)
def test_a_stream_that_cannot_be_read_is_answered_or_closed_and_others_go_on(
    stage: Stage, data: bytes, status: bytes | None
) -> None:
    with socket.create_connection((HOST, stage.server.sip_port), WAIT_S) as stream:
        stream.sendall(data)
        try:
            answer = stream.recv(65535)
        except ConnectionResetError:
            answer = b""
    assert answer[8:11] == status if status is not None else b"200 OK" not in answer
    stage.call("options_are_answered", DIAL, transport="tcp").run()


@pytest.mark.parametrize(
    ("to", "caller"),
    [
        ("sip:bob@{sink}\r\nX-Evil: 1", "+15551234567"),
        ("sip:bob@{sink}?X-A=b%0D%0AX-Evil:%201", "+15551234567"),
        ("sip:bob@{sink};x=%0D%0AX-Evil:%201", "sip:a@b"),
        ("sip:bob@{sink}", "sip:a@b\r\nX-Evil: 1"),
        ("sip:bob@{sink}", "sip:a%0D%0AX-Evil@b"),
        ("sip:bob@{sink}", "sip:a@b?X-Evil=1"),
    ],
)
def test_values_of_the_api_make_no_header_field(stage: Stage, to: str, caller: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sink:
        sink.bind((HOST, 0))
        sink.settimeout(WAIT_S)
        to = to.format(sink=f"{HOST}:{sink.getsockname()[1]}")
        if post(stage, "Calls.json", To=to, From=caller, Timeout="1", Twiml="<Response/>"):
            invite = sink.recv(65535)
            assert invite.startswith(b"INVITE sip:bob@")
            assert not [line for line in invite.split(b"\r\n") if line.startswith(b"X-Evil")]


@pytest.mark.skipif(STRANGER is None, reason="this machine has no address besides loopback")
def test_a_caller_elsewhere_cannot_have_us_speak_to_our_own_machine(stage: Stage) -> None:
    with (
        socket.create_server((HOST, 0)) as inner,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer,
    ):
        inner.settimeout(1.0)
        peer.bind((STRANGER, 0))
        peer.settimeout(WAIT_S)
        contact = f"<sip:x@{HOST}:{inner.getsockname()[1]};transport=tcp>"
        via = f"SIP/2.0/UDP {STRANGER}:{peer.getsockname()[1]};branch=z9hG4bK-hostile-"
        description = (
            f"v=0\r\no=- 1 1 IN IP4 {STRANGER}\r\ns=-\r\nc=IN IP4 {STRANGER}\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n"
        )
        fields = {"Contact": contact, "Call_ID": "hostile", "From": "<sip:mallory@example.org>;tag=m"}
        line = f"INVITE sip:{WAIT}@{STRANGER} SIP/2.0"
        invite = malformed(line, description, Via=f"{via}1;received={HOST}", Content_Type="application/sdp", **fields)
        peer.sendto(invite, (STRANGER, PUBLIC_PORT))
        answer = peer.recv(65535)
        while answer.startswith(b"SIP/2.0 1"):
            answer = peer.recv(65535)
        assert answer.startswith(b"SIP/2.0 200")
        to = next(row[4:].decode() for row in answer.split(b"\r\n") if row.startswith(b"To: "))
        ack = malformed(f"ACK sip:{STRANGER} SIP/2.0", Via=f"{via}2", CSeq="1 ACK", To=to, **fields)
        peer.sendto(ack, (STRANGER, PUBLIC_PORT))
        (call,) = [call for call in stage.server.calls(to=WAIT) if call["status"] == "in-progress"]
        assert post(stage, f"Calls/{call['sid']}.json", Status="completed")
        bye = peer.recv(65535)
        while not bye.startswith(b"BYE "):
            bye = peer.recv(65535)
        with pytest.raises(TimeoutError):
            inner.accept()


def post(stage: Stage, path: str, **fields: str) -> bool:
    server = stage.server
    token = b64encode(f"{server.account_sid}:{server.auth_token}".encode()).decode()
    request = Request(
        f"{server.base_url}/2010-04-01/Accounts/{server.account_sid}/{path}",
        data=urlencode(fields).encode(),
        headers={"Authorization": f"Basic {token}"},
    )
    try:
        with urlopen(request, timeout=10) as answer:
            return bool(answer.status < 300)
    except HTTPError as error:
        if error.code != 400:
            raise
        return False
