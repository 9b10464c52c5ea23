"""A platform with room for one call's sessions and a few requests a second, and what those beyond it hear."""

import re
import socket
import time
from urllib.request import urlopen

import pytest

from .conftest import DIAL, Stage
from .server_process import HOST, free_port
from .test_sipp_requests import malformed

pytestmark = pytest.mark.interop

PER_SECOND = 10
BURST = 2 * PER_SECOND  # what may come at once
FLOOD = 300


def _own_address() -> str | None:
    """An address of this machine that is not loopback: whoever calls from there is a stranger like any other."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # nothing is sent
        except OSError:
            return None
        address: str = probe.getsockname()[0]
    return None if address.startswith("127.") else address


STRANGER, PUBLIC_PORT = _own_address(), free_port()


CONFIG = f"[limits]\nsip_sessions = 2\nrequests_per_second = {PER_SECOND}\n"
if STRANGER is not None:
    CONFIG += f'[[listeners]]\ntransport = "udp"\nhost = "{STRANGER}"\nport = {PUBLIC_PORT}\n'


def test_caller_is_put_off_while_there_are_enough_sessions(stage: Stage) -> None:
    """Two legs are all that there may be; the third INVITE is answered by the agent, before anything else is done."""
    with stage.play("callee_answers", stage.callee), stage.call("caller_hangs_up_later", DIAL):
        while not any(call["status"] == "in-progress" for call in stage.server.calls(to=DIAL)):
            time.sleep(0.05)
        before = len(stage.server.calls(to=DIAL))
        stage.call("caller_is_put_off", DIAL).run()
        assert len(stage.server.calls(to=DIAL)) == before
    time.sleep(0.1)
    assert _metric(stage, "sidestream_sip_overloads") >= 1


def test_a_flood_of_one_source_is_dropped_and_others_are_served(stage: Stage) -> None:
    if STRANGER is None:
        pytest.skip("this machine has no address besides loopback")
    dropped = 'sidestream_sip_dropped_total{reason="rate"}'
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind((STRANGER, 0))
        peer.settimeout(1.0)
        began = time.monotonic()
        for number in range(FLOOD):
            line = f"OPTIONS sip:{HOST} SIP/2.0"
            message = malformed(line, CSeq="1 OPTIONS", Call_ID=f"flood-{number}")
            peer.sendto(message, (STRANGER, PUBLIC_PORT))
        answered = 0
        try:
            while True:
                answered += peer.recv(65535).startswith(b"SIP/2.0 200")
        except TimeoutError:
            lasted = time.monotonic() - began
    assert BURST <= answered <= BURST + PER_SECOND * lasted
    assert _metric(stage, dropped) >= FLOOD - answered
    stage.call("options_are_answered", DIAL).run()


def _metric(stage: Stage, name: str) -> float:
    with urlopen(f"{stage.server.base_url}/metrics") as page:
        text = page.read().decode()
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    assert found is not None, name
    return float(found[1])
