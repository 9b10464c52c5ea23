"""Settings of all tests."""

import json
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from jsonschema import Draft202012Validator

from sidestream.media import connection, requests
from sidestream.testing.port_block import port_block

MEDIA_PROTOCOL = Path(__file__).parents[1] / "docs/topics/media-protocol.schema.json"

# Shared machines stall now and then; a slow example is no failure.
settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile(
    "fuzz",
    settings.get_profile("default"),
    max_examples=int(os.environ.get("HYPOTHESIS_MAX_EXAMPLES", "20000")),
)
settings.load_profile("default")


class ProtocolWatch:
    """Holds every line that clients and engines exchange against the schema of the media protocol.

    A request that does not fit and is answered with `ok`, and anything of the engine's that does not fit, is a problem.
    """

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._definitions: dict[str, Any] = json.loads(MEDIA_PROTOCOL.read_text())["$defs"]
        self._validator = cache(self._make_validator)
        self._asked: dict[int, str] = {}  # the last operation of each id: ids of different clients may be the same
        self._wrong: dict[int, list[str]] = {}  # requests that do not fit, until the engine says so, too
        self.problems: list[str] = []
        self.seen: set[str] = set()
        self._request_line, self._parse_line = requests.request_line, connection.parse_line
        patch.setattr(requests, "request_line", self._sent)
        patch.setattr(connection, "parse_line", self._received)

    def _check(self, where: str, value: object) -> list[str]:
        """What is wrong with it; `where`: below `$defs`, such as `ok/hello`."""
        self.seen.add(where)
        return [f"{where}: {error.json_path} {error.message}" for error in self._validator(where).iter_errors(value)]

    def _make_validator(self, where: str) -> Draft202012Validator:
        return Draft202012Validator({"$ref": f"#/$defs/{where}", "$defs": self._definitions})

    def _sent(self, request_id: int, operation: str, fields: dict[str, Any]) -> bytes:
        line = self._request_line(request_id, operation, fields)
        self._asked[request_id] = operation
        self._wrong[request_id] = self._check(f"requests/{operation}", json.loads(line))
        return line

    def _received(self, line: bytes) -> Any:
        value = json.loads(line)
        self.problems += self._check("line", value)
        if "ok" in value:
            self.problems += self._wrong.pop(value["id"])
            self.problems += self._check(f"ok/{self._asked[value['id']]}", value["ok"])
        for event in value.get("events", ()):
            self.problems += self._check(f"events/{event['event']}", event)
        return self._parse_line(line)


@pytest.fixture
def protocol_watch(monkeypatch: pytest.MonkeyPatch) -> Iterator[ProtocolWatch]:
    """What is said to and by media engines in this test is right."""
    watch = ProtocolWatch(monkeypatch)
    yield watch
    assert watch.problems == []


@pytest.fixture
def media_ports() -> Iterator[tuple[int, int]]:
    """First and last port of an engine that only this test has."""
    with port_block() as ports:
        yield ports
