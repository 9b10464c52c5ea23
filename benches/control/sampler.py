"""Where processor time goes, sampled: a profiler that costs little and so does not make small functions look large."""

import signal
import time
from types import FrameType

PERIOD_S = 0.001  # of processor time
_PACKAGE = "/sidestream/"
OTHER_THREADS = "other threads"  # SQLite works in one of its own
THE_LOOP = "asyncio, uvloop"  # no frame of ours: tasks, futures, the loop itself


class Sampler:
    """Sums the main thread's processor time by what it was doing: the innermost function of the platform.

    What Python's own library or the kernel does for a function counts as its own. Main thread only.
    """

    def __init__(self) -> None:
        self._spent: dict[str, float] = {}
        self._main_s = 0.0
        self._began_s = 0.0

    def start(self) -> None:
        self._spent = {}
        signal.signal(signal.SIGPROF, self._sample)
        self._main_s, self._began_s = time.thread_time(), time.process_time() - time.thread_time()
        signal.setitimer(signal.ITIMER_PROF, PERIOD_S, PERIOD_S)

    def stop(self) -> dict[str, float]:
        """Seconds by `room/module.py function`."""
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        self._spent[OTHER_THREADS] = time.process_time() - time.thread_time() - self._began_s
        return self._spent

    def _sample(self, _signal: int, frame: FrameType | None) -> None:
        # The timer runs while any thread does; what counts is what this thread has spent since the last time.
        now_s = time.thread_time()
        spent_s, self._main_s = now_s - self._main_s, now_s
        place = _place(frame)
        self._spent[place] = self._spent.get(place, 0.0) + spent_s


def _place(frame: FrameType | None) -> str:
    while frame is not None:
        code = frame.f_code
        _, package, module = code.co_filename.rpartition(_PACKAGE)
        if package:
            return f"{module} {code.co_qualname}"
        frame = frame.f_back
    return THE_LOOP
