"""Sources that send too much, and a platform that is full."""

import socket
from typing import Any

from sidestream.sip.agent.config import AgentConfig
from sidestream.sip.agent.events import InviteAccepted, InviteReceived, InviteRejected
from sidestream.wire import rate_limit
from sidestream.wire.rate_limit import RateSettings

REQUEST = (
    "OPTIONS sip:a@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;rport;branch=z9hG4bK{0}\r\nMax-Forwards: 70\r\n"
    "From: <sip:b@127.0.0.1>;tag=b\r\nTo: <sip:a@127.0.0.1>\r\nCall-ID: {0}\r\nCSeq: 1 OPTIONS\r\n"
    "Content-Length: 0\r\n\r\n"
)


async def test_requests_beyond_the_rate_are_dropped_and_answers_are_not(phone_on: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(rate_limit, "is_within", lambda host, networks: False)  # loopback is free otherwise
    phone = await phone_on(rate=RateSettings(per_second=1, burst=3))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flood:
        flood.connect(("127.0.0.1", phone.port("udp")))
        for number in range(10):
            flood.send(REQUEST.format(number).encode())
        other = await phone_on()
        phone.call(f"sip:other@127.0.0.1:{other.port('udp')}")
        await phone.saw(InviteAccepted)
        flood.setblocking(False)
        answers = 0
        while True:
            try:
                answers += flood.recv(65536).startswith(b"SIP/2.0 200")
            except BlockingIOError:
                break
    assert answers == 3
    assert phone.count("sidestream_sip_dropped_total", reason="rate") == 7
    assert phone.count("sidestream_sip_messages_total", transport="UDP", direction="in") == 3 + 1


async def test_a_full_platform_says_when_to_come_back(phone_on: Any) -> None:
    platform = await phone_on(agent=AgentConfig(session_limit=1))
    caller = await phone_on()
    for _ in range(2):
        caller.call(f"sip:a@127.0.0.1:{platform.port('udp')}")
    rejected = await caller.saw(InviteRejected)
    assert (rejected.response.status, rejected.response.retry_after) == (503, 5)
    assert len([event for event in platform.seen if isinstance(event, InviteReceived)]) == 1
    assert platform.count("sidestream_sip_overloads") == 1
