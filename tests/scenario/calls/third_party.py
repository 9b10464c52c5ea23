"""Somebody who knows the ids of a dialog, and is not its party."""

import asyncio
import socket
from ipaddress import ip_network

from sidestream.sip.message import parse_message
from sidestream.trunks.trunk_book import Trunk, TrunkBook

from .office_tools import HOST

OTHER_HOST = "127.0.0.2"


def trunk(name, account_sid, *sources):
    return Trunk(name, account_sid, tuple(ip_network(source) for source in sources))


def let_in(office, *trunks):
    """From now on calls come from these trunks alone."""
    office.services.trunks.become(TrunkBook(trunks))


async def say_from(office, host, dialog, method, number, *, extra="", body="", answers=1):
    """The final answers to requests inside somebody else's dialog, sent from `host`, each with a number of its own.

    `answers`: how often it is sent, the next time with what the answer before asked for (`extra` takes that answer).
    """
    port = office.services.driver.addresses["udp"][1]
    got = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind((host, 0))
        sender.setblocking(False)
        for count in range(answers):
            more = extra(got[-1] if got else None) if callable(extra) else extra
            text = (
                f"{method} sip:sidestream@{HOST}:{port} SIP/2.0\r\n"
                f"Via: SIP/2.0/UDP {host}:{sender.getsockname()[1]};branch=z9hG4bKstolen{number + count};rport\r\n"
                f"From: <sip:anybody@{HOST}>;tag={dialog.from_tag}\r\nTo: <sip:anybody@{HOST}>;tag={dialog.to_tag}\r\n"
                f"Call-ID: {dialog.call_id}\r\nCSeq: {number + count} {method}\r\nMax-Forwards: 70\r\n"
                f"Contact: <sip:x@{host}>\r\n{more}Content-Length: {len(body)}\r\n\r\n{body}"
            )
            loop = asyncio.get_running_loop()
            await loop.sock_sendto(sender, text.encode(), (HOST, port))
            async with asyncio.timeout(5):
                while (answer := parse_message(await loop.sock_recv(sender, 65535))).status < 200:
                    pass
            got.append(answer)
    return got
