"""Where every room reports what the owner of an application or of the platform should hear of."""

from collections import deque
from collections.abc import Mapping

from sidestream.base.clock import Clock
from sidestream.base.ids import Ids
from sidestream.base.logs import get_logger
from sidestream.debugger.alert import Alert, AlertStore, Level
from sidestream.debugger.catalog import entry

BURST_LIMIT = 1000  # alerts handed to the store per BURST_WINDOW_S: bounds what a flood can leave in its queue
BURST_WINDOW_S = 10.0

_log = get_logger("debugger")


class Debugger:
    """Turns a code and a few facts into an alert: logged at once, stored in the store's own time."""

    def __init__(self, store: AlertStore, ids: Ids, clock: Clock) -> None:
        self._store = store
        self._ids = ids
        self._clock = clock
        self._stored_at: deque[float] = deque()
        self._dropped = 0

    @property
    def dropped(self) -> int:
        """Alerts that were logged but not stored, because too many came at once."""
        return self._dropped

    def report(
        self,
        code: int,
        *,
        account_sid: str,
        text: str,
        resource_sid: str | None = None,
        call_sid: str | None = None,
        request_method: str | None = None,
        request_url: str | None = None,
        details: Mapping[str, str] | None = None,
    ) -> Alert:
        """Record one problem. `text` says in plain words what happened this time.

        `resource_sid` defaults to the call. Returns at once and never fails for the store's sake; raises UnknownCode
        for a code that is not in the catalogue. The log line is redacted, the stored alert is not.
        """
        level = entry(code).level
        alert = Alert(
            sid=self._ids.sid("NO"),
            account_sid=account_sid,
            resource_sid=resource_sid if resource_sid is not None else call_sid,
            code=code,
            level=level,
            text=text,
            at=self._clock.wall(),
            call_sid=call_sid,
            request_method=request_method,
            request_url=request_url,
            details=dict(details or {}),
        )
        write = _log.error if level is Level.ERROR else _log.warning
        siprec = resource_sid if resource_sid is not None and resource_sid.startswith("SR") else None
        write(f"! {text}", code=code, call=call_sid, siprec=siprec, sid=alert.sid)
        if self._has_room():
            self._store.add(alert)
        else:
            self._dropped += 1
        return alert

    def _has_room(self) -> bool:
        """Whether the store may be given one more alert now; takes the place if so."""
        now = self._clock.monotonic()
        while self._stored_at and self._stored_at[0] <= now - BURST_WINDOW_S:
            self._stored_at.popleft()
        if len(self._stored_at) >= BURST_LIMIT:
            return False
        self._stored_at.append(now)
        return True
