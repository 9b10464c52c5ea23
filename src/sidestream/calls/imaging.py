"""Keeps images of the live calls up to date, a while after each change and in small portions."""

import asyncio
from typing import TYPE_CHECKING

from sidestream.base.logs import get_logger
from sidestream.calls.bridge import LegPhase
from sidestream.calls.image import encode, image_of, unanswered_image_of
from sidestream.calls.ports import ImageStore

if TYPE_CHECKING:
    from sidestream.calls.call import Call

# From a change to its image it takes once to twice this: what a set-up changes in a row is in one image, and what is
# over by then has none.
DELAY_S = 0.125
# While there are few, they need not wait for company: a call that dies with this process for want of an image dies with
# what it was told in so short a time.
SOON_S = 0.02
SOON_IMAGES = 20  # in each second; what is above them waits. They take about a millisecond of it
PORTION = 20  # images made in one go, a few milliseconds of the event loop
PAUSE_S = 0.02  # between two portions

log = get_logger("calls")


class Imaging:
    """Calls say `changed` whenever something that their image tells is another, and `forget` at their end."""

    def __init__(self, store: ImageStore) -> None:
        self._store = store
        self._changed: dict[str, Call] = {}  # since the last look
        self._ripe: dict[str, Call] = {}  # before it; whatever happens to them until the next is in their image
        self._due: list[Call] = []
        self._kept: set[str] = set()  # whose image is in the store
        self._timer: asyncio.TimerHandle | None = None
        self._second = 0.0  # when the one began that `_written` are of, on the loop's clock
        self._written = 0

    def changed(self, call: "Call") -> None:
        """Write the call's image anew, soon."""
        if call.leg.phase is not LegPhase.OVER and call.record.sid not in self._ripe:
            self._changed[call.record.sid] = call
            self._arm(self._delay_s())

    def forget(self, sid: str) -> None:
        """The call is over."""
        self._changed.pop(sid, None)
        self._ripe.pop(sid, None)
        if sid in self._kept:
            self._kept.remove(sid)
            self._store.remove(sid)

    def adopted(self, sid: str) -> None:
        """The store has an image of this call, from the process before."""
        self._kept.add(sid)

    @property
    def is_up_to_date(self) -> bool:
        """Whether every change has its image."""
        return not (self._changed or self._ripe or self._due)

    def _arm(self, wait_s: float) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._write)

    def _delay_s(self) -> float:
        now = asyncio.get_running_loop().time()
        if now - self._second >= 1.0:
            self._second, self._written = now, 0
        return SOON_S if self._written < SOON_IMAGES else DELAY_S

    def _write(self) -> None:
        self._timer = None
        if not self._due:
            self._due, self._ripe, self._changed = list(self._ripe.values()), self._changed, {}
        portion, self._due = self._due[:PORTION], self._due[PORTION:]
        for call in portion:
            self._write_one(call)
        if self._due:
            self._arm(PAUSE_S)
        elif not self.is_up_to_date:
            self._arm(self._delay_s())

    def _write_one(self, call: "Call") -> None:
        sid = call.record.sid
        if call.over.is_set() or call.leg.phase is LegPhase.OVER:
            return
        try:
            image = image_of(call) if call.leg.phase is LegPhase.ESTABLISHED else unanswered_image_of(call)
        except Exception as error:
            # The driver's catch-all: a call without an image is lost in a restart, but it lives on until then.
            log.error("! no image", call=sid, exc_info=error)
            return
        if image is None:
            self._changed.setdefault(sid, call)  # something is under way: the one of before holds until it is over
            return
        self._store.save(sid, encode(image))
        self._written += 1
        self._kept.add(sid)
