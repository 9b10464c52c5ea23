"""What tests ask of a platform that runs in their own process, and of the machine before it starts."""

import asyncio
import socket
from pathlib import Path

from sidestream.app.platform import Platform
from sidestream.recording.siprec import Siprec

ACCOUNT = "AC11111111111111111111111111111111"
PATIENCE = 10.0  # seconds

_CONFIG = """
data_dir = "{folder}/data"
[[accounts]]
sid = "{account}"
auth_token = "{token}"
[[listeners]]
transport = "udp"
port = 0
[[listeners]]
transport = "{second}"
port = 0
[http]
port = 0
[media]
port_low = {ports[0]}
port_high = {ports[1]}
"""


def configuration(folder: Path, ports: tuple[int, int], rest: str, **values: object) -> str:
    """A platform's TOML: an account, listeners for UDP and another transport, ports that are free, and then `rest`,
    which begins within `[media]`.

    `values` stand for `{names}` in both: `second` is the other transport (TCP), `token` that of the account.
    """
    known = {"folder": folder, "account": ACCOUNT, "token": "t" * 32, "second": "tcp", "ports": ports}
    return (_CONFIG + rest).format(**(known | values))


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
