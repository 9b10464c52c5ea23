"""The console and the recordings in Chromium, after one recorded call."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from .browser import Page, load
from .conftest import RECORD, Stage
from .server_process import CALLEE_USER, CALLER_USER

pytestmark = pytest.mark.interop


@dataclass(frozen=True, slots=True)
class Office:
    """A person before a browser. `call_sid` and `recording_id` are of the recorded call."""

    stage: Stage
    call_sid: str
    recording_id: str
    profile: Path

    def open(self, path: str) -> Page:
        """The page, which complained of nothing: no error of a script, nothing refused by the page's own policy."""
        page = load(self.stage.server.signed_in_url + path, self.profile)
        assert page.console == ()
        return page


@pytest.fixture(scope="module")
def office(stage: Stage, recorded_call: Callable[[], Path], tmp_path_factory: pytest.TempPathFactory) -> Office:
    folder = recorded_call()
    call = stage.server.calls(to=RECORD)[0]
    return Office(stage, call["sid"], folder.name, tmp_path_factory.mktemp("profile"))


def test_console_lists_the_call(office: Office) -> None:
    page = office.open("/console")
    assert f'href="/console/calls/{office.call_sid}"' in page.dom
    assert f"sip:{CALLER_USER}@" in page.dom
    assert "completed" in page.dom


def test_console_tells_the_call(office: Office) -> None:
    page = office.open(f"/console/calls/{office.call_sid}")
    assert f'href="/recordings/{office.recording_id}"' in page.dom
    kinds = re.findall(r"<strong>([\w.-]+)</strong>", page.dom.partition("Timeline")[2])
    begun, ended = kinds.index("siprec-started"), kinds.index("siprec-stopped")
    assert kinds.index("call.created") < begun < ended <= kinds.index("call.ended")


def test_console_tells_what_connectors_there_are(office: Office) -> None:
    page = office.open("/console/connectors")
    assert "<h2>Default</h2>" in page.dom
    assert "fork_batch_ms" in page.dom


def test_recordings_are_listed(office: Office) -> None:
    assert f'href="/recordings/{office.recording_id}"' in office.open("/recordings").dom


def test_recording_can_be_heard_and_seen(office: Office) -> None:
    page = office.open(f"/recordings/{office.recording_id}")
    assert f'src="/recordings/{office.recording_id}/recording.wav"' in page.dom
    waveforms = re.findall(r'<path d="([^"]+)"', page.dom)
    assert len(waveforms) == 2
    assert all(len(path) > 1000 for path in waveforms)  # silence is a short line
    assert f"sip:{CALLER_USER}@" in page.dom
    assert f"sip:{CALLEE_USER}@" in page.dom
