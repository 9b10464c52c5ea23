"""A platform in a process of its own, and places for peers around it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sidestream.testing.g711 import encode
from sidestream.testing.speech import CALLER, read_speech

from .server_process import CALLEE_USER, HOST, PHONE_NUMBER, Connector, Number, ServerProcess, free_port
from .sipp_process import SPEECH, Sipp


@dataclass(frozen=True, slots=True)
class Stage:
    """A running platform, and the ports on which its numbers and connectors expect peers.

    `play` makes a SIPp for a scenario (see `Sipp`); `call` is one that calls a number of the platform, by the address
    `remote` if it is given.
    """

    server: ServerProcess
    directory: Path
    callee: int
    carrier: int
    srs: int
    spare_srs: int

    def play(self, scenario: str, port: int, **options: Any) -> Sipp:
        return Sipp(self.directory, scenario, port=port, media_port=free_port(4), **options)

    def call(self, scenario: str, user: str, *, remote: str | None = None, **options: Any) -> Sipp:
        return Sipp(
            self.directory,
            scenario,
            remote=remote or self.server.sip_address,
            user=user,
            media_port=free_port(4),
            **options,
        )


# The numbers of the platform, by what they do.
DIAL = "dial"  # the callee is heard only once it answers, and its refusal is the caller's
DIAL_TCP = "dial-tcp"
DIAL_BRIEFLY = "dial-briefly"  # for a second, after which the caller is told
DIAL_CARRIER = "dial-carrier"  # a phone number, by the trunk
REJECT = "reject"
RECORD = "record"  # to the bundled recording server
RECORD_OUT = "record-out"  # to one that the test plays
RECORD_SPARE = "record-spare"  # to the second of two that the test plays


def _numbers(callee: int) -> list[Number]:
    sip = f"<Sip>sip:{CALLEE_USER}@{HOST}:{callee}</Sip>"
    dial = f'<Dial answerOnBridge="true">{sip}</Dial>'
    tcp = sip.replace("</Sip>", ";transport=tcp</Sip>")
    record = '<Start><Siprec name="all" connectorName="{}"/></Start>' + dial
    return [
        Number(DIAL, dial),
        Number(DIAL_TCP, f'<Dial answerOnBridge="true">{tcp}</Dial>'),
        Number(DIAL_BRIEFLY, f'<Dial answerOnBridge="true" timeout="1">{sip}</Dial><Reject/>'),
        Number(DIAL_CARRIER, f'<Dial answerOnBridge="true">{PHONE_NUMBER}</Dial>'),
        Number(REJECT, '<Reject reason="busy"/>'),
        Number(RECORD, record.format("Default")),
        Number(RECORD_OUT, record.format("out")),
        Number(RECORD_SPARE, record.format("spare")),
    ]


@pytest.fixture(scope="module")
def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Ends the server at the end of the module and looks at how it ended and what it logged.

    A module may hold more configuration: TOML in `CONFIG`, or a function of that name that makes it in a directory.
    """
    config = getattr(request.module, "CONFIG", "")
    directory = tmp_path_factory.mktemp("stage")
    callee, carrier, srs, spare_srs = (free_port() for _ in range(4))
    first, second = (f"sip:srs@{HOST}:{port};transport=tcp" for port in (srs, spare_srs))
    server = ServerProcess(
        directory / "server",
        _numbers(callee),
        connectors=[Connector("out", (first,)), Connector("spare", (first, second))],
        trunk=f"sip:{HOST}:{carrier}",
        extra=config(directory) if callable(config) else config,
    )
    (directory / SPEECH).write_bytes(encode(read_speech(CALLER), "PCMU"))
    server.start()
    yield Stage(server, directory, callee, carrier, srs, spare_srs)
    server.stop()
    assert server.faults() == []


@pytest.fixture(scope="module")
def server(stage: Stage) -> ServerProcess:
    return stage.server


@pytest.fixture(scope="module")
def recorded_call(stage: Stage) -> Callable[[], Path]:
    """Make one call with speech that the bundled recording server records; returns its folder once it is complete."""

    def make() -> Path:
        before = set(stage.server.recordings.glob("*/manifest.json"))
        with stage.play("callee_answers", stage.callee, options=["-rtp_echo"]):
            stage.call("caller_speaks", RECORD).run()
        return stage.server.finished_recording(before)

    return make
