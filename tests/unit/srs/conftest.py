import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sidestream.base.ids import Ids
from sidestream.sip.message import Request, parse_message
from sidestream.sip.transport import Peer, Transport
from sidestream.srs.archive import Archive, Folder
from sidestream.srs.wave_file import header
from sidestream.testing.fake_engine import FakeEngine

NOW = datetime(2026, 3, 2, 9, 15, 4, 250000, tzinfo=UTC)

METADATA = """<?xml version="1.0" encoding="UTF-8"?>
<recording xmlns="urn:ietf:params:xml:ns:recording:1">
  <datamode>complete</datamode>
  <session session_id="Q0FMTA=="><start-time>2026-03-02T09:15:02.640118Z</start-time>
    <ExtensionParameters xmlns="urn:example:own"><Parameter name="Role" value="in &amp; out"/></ExtensionParameters>
  </session>
  <participant participant_id="UEE="><nameID aor="sip:ada@example.com"><name>Ada Field</name></nameID></participant>
  <participant participant_id="UEI="><nameID aor="tel:+14155550142"/></participant>
  <stream stream_id="U0E=" session_id="Q0FMTA=="><label>inbound</label></stream>
  <stream stream_id="U0I=" session_id="Q0FMTA=="><label>outbound</label></stream>
  <participantstreamassoc participant_id="UEE="><send>U0E=</send><recv>U0I=</recv></participantstreamassoc>
  <participantstreamassoc participant_id="UEI="><send>U0I=</send><recv>U0E=</recv></participantstreamassoc>
</recording>
"""


def offer(*directions: str, labels: tuple[str, ...] = ("inbound", "outbound"), codec: str = "0") -> str:
    """An SRC's SDP: a line for each direction, `-` for one that is removed."""
    lines = ["v=0", "o=- 1 1 IN IP4 192.0.2.20", "s=-", "c=IN IP4 192.0.2.20", "t=0 0"]
    for number, direction in enumerate(directions):
        lines.append(f"m=audio {0 if direction == '-' else 40016 + 2 * number} RTP/AVP {codec} 101")
        lines.append("a=rtpmap:101 telephone-event/8000")
        if direction != "-":
            lines += [f"a={direction}", f"a=label:{labels[number]}"]
    return "".join(f"{line}\r\n" for line in lines)


def sip_request(
    method: str = "INVITE", *, sdp: str | None = None, metadata: str | None = None, extra: tuple[str, ...] = ()
) -> Request:
    """A request of an SRC with SDP, metadata or both."""
    if sdp is not None and metadata is not None:
        content_type = "multipart/mixed;boundary=x"
        body = (
            f"--x\r\nContent-Type: application/sdp\r\n\r\n{sdp}\r\n--x\r\nContent-Type: application/rs-metadata+xml\r\n"
            f"Content-Disposition: recording-session\r\n\r\n{metadata}\r\n--x--\r\n"
        )
    elif sdp is not None:
        content_type, body = "application/sdp", sdp
    else:
        content_type, body = "application/rs-metadata+xml", metadata or ""
    lines = [
        f"{method} sip:srs@127.0.0.1:5070 SIP/2.0",
        "Via: SIP/2.0/TCP 192.0.2.10:5060;branch=z9hG4bKsrs1",
        "Max-Forwards: 70",
        "From: <sip:src@src.example>;tag=a1",
        "To: <sip:srs@recorder.example>",
        "Call-ID: 079b93cc@src",
        f"CSeq: 1 {method}",
        "Contact: <sip:src@192.0.2.10:5060;transport=tcp>;+sip.src",
        "Require: siprec",
        *extra,
        *([f"Content-Type: {content_type}"] if body else []),
        f"Content-Length: {len(body.encode())}",
    ]
    message = parse_message(("\r\n".join(lines) + "\r\n\r\n" + body).encode())
    assert isinstance(message, Request)
    return message


PEER = Peer(Transport.TCP, "192.0.2.10", 5060, "srs-tcp")


@dataclass
class FakeAgent:
    """Remembers what the recording server sent."""

    responses: list[dict[str, Any]] = field(default_factory=list)
    answers: list[dict[str, Any]] = field(default_factory=list)
    byes: list[str] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)

    def respond(self, session: str, status: int, **rest: Any) -> None:
        self.responses.append({"session": session, "status": status, **rest})

    def answer(self, request_id: str, status: int, **rest: Any) -> None:
        self.answers.append({"request_id": request_id, "status": status, **rest})

    def bye(self, session: str, **_rest: Any) -> None:
        self.byes.append(session)

    def request(self, session: str, method: str, **_rest: Any) -> str:
        self.requests.append((session, method))
        return f"request-{len(self.requests)}"


class FakeDriver:
    def __init__(self) -> None:
        self.agent = FakeAgent()

    @contextmanager
    def turn(self) -> Iterator[tuple[FakeAgent, float]]:
        yield self.agent, 0.0


class FixedClock:
    def monotonic(self) -> float:
        return 0.0

    def wall(self) -> datetime:
        return NOW


@pytest.fixture
def ids() -> Ids:
    return Ids(random.Random(5))


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    archive = Archive(tmp_path / "recordings", free_floor=0, stored_limit=100)
    archive.prepare()
    return archive


@pytest.fixture
def folder(archive: Archive, ids: Ids) -> Folder:
    folder = archive.folder(ids)
    archive.create(folder, "call-1")
    return folder


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def driver() -> FakeDriver:
    return FakeDriver()


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def write_wave() -> Callable[..., None]:
    def write(path: Path, samples: list[int] | np.ndarray, *, claimed: int | None = None) -> None:
        """A mono file; `claimed`: the number of samples its header tells, if not the true one."""
        data = np.asarray(samples, dtype="<i2")
        path.write_bytes(header(1, len(data) if claimed is None else claimed) + data.tobytes())

    return write


@pytest.fixture
def request_of() -> Callable[..., Request]:
    return sip_request


@pytest.fixture
def sdp() -> Callable[..., str]:
    return offer


@pytest.fixture
def metadata() -> str:
    return METADATA


@pytest.fixture
def peer() -> Peer:
    return PEER
