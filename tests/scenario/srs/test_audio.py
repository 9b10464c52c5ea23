"""The real media engine records what a client sends: sample for sample, each channel at its place on the clock."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from sidestream.media.client import EngineClient
from sidestream.media.options import EngineOptions
from sidestream.sdp.session import SessionDescription
from sidestream.srs.manifest import State
from sidestream.testing.engine_process import engine_process
from sidestream.testing.g711 import Samples, decode, encode
from sidestream.testing.rtp import RtpPacket
from sidestream.testing.speech import AGENT, CALLER, read_channels, read_speech

from .conftest import Recorder
from .vendors import PLATFORM

PACKETS = 60
SAMPLES = 160  # of one packet
LATER = 15  # packets that the second line begins after the first: 300 ms
TOLERANCE_MS = 60.0  # of the machine's scheduling; an error in the alignment would show as 300 ms


@pytest.fixture
def engine_socket(tmp_path: Path) -> Iterator[Path]:
    with engine_process(tmp_path, EngineOptions()) as running:
        yield running.socket


@pytest.fixture
async def real_engine(engine_socket: Path) -> AsyncIterator[EngineClient]:
    client = EngineClient(engine_socket)
    await client.connect()
    yield client
    await client.close()


@pytest.fixture
async def recorder(start: Callable[..., Awaitable[Recorder]], real_engine: EngineClient) -> Recorder:
    return await start(real_engine)


class Sender:
    """One RTP stream of speech, from a port of its own."""

    def __init__(self, speech: Samples, ssrc: int) -> None:
        self.payload = encode(speech[: PACKETS * SAMPLES], "PCMU")
        self.ssrc = ssrc
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port: int = self.socket.getsockname()[1]

    def send(self, number: int, port: int) -> None:
        """The `number`-th packet, if there is one."""
        payload = self.payload[number * SAMPLES : (number + 1) * SAMPLES] if number >= 0 else b""
        if payload:
            packet = RtpPacket(0, number + 100, number * SAMPLES, self.ssrc, payload, marker=number == 0)
            self.socket.sendto(packet.to_bytes(), ("127.0.0.1", port))

    @property
    def samples(self) -> Samples:
        return decode(self.payload, "PCMU")


@pytest.fixture
def senders() -> Iterator[tuple[Sender, Sender]]:
    pair = Sender(read_speech(CALLER), 0x1111), Sender(read_speech(AGENT), 0x2222)
    yield pair
    for sender in pair:
        sender.socket.close()


def begins_at(channel: Samples, samples: Samples) -> int:
    """Where `samples` stand in `channel`, whole; -1 if they do not."""
    probe = samples.tobytes()
    whole = channel.tobytes()
    at = whole.find(probe)
    while at % 2 and at >= 0:
        at = whole.find(probe, at + 1)
    return at // 2 if at >= 0 else -1


async def test_both_channels_hold_what_was_sent_when_it_was_sent(
    recorder: Recorder, senders: tuple[Sender, Sender]
) -> None:
    peer = await recorder.peer("TCP")
    response = await peer.invite(PLATFORM, ports=(senders[0].port, senders[1].port))
    ports = [line.port for line in SessionDescription.parse(response.body).media]
    loop = asyncio.get_running_loop()
    began = loop.time()
    for tick in range(PACKETS + LATER):
        await asyncio.sleep(max(0.0, began + tick * 0.02 - loop.time()))
        senders[0].send(tick, ports[0])
        senders[1].send(tick - LATER, ports[1])
    assert (await peer.request("BYE")).status == 200
    manifest = await recorder.manifest(peer, State.COMPLETE)

    assert [(s.packets, s.lost, s.duplicates, s.late) for s in manifest.streams] == [(PACKETS, 0, 0, 0)] * 2
    assert manifest.streams[0].offset_ms == 0.0
    offset = manifest.streams[1].offset_ms
    assert offset is not None
    assert abs(offset - LATER * 20.0) < TOLERANCE_MS

    left, right = read_channels(recorder.folder(peer).audio_path)
    assert begins_at(left, senders[0].samples) == 0
    start = begins_at(right, senders[1].samples)
    assert abs(start - offset * 8) <= 1
    assert not np.any(right[:start])
    waveform = json.loads((recorder.folder(peer).path / "waveform.json").read_bytes())
    assert [max(channel) > 0 for channel in waveform] == [True, True]


async def test_a_paused_line_records_silence_and_goes_on_in_real_time(
    recorder: Recorder, senders: tuple[Sender, Sender]
) -> None:
    peer = await recorder.peer("TCP")
    response = await peer.invite(PLATFORM, ports=(senders[0].port, senders[1].port))
    port = SessionDescription.parse(response.body).media[0].port
    text = PLATFORM.octets.decode()
    offer = text[text.index("v=0") :].partition("\r\n\r\n--")[0] + "\r\n"
    offer = offer.replace("{port_a}", str(senders[0].port)).replace("{port_b}", str(senders[1].port))

    async def talk(first: int, last: int) -> None:
        for number in range(first, last):
            senders[0].send(number, port)
            await asyncio.sleep(0.02)

    await talk(0, 20)
    paused = await peer.request("INVITE", offer.replace("a=sendonly", "a=inactive").encode(), "application/sdp")
    await peer.acknowledge()
    assert paused.status == 200
    await talk(20, 40)  # against the agreement: must not be recorded
    await peer.request("INVITE", offer.encode(), "application/sdp")
    await peer.acknowledge()
    await talk(40, 60)
    await peer.request("BYE")
    manifest = await recorder.manifest(peer, State.COMPLETE)
    left = read_channels(recorder.folder(peer).audio_path)[0]
    spoken = senders[0].samples
    assert begins_at(left, spoken[: 20 * SAMPLES]) == 0
    assert begins_at(left, spoken[40 * SAMPLES :]) == 40 * SAMPLES
    assert not np.any(left[20 * SAMPLES : 40 * SAMPLES])
    assert manifest.streams[0].samples == 60 * SAMPLES
