"""One script at a time; each has cleaned up before the next begins."""

import asyncio
from types import SimpleNamespace

import pytest

from sidestream.calls.bridge import LegPhase
from sidestream.calls.record import CallStatus
from sidestream.calls.requests import Instructions
from sidestream.calls.script_runner import ScriptRunner
from sidestream.webhooks.parameters import DialOutcome


class StubCall:
    """Notes what scripts do and how the call is ended."""

    def __init__(self):
        self.leg = SimpleNamespace(phase=LegPhase.ESTABLISHED)
        self.dial_outcome = None
        self.services = SimpleNamespace(script=self.script)
        self.notes = []
        self.gates = {}

    async def script(self, _call, instructions, _resumption):
        name = instructions.twiml
        self.notes.append(f"{name} begins")
        try:
            await self.gates.setdefault(name, asyncio.Event()).wait()
            if name == "bad":
                raise ZeroDivisionError
        finally:
            cleaned = self.gates.get(f"{name} cleaned")
            if cleaned is not None:
                await cleaned.wait()
            self.notes.append(f"{name} ends")

    def hang_up(self):
        self.notes.append("hung up")

    def refuse(self, status, reason, becomes):
        self.notes.append((status, reason, becomes))

    def break_off(self, error):
        self.notes.append(type(error))


@pytest.fixture
def call():
    return StubCall()


@pytest.fixture
def runner(call):
    return ScriptRunner(call)


async def turns(count=5):
    for _ in range(count):
        await asyncio.sleep(0)


def start(runner, *names):
    for name in names:
        runner.start(Instructions(twiml=name))


async def test_a_script_that_ends_by_itself_ends_the_call(runner, call):
    start(runner, "a")
    await turns()
    call.gates["a"].set()
    await turns()
    assert call.notes == ["a begins", "a ends", "hung up"]


async def test_a_new_one_waits_for_the_clean_up_of_the_old(runner, call):
    call.gates["a cleaned"] = asyncio.Event()
    start(runner, "a")
    await turns()
    start(runner, "b")
    start(runner, "c")
    await turns()
    assert call.notes == ["a begins"]
    call.gates["a cleaned"].set()
    await turns()
    assert call.notes == ["a begins", "a ends", "c begins"]
    await runner.stop()
    assert call.notes[-1] == "c ends"


async def test_a_clean_up_is_not_cancelled_again(runner, call):
    call.gates["a cleaned"] = asyncio.Event()
    start(runner, "a")
    await turns()
    start(runner, "b")
    stopping = asyncio.create_task(runner.stop())
    await turns()
    assert not stopping.done()
    call.gates["a cleaned"].set()
    await stopping
    assert call.notes == ["a begins", "a ends"]


async def test_stopping_one_that_has_not_begun_stops_its_predecessor_too(runner, call):
    start(runner, "a")
    await turns()
    start(runner, "b")
    await runner.stop()
    assert call.notes == ["a begins", "a ends"]


async def test_nothing_starts_on_a_call_that_is_over(runner, call):
    call.leg.phase = LegPhase.OVER
    start(runner, "a")
    await turns()
    await runner.stop()
    assert call.notes == []


async def test_a_defect_is_the_calls_end(runner, call):
    start(runner, "bad")
    await turns()
    call.gates["bad"].set()
    await turns()
    assert call.notes == ["bad begins", "bad ends", ZeroDivisionError]


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        (None, None),
        (DialOutcome("completed", sip_response_code=500), None),
        (DialOutcome("busy", sip_response_code=486), (486, "Busy Here", CallStatus.BUSY)),
        (DialOutcome("no-answer", sip_response_code=487), (480, "Temporarily Unavailable", CallStatus.NO_ANSWER)),
        (DialOutcome("failed", sip_response_code=302), (500, "Server Internal Error", CallStatus.FAILED)),
        (DialOutcome("failed", sip_response_code=407), (500, "Server Internal Error", CallStatus.FAILED)),
        (DialOutcome("failed"), (500, "Server Internal Error", CallStatus.FAILED)),
    ],
)
@pytest.mark.parametrize("phase", [LegPhase.WAITING, LegPhase.ESTABLISHED])
async def test_a_caller_that_still_waits_hears_how_the_dial_ended(runner, call, outcome, told, phase):
    call.leg.phase = phase
    start(runner, "a")
    await turns()
    call.dial_outcome = outcome
    call.gates["a"].set()
    await turns()
    expected = [told] if told is not None and phase is LegPhase.WAITING else []
    assert call.notes[2:] == [*expected, "hung up"]
