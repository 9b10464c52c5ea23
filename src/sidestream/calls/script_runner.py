"""The instructions that run on a call: one script at a time, each cancelled before the next begins."""

import asyncio
from typing import TYPE_CHECKING

from sidestream.base.task_set import TaskSet
from sidestream.calls.bridge import LegPhase
from sidestream.calls.call_part import CallPart
from sidestream.calls.image import ScriptImage
from sidestream.calls.record import CallStatus
from sidestream.calls.requests import Instructions
from sidestream.sip.reasons import reason_phrase

if TYPE_CHECKING:
    from sidestream.calls.call import Call
    from sidestream.calls.interpreter import Interpreter, Resumption

_TEMPORARILY_UNAVAILABLE = 480
_REQUEST_TERMINATED = 487  # our own CANCEL: nobody answered in time
_SERVER_ERROR = 500
# What a dialled leg was told of our own request; it would make the caller act on something that it never sent.
_NOT_FOR_THE_CALLER = frozenset({401, 405, 407, 413, 414, 415, 416, 420, 421, 423, 481, 482, 483, 494})


class ScriptRunner(CallPart):
    """Owner of the tasks that run a call's TwiML. A script that ends by itself ends the call."""

    def __init__(self, call: "Call") -> None:
        super().__init__(call)
        self._tasks = TaskSet()  # the last one runs; the others are cancelled and cleaning up
        self._waiting: Instructions | None = None  # those that run next, while the ones before clean up
        self.interpreter: Interpreter | None = None  # of those that run

    @property
    def is_running(self) -> bool:
        return bool(self._tasks)

    def image(self) -> ScriptImage | None:
        """Where the instructions are; None without any, and where they cannot be taken up."""
        if self._waiting is not None:
            return ScriptImage(self._waiting)
        return self.interpreter.image() if self.interpreter is not None and self._tasks else None

    def start(self, instructions: Instructions, resumption: "Resumption | None" = None) -> None:
        """Run these instructions, in place of those that run now. On a call that is over nothing happens."""
        if self._call.leg.phase is LegPhase.OVER:
            return
        previous = self._cancel()
        self._waiting = instructions
        self._tasks.start(self._run(instructions, resumption, previous))

    async def stop(self) -> None:
        """Cancel whatever runs and return when all of it has cleaned up."""
        running = self._cancel()
        if running:
            await asyncio.wait(running)

    def _cancel(self) -> frozenset[asyncio.Task[None]]:
        for task in self._tasks:
            # A second cancellation would break into the clean-up of the first.
            if not task.cancelling():
                task.cancel()
        return frozenset(self._tasks)

    async def _run(
        self, instructions: Instructions, resumption: "Resumption | None", previous: frozenset[asyncio.Task[None]]
    ) -> None:
        if previous:
            await asyncio.wait(previous)
        self._waiting = None
        try:
            await self._call.services.script(self._call, instructions, resumption)
            self._ended()
        except Exception as error:
            # The driver's catch-all: whatever is wrong with one verb ends this call, cleanly, and no other.
            self._call.break_off(error)
        finally:
            self.interpreter = None

    def _ended(self) -> None:
        """There is nothing more to do. A caller whose Dial reached nobody hears why: busy stays busy."""
        call, outcome = self._call, self._call.dial_outcome
        if call.leg.phase is LegPhase.WAITING and outcome is not None and outcome.status != CallStatus.COMPLETED:
            code = outcome.sip_response_code or _SERVER_ERROR  # without one, nobody could be called at all
            if code == _REQUEST_TERMINATED:
                code = _TEMPORARILY_UNAVAILABLE
            elif code < 400 or code in _NOT_FOR_THE_CALLER:
                code = _SERVER_ERROR
            call.refuse(code, reason_phrase(code), CallStatus(outcome.status))
        call.hang_up()
