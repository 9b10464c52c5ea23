"""REGISTER requests as text, and where they come from."""

from collections.abc import Callable

import pytest

from sidestream.sip.message import Request, parse_message
from sidestream.sip.transport import Peer, Transport

Register = Callable[..., Request]


@pytest.fixture
def phone() -> Peer:
    """Where a phone behind a NAT seems to be."""
    return Peer(Transport.UDP, "198.51.100.9", 40123, "udp")


@pytest.fixture
def make_register() -> Register:
    """`make_register("<sip:bob@192.0.2.4>", expires=60, seq=2)`: a REGISTER of bob with these contacts."""

    def make(
        *contacts: str,
        expires: int | None = None,
        seq: int = 1,
        call_id: str = "one",
        via: str = "UDP 192.0.2.4:5060;branch=z9hG4bK1;rport",
        extra: str = "",
    ) -> Request:
        lines = [
            "REGISTER sip:example.com SIP/2.0",
            f"Via: SIP/2.0/{via}",
            "From: <sip:bob@example.com>;tag=1",
            "To: <sip:bob@example.com>",
            f"Call-ID: {call_id}",
            f"CSeq: {seq} REGISTER",
            *[f"Contact: {contact}" for contact in contacts],
            *([f"Expires: {expires}"] if expires is not None else []),
            *([extra] if extra else []),
            "Content-Length: 0",
        ]
        message = parse_message("".join(f"{line}\r\n" for line in [*lines, ""]).encode())
        assert isinstance(message, Request)
        return message

    return make
