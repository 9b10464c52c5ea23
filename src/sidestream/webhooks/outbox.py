"""The durable outbox: every status callback reaches its application, in order, or the debugger says why not."""

import asyncio
from collections import deque

from sidestream.accounts.account_book import AccountBook
from sidestream.base.clock import Clock
from sidestream.base.logs import get_logger
from sidestream.debugger.debugger import Debugger
from sidestream.webhooks import failures
from sidestream.webhooks.client import Answer, HttpClient, WebRequest
from sidestream.webhooks.failures import FetchError
from sidestream.webhooks.ports import Callback, Delivery, DeliveryState, OutboxStore

WORKERS = 100  # callbacks on their way at once; each is a connection and a few kB
MEMORY_LIMIT = 10_000  # callbacks held in memory, about 1 kB each; later ones wait in the store
_ANSWER_LIMIT = 1024  # bytes of an answer that are read: its content means nothing
_RETRY_STORE_S = 1.0

log = get_logger("outbox")


class Outbox:
    """Sends callbacks: those of one ordering key one after the other, those of different keys side by side.

    A callback is durable before it is sent, so a crash makes it be sent again with the same token, never not at all.
    Above `memory_limit` callbacks go to the store alone, and are read back in their order once half of that is gone.
    """

    def __init__(
        self,
        store: OutboxStore,
        http: HttpClient,
        accounts: AccountBook,
        clock: Clock,
        debugger: Debugger,
        *,
        workers: int = WORKERS,
        memory_limit: int = MEMORY_LIMIT,
    ) -> None:
        self._store = store
        self._http = http
        self._accounts = accounts
        self._clock = clock
        self._debugger = debugger
        self._worker_count = workers
        self._memory_limit = memory_limit

        self._waiting: dict[str, deque[Callback]] = {}  # by ordering key; the first of each may be on its way
        self._held: set[str] = set()  # the ids of all in `_waiting`
        self._ready: asyncio.Queue[str] = asyncio.Queue()  # keys whose first callback nobody has taken
        # True while the store holds callbacks that memory does not; then new ones go to the store alone, since passing
        # those would break the order. True from the outset: the last run may have left some.
        self._is_spilled = True
        self._spill_count = 0
        self._settled_during_read: set[str] | None = None  # None while nothing is being read back
        self._room = asyncio.Event()
        self._room.set()
        self._idle = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to send, first what the last run left. Needs a running loop; `enqueue` may come before."""
        self._tasks = [asyncio.create_task(self._work(), name=f"outbox-{n}") for n in range(self._worker_count)]
        self._tasks.append(asyncio.create_task(self._read_back_forever(), name="outbox-reader"))

    def enqueue(self, callback: Callback) -> None:
        """Store the callback and send it in its turn. Returns at once and cannot fail.

        Callbacks of one ordering key must be given in the order of their sequence.
        """
        self._store.append(callback)
        self._idle.clear()
        if self._is_spilled or len(self._held) >= self._memory_limit:
            self._is_spilled = True
            self._spill_count += 1
            self._look_for_room()
        else:
            self._hold(callback)

    async def drain(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds until all is delivered; False if some is left, for the next start."""
        try:
            async with asyncio.timeout(timeout):
                await self._idle.wait()
                await self._store.flush()
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        """Stop sending. What is on its way or waiting stays in the store, and is sent at the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    def _hold(self, callback: Callback) -> None:
        self._held.add(callback.id)
        line = self._waiting.get(callback.ordering_key)
        if line is None:
            self._waiting[callback.ordering_key] = deque((callback,))
            self._ready.put_nowait(callback.ordering_key)
        else:
            line.append(callback)

    def _release(self, callback: Callback) -> None:
        """Forget a settled callback and let the next of its key go."""
        self._held.discard(callback.id)
        if self._settled_during_read is not None:
            self._settled_during_read.add(callback.id)
        line = self._waiting[callback.ordering_key]
        line.popleft()
        if line:
            self._ready.put_nowait(callback.ordering_key)
        else:
            del self._waiting[callback.ordering_key]
        self._look_for_room()
        if not self._held and not self._is_spilled:
            self._idle.set()

    def _look_for_room(self) -> None:
        if self._is_spilled and len(self._held) <= self._memory_limit // 2:
            self._room.set()

    async def _read_back_forever(self) -> None:
        while True:
            await self._room.wait()
            self._room.clear()
            try:
                await self._read_back()
            except Exception as error:  # the store may fail in any way; the callbacks in it must not be forgotten
                log.error("! callbacks cannot be read from the store", error=str(error))
                await asyncio.sleep(_RETRY_STORE_S)
                self._room.set()

    async def _read_back(self) -> None:
        """Take what the store holds and memory does not, as far as there is room, oldest first."""
        spilled_before = self._spill_count
        settled: set[str] = set()
        self._settled_during_read = settled
        try:
            stored = await self._store.pending(limit=self._memory_limit)
        finally:
            self._settled_during_read = None
        # Everything held was stored earlier than anything spilled, so with half of memory free at least half of these
        # are new, and taking them all does not exceed the limit.
        for callback in stored:
            if callback.id not in self._held and callback.id not in settled:
                self._hold(callback)
        is_all = len(stored) < self._memory_limit and self._spill_count == spilled_before
        if is_all:
            self._is_spilled = False
            if not self._held:
                self._idle.set()
        else:
            self._look_for_room()

    async def _work(self) -> None:
        while True:
            key = await self._ready.get()
            callback = self._waiting[key][0]
            try:
                delivery = await self._deliver(callback)
            except Exception as error:  # a defect here must cost one callback, not the worker
                log.error("! callback failed", call=callback.call_sid, kind=callback.kind, error=repr(error))
                delivery = Delivery(DeliveryState.FAILED, self._clock.wall(), 1, error_code=failures.HTTP_FAILURE)
            self._store.settle(callback.id, delivery)
            self._release(callback)

    async def _deliver(self, callback: Callback) -> Delivery:
        account = self._accounts.get(callback.account_sid)
        if account is None:
            log.warning("! callback of an account that is gone", call=callback.call_sid, kind=callback.kind)
            return Delivery(DeliveryState.FAILED, self._clock.wall(), 0)
        try:
            await self._store.flush()
        except Exception as error:  # better sent without being durable than not sent
            log.error("! callback is sent without being stored", call=callback.call_sid, error=str(error))
        try:
            answer = await self._http.request(
                WebRequest(
                    kind=callback.kind,
                    url=callback.url,
                    method=callback.method,
                    parameters=callback.parameters,
                    auth_token=account.auth_token,
                    token=callback.id,
                    call_sid=callback.call_sid,
                    body_limit=lambda _media_type: _ANSWER_LIMIT,
                )
            )
        except FetchError as error:
            self._report(callback, error.code, error.reason, error.url)
            return Delivery(DeliveryState.FAILED, self._clock.wall(), error.attempts, error.status, error.code)
        return self._judge(callback, answer)

    def _judge(self, callback: Callback, answer: Answer) -> Delivery:
        for problem in answer.problems:
            self._report(callback, problem.code, problem.message, answer.public_url)
        error_code = None
        if answer.is_error:
            error_code = failures.CALLBACK_REFUSED
            reason = f"The status callback was answered with HTTP status {answer.status}"
            self._report(callback, error_code, reason, answer.public_url)
        return Delivery(DeliveryState.DELIVERED, self._clock.wall(), answer.attempts, answer.status, error_code)

    def _report(self, callback: Callback, code: int, text: str, url: str) -> None:
        self._debugger.report(
            code,
            account_sid=callback.account_sid,
            resource_sid=callback.resource_sid,
            call_sid=callback.call_sid,
            text=text,
            request_method=callback.method,
            request_url=url,
            details={"sequence": str(callback.sequence)},
        )
