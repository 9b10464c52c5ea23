"""The thread that keeps a phone's packets on time, whatever the event loop is busy with."""

import os
import selectors
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue

from sidestream.testing.phone.stream import RtpStream

IDLE_SECONDS = 1.0  # how long to sleep with no stream; `add` wakes it


class AudioThread:
    """Runs any number of streams: sends what is due, receives what arrives. `start` it once and `close` it."""

    def __init__(self, name: str) -> None:
        self._thread = threading.Thread(target=self._run, name=f"phone-{name}", daemon=True)
        self._selector = selectors.DefaultSelector()
        self._orders: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._due: dict[RtpStream, float] = {}
        self._running = True
        self._closed = False

    def start(self) -> None:
        self._selector.register(self._bell, selectors.EVENT_READ, self._answer_bell)
        self._thread.start()

    def add(self, stream: RtpStream) -> None:
        """Begin to run `stream`."""
        self._order(lambda: self._take(stream))

    def remove(self, stream: RtpStream) -> None:
        """Stop `stream` and close its sockets. What arrived before is still read."""
        self._order(lambda: self._drop(stream))

    def close(self) -> None:
        """Stop all streams and wait for the thread to end. Blocks for no longer than one turn of it. Idempotent."""
        if self._closed:
            return
        self._closed = True
        if self._thread.is_alive():
            self._order(self._finish)
            self._thread.join()
        self._selector.close()
        os.close(self._bell)

    def _order(self, order: Callable[[], None]) -> None:
        self._orders.put(order)
        os.eventfd_write(self._bell, 1)

    # On the thread

    def _run(self) -> None:
        while self._running:
            now = time.monotonic()
            for stream, due in self._due.items():
                if due <= now:
                    self._due[stream] = stream.run(now)
            wake = min(self._due.values(), default=now + IDLE_SECONDS)
            ready = [key for key, _ in self._selector.select(max(wake - time.monotonic(), 0))]
            # The bell comes last: an order may close sockets that are ready, too.
            for key in sorted(ready, key=lambda key: key.fd == self._bell):
                handler: Callable[[], None] = key.data
                handler()

    def _answer_bell(self) -> None:
        os.eventfd_read(self._bell)
        while True:
            try:
                order = self._orders.get_nowait()
            except Empty:
                return
            order()

    def _take(self, stream: RtpStream) -> None:
        self._selector.register(stream.rtp, selectors.EVENT_READ, stream.receive_rtp)
        self._selector.register(stream.rtcp, selectors.EVENT_READ, stream.receive_rtcp)
        self._due[stream] = 0.0

    def _drop(self, stream: RtpStream) -> None:
        if self._due.pop(stream, None) is None:
            return
        stream.receive_rtp()
        stream.receive_rtcp()
        self._selector.unregister(stream.rtp)
        self._selector.unregister(stream.rtcp)
        stream.close()

    def _finish(self) -> None:
        for stream in list(self._due):
            self._drop(stream)
        self._running = False
