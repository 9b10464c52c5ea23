"""Kamailio as a record-routing proxy on both sides of the platform, and toward the recording server."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sidestream.testing.certificates import Authority

from .conftest import Stage
from .kamailio_process import Kamailio
from .server_process import CALLEE_USER, HOST, Connector, Number, free_port
from .sipp_process import Sipp

pytestmark = [pytest.mark.interop, pytest.mark.long]

# Of the proxy; UDP and TCP share one.
PORT, TLS_PORT = free_port(), free_port()
PLATFORM_TLS_PORT = free_port()
TRANSPORTS = ("udp", "tcp", "tls")
RECORD = "record-by-proxy"


def at_proxy(user: str, transport: str) -> str:
    return f"sip:{user}@{HOST}:{TLS_PORT if transport == 'tls' else PORT};transport={transport}"


def dial(transport: str) -> str:
    """The number that calls the callee by the proxy."""
    return f"by-{transport}"


def CONFIG(directory: Path) -> str:
    authority = Authority(directory)
    certificate, key = authority.issue("platform", addresses=(HOST,))
    authority.issue("proxy", addresses=(HOST,))
    dials = {
        name: f'<Dial answerOnBridge="true"><Sip>{at_proxy(CALLEE_USER, name)}</Sip></Dial>' for name in TRANSPORTS
    }
    numbers = [Number(dial(name), twiml) for name, twiml in dials.items()]
    numbers.append(Number(RECORD, f'<Start><Siprec name="all" connectorName="by-proxy"/></Start>{dials["udp"]}'))
    return (
        "".join(number.to_toml() for number in numbers)
        + Connector("by-proxy", (at_proxy("srs", "tls"),)).to_toml()
        + f"""
[[listeners]]
transport = "tls"
port = {PLATFORM_TLS_PORT}
[tls]
certificate = "{certificate}"
key = "{key}"
ca = "{authority.path}"
"""
    )


@pytest.fixture(scope="module", params=TRANSPORTS)
def proxy(stage: Stage, request: pytest.FixtureRequest) -> Iterator[Kamailio]:
    """It speaks this transport to the platform, and UDP to the callee."""
    transport = request.param
    port = PLATFORM_TLS_PORT if transport == "tls" else stage.server.sip_port
    with Kamailio(
        stage.directory,
        port=PORT,
        tls_port=TLS_PORT,
        platform=f"{HOST}:{port};transport={transport}",
        callee=f"sip:{CALLEE_USER}@{HOST}:{stage.callee}",
        srs=f"sip:srs@{HOST}:{stage.srs};transport=tcp",
        tls=tuple(stage.directory / name for name in ("proxy.pem", "proxy.key", "test-authority.pem")),
    ) as kamailio:
        yield kamailio


def call(stage: Stage, proxy: Kamailio, scenario: str, number: str, transport: str = "udp") -> Sipp:
    return stage.call(scenario, number, transport=transport, remote=f"{HOST}:{proxy.port}")


@pytest.mark.parametrize(("transport", "onward"), [("udp", "udp"), ("udp", "tls"), ("tcp", "tcp")])
def test_call(stage: Stage, proxy: Kamailio, transport: str, onward: str) -> None:
    with stage.play("callee_answers", stage.callee) as callee:
        caller = call(stage, proxy, "caller_hangs_up", dial(onward), transport).run()
    # Each side has the proxy in its route set, and the BYE took that way.
    assert f"Record-Route: <sip:{HOST}:{proxy.port}" in caller.messages
    invite, *_, bye = callee.messages.split("message received")[1:]
    assert f"Record-Route: <sip:{HOST}:{proxy.port}" in invite
    assert "BYE sip:" in bye
    assert f"Via: SIP/2.0/UDP {HOST}:{proxy.port}" in bye


@pytest.mark.parametrize(
    ("caller", "callee"),
    [
        ("caller_is_hung_up", "callee_hangs_up"),
        ("caller_hears_busy", "callee_is_busy"),
        ("caller_cancels_by_a_proxy", "callee_rings_until_cancelled"),
        ("caller_holds_and_resumes", "callee_is_held"),
        ("caller_is_held", "callee_holds_and_resumes"),
        ("caller_requires_prack", "callee_answers"),
        ("caller_holds_by_update", "callee_is_held"),
    ],
)
def test_what_one_side_does_reaches_the_other(stage: Stage, proxy: Kamailio, caller: str, callee: str) -> None:
    with stage.play(callee, stage.callee):
        call(stage, proxy, caller, dial("tcp")).run()


def test_recording_server_behind_the_proxy(stage: Stage, proxy: Kamailio) -> None:
    with (
        stage.play("srs_is_told_of_hold", stage.srs, transport="tcp") as srs,
        stage.play("callee_is_held", stage.callee),
    ):
        call(stage, proxy, "caller_holds_and_resumes", RECORD).run()
    assert "Record-Route: <sip" in srs.messages
