"""What tests ask of a platform that runs in their own process, and of the machine before it starts."""

import asyncio
import socket

from sidestream.app.platform import Platform
from sidestream.recording.siprec import Siprec

PATIENCE = 10.0  # seconds


def free_port() -> int:
    """A port of the loopback that is free for UDP and TCP, and stays so for the moment that a test needs."""
    with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        tcp.bind(("127.0.0.1", 0))
        port: int = tcp.getsockname()[1]
        udp.bind(("127.0.0.1", port))
        return port


async def accepted_siprec(platform: Platform) -> Siprec:
    """That of the one inbound call, as soon as the recorder has accepted it."""
    (call,) = [call for call in platform.services.live if call.record.direction.value == "inbound"]
    record = call.record
    async with asyncio.timeout(PATIENCE):
        while True:
            found = await platform.stores.siprecs.find(record.account_sid, record.sid, offset=0, limit=2)
            if found and found[0].accepted_at:
                return found[0]
            await asyncio.sleep(0.02)


def descriptions(platform: Platform) -> list[bytes]:
    """The SDP that the platform sent last in each of its SIP sessions."""
    sessions = platform.services.driver._agent._core.sessions.values()  # type: ignore[union-attr]
    return [session.sent_sdp for session in sessions]
