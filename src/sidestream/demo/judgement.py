"""Is what was recorded what was said? Looks at the SRS's files and at the callbacks, and names every fault."""

import asyncio
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sidestream.demo.report import LABELS, CallbackReport
from sidestream.sdp.direction import Direction
from sidestream.sdp.formats import PCMU
from sidestream.sdp.lines import Origin
from sidestream.sdp.offer import AudioLine, offer
from sidestream.sdp.session import SessionDescription
from sidestream.siprec.metadata import DataMode, Recording
from sidestream.siprec.reader import read
from sidestream.siprec.state import merged
from sidestream.siprec.strict import check_strict
from sidestream.testing.comparison import compare
from sidestream.testing.g711 import Samples
from sidestream.testing.speech import SAMPLE_RATE, SpeechError, read_channels

_POLL_S = 0.05
_EXPECTED_EVENTS = ("siprec-started", "siprec-stopped")
_STANDARD = ("AccountSid", "CallSid", "From", "To", "CallStatus", "ApiVersion", "Direction", "Timestamp")


@dataclass(slots=True)
class Kept:
    """What the SRS made of one Siprec; paths are absolute, None where there is none."""

    wav: str | None = None
    metadata: str | None = None
    manifest: str | None = None
    packets: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


async def judge_recording(directory: Path, sip_call_id: str, speech: dict[str, Samples], timeout_s: float) -> Kept:
    """Find the recording of a recording session by its Call-ID and compare each channel with what was said."""
    result = Kept()
    found = await _finished(directory, sip_call_id, timeout_s)
    if found is None:
        result.problems.append(f"no finished recording of {sip_call_id} under {directory}")
        return result
    path, manifest = found
    result.manifest = str(path)
    result.packets = {stream["label"]: stream["packets"] for stream in manifest["streams"]}
    result.problems += [f"the SRS notes: {problem}" for problem in manifest["problems"]]
    if tuple(stream["label"] for stream in manifest["streams"]) != LABELS:
        result.problems.append(f"streams {list(result.packets)} instead of {list(LABELS)}")
    if manifest["audio"] is None:
        result.problems.append("there is no audio file")
    else:
        wav = path.parent / manifest["audio"]
        result.wav = str(wav)
        result.problems += await asyncio.to_thread(_judge_audio, wav, manifest, speech)
    if manifest["metadata"]:
        first = path.parent / manifest["metadata"][0]
        result.metadata = str(first)
        labels = [stream["label"] for stream in manifest["streams"]]
        result.problems += _judge_metadata([path.parent / name for name in manifest["metadata"]], labels)
    else:
        result.problems.append("there are no metadata")
    return result


async def _finished(directory: Path, sip_call_id: str, timeout_s: float) -> tuple[Path, dict[str, Any]] | None:
    """The manifest of a completed recording, as soon as there is one."""
    for _ in range(int(timeout_s / _POLL_S)):
        found = await asyncio.to_thread(_find, directory, sip_call_id)
        if found is not None:
            return found
        await asyncio.sleep(_POLL_S)
    return None


def _find(directory: Path, sip_call_id: str) -> tuple[Path, dict[str, Any]] | None:
    for path in directory.glob("*/manifest.json"):
        manifest = json.loads(path.read_text(encoding="utf-8"))
        if manifest["sip_call_id"] == sip_call_id and manifest["state"] == "complete":
            return path, manifest
    return None


def _judge_audio(path: Path, manifest: dict[str, Any], speech: dict[str, Samples]) -> list[str]:
    problems = []
    try:
        channels = read_channels(path)
    except SpeechError as error:
        return [str(error)]
    if len(channels) != len(manifest["streams"]):
        problems.append(f"{path.name} has {len(channels)} channels")
    for index, (stream, channel) in enumerate(zip(manifest["streams"], channels, strict=False)):
        label = stream["label"]
        result = compare(channel, speech[label])
        if not result.whole:
            where = result.difference or f"{len(result.spans)} spans"
            problems.append(f"channel {index} ({label}) is not what was said: {where}")
        elif result.compared < SAMPLE_RATE:
            problems.append(f"channel {index} ({label}) holds only {result.compared} samples of speech")
    return problems


def _judge_metadata(paths: list[Path], labels: list[str]) -> list[str]:
    """Every document against the schema and the rules beyond it, each on top of the state that those before it built.

    Full snapshots came with an offer, whose labels the SRS wrote down; the others are judged without a description.
    """
    offered = _description_with(labels)
    state: Recording | None = None
    problems = []
    for path in paths:
        data = path.read_bytes()
        document = read(data).recording
        is_full = document is None or document.data_mode is DataMode.COMPLETE
        found = check_strict(data, offered if is_full else None, state)
        problems += [f"{path.name}: {problem}" for problem in found]
        if document is not None:
            state = merged(state, document).recording
    return problems


def _description_with(labels: list[str]) -> SessionDescription:
    lines = [AudioLine(9, (PCMU,), Direction.SENDONLY, label) for label in labels]
    return offer("127.0.0.1", lines, Origin("-", 1, 1, "127.0.0.1"))


def judge_callbacks(
    callbacks: tuple[CallbackReport, ...], sids: dict[str, str], call_sid: str, account_sid: str
) -> list[str]:
    """Every Siprec told its start and its stop, in order, complete and signed."""
    problems = []
    for name, sid in sids.items():
        mine = [callback for callback in callbacks if callback.parameters.get("SiprecSid") == sid]
        events = tuple(callback.event for callback in mine)
        if events != _EXPECTED_EVENTS:
            problems.append(f"{name}: callbacks {events} instead of {_EXPECTED_EVENTS}")
        if [callback.sequence for callback in mine] != list(range(len(mine))):
            problems.append(f"{name}: sequence numbers {[callback.sequence for callback in mine]}")
        for callback in mine:
            missing = [key for key in _STANDARD if key not in callback.parameters]
            if missing:
                problems.append(f"{name}: {callback.event} lacks {', '.join(missing)}")
            expected = {"CallSid": call_sid, "AccountSid": account_sid, "SiprecName": name}
            wrong = [key for key, value in expected.items() if callback.parameters.get(key) != value]
            if wrong:
                problems.append(f"{name}: {callback.event} has a wrong {', '.join(wrong)}")
    problems += [f"{callback.event}: bad signature" for callback in callbacks if not callback.signature_valid]
    return problems
