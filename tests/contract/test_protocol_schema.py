"""The published schema of the media protocol, the engine and the client say the same."""

import dataclasses
import json
import re
import typing
from importlib.util import find_spec
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from sidestream.media.client import EngineClient
from sidestream.media.engine import Address, EngineLost, Format, MediaEvent, Side, Tone
from sidestream.media.options import EngineOptions
from sidestream.testing.engine_process import engine_process
from sidestream.testing.speech import CALLER

TOPICS = Path(__file__).parents[2] / "docs/topics"
SCHEMA = json.loads((TOPICS / "media-protocol.schema.json").read_text())
PROSE = (TOPICS / "media-protocol.md").read_text()
PCMU = Format(0, "PCMU", 8000)


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def test_the_prose_names_what_the_schema_does() -> None:
    definitions = SCHEMA["$defs"]
    for operation, request in definitions["requests"].items():
        row = re.search(rf"^\| `{operation}` \|(.*)$", PROSE, re.MULTILINE)
        assert row is not None, operation
        fields = row[1].split(" | ")[0]
        assert {name for name in request["properties"] if f"`{name}`" not in fields} <= {"id", "op"}, operation
    for event, shape in definitions["events"].items():
        row = re.search(rf"^\| `{event}` \|(.*)$", PROSE, re.MULTILINE)
        assert row is not None, event
        assert {name for name in shape["properties"] if f"`{name}`" not in row[1]} <= {"event", "session"}, event
    for code in definitions["error"]["properties"]["code"]["enum"]:
        assert re.search(rf"^\|.*`{code}`", PROSE, re.MULTILINE), code
    for statistics in ("EndpointStatistics", "ForkStatistics", "RecorderStatistics"):
        row = re.search(rf"^\| {statistics} \|(.*)$", PROSE, re.MULTILINE)
        assert row is not None
        assert {name for name in definitions[statistics]["properties"] if f'"{name}"' not in row[1]} == set()


def test_every_event_is_known_to_the_client() -> None:
    def tag(kind: type) -> str:
        return re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()

    known = {tag(kind): kind for kind in typing.get_args(MediaEvent) if kind is not EngineLost}
    assert set(known) == set(SCHEMA["$defs"]["events"])
    for event, kind in known.items():
        fields = {field.name for field in dataclasses.fields(kind)}
        assert fields | {"event"} == set(SCHEMA["$defs"]["events"][event]["properties"])


@pytest.mark.skipif(find_spec("sidestream._native") is None, reason="the native module is not built")
async def test_every_command_may_be_repeated(tmp_path: Path, protocol_watch) -> None:
    """Whoever does not know whether a command arrived sends it again: the second time changes nothing."""
    with engine_process(tmp_path, EngineOptions(exit_when_orphaned=False)) as running:
        client = EngineClient(running.socket)
        await client.connect()
        to = Address("127.0.0.1", 9)
        commands = [
            lambda: client.open_session("s"),
            lambda: client.open_endpoint("s", "a"),
            lambda: client.open_endpoint("s", "b"),
            lambda: client.configure_endpoint("s", "a", remote=to, formats=(PCMU,)),
            lambda: client.configure_endpoint("s", "b", remote=to, formats=(PCMU,)),
            lambda: client.set_route("s", "a", "b"),
            lambda: client.open_fork("s", "f", endpoint="a", side=Side.INBOUND, cname="c"),
            lambda: client.configure_fork("s", "f", remote=to, active=False, formats=(PCMU,)),
            lambda: client.open_recorder("s", "r", endpoint="a", path=str(tmp_path / "r.wav")),
            lambda: client.play("s", "p", endpoint="b", path=str(CALLER), loops=0),
            lambda: client.seek_player("s", "p", 500),
            lambda: client.play_tones("s", "t", endpoint="b", tones=(Tone((440,), 100),), level_dbm0=-19.0, loops=0),
            lambda: client.send_digits("s", "d", endpoint="b", digits="wwww1"),
            lambda: client.list_sessions(),
            lambda: client.stop_player("s", "p"),
            lambda: client.set_route("s", "a", None),
        ]
        for command in commands:
            first = await command()
            before = await client.session_statistics("s")
            assert await command() == first
            assert _shape(await client.session_statistics("s")) == _shape(before)
        # closing twice: the second answer is that of something that never was
        for close in (
            lambda: client.close_recorder("s", "r"),
            lambda: client.close_fork("s", "f"),
            lambda: client.close_endpoint("s", "a"),
            lambda: client.close_session("s"),
        ):
            await close()
            again = await close()
            assert again == await close()
        assert await client.list_sessions() == []
        assert (await client.engine_statistics()).sessions == 0
        await client.close()
    said = {place.removeprefix("requests/") for place in protocol_watch.seen if place.startswith("requests/")}
    assert said == set(SCHEMA["$defs"]["requests"])


def _shape(statistics) -> tuple[list[str], ...]:
    return tuple(sorted(part) for part in (statistics.endpoints, statistics.forks, statistics.recorders))
