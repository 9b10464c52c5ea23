"""Log lines: `<` came in, `>` went out, `=` changed state, `!` problem, each with the SIDs it concerns.

Values pass `redact` unless their key names an identifier, so a phone number cannot slip through a new call site.
"""

import logging
import sys
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any, TextIO

import structlog

from sidestream.base.clock import iso_micros
from sidestream.base.redaction import redact

EVENT_WIDTH = 30  # columns; most events are shorter, so that what follows stands in line

_PLAIN_KEYS = frozenset({"event", "level", "logger", "timestamp", "mark", "call", "siprec", "sid", "session", "code"})

Logger = structlog.typing.FilteringBoundLogger
Event = MutableMapping[str, Any]


def get_logger(room: str) -> Logger:
    """The logger of a room: `log.info("< INVITE", call="CA…", from_=uri)`. Cheap; call it at import."""
    logger: Logger = structlog.get_logger(room=room)
    return logger


def configure_logs(level: str = "info", *, json: bool = False, stream: TextIO | None = None) -> None:
    """Set the process's log level, shape and stream (standard error unless given). Called once, by `cli`."""
    output = _Output(stream)
    numeric = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            stamp,
            structlog.processors.format_exc_info,
            redact_values,
            structlog.processors.JSONRenderer() if json else render_line,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(numeric),
        logger_factory=lambda *_: output,
        cache_logger_on_first_use=False,
    )


def stamp(_logger: Any, _method: str, event: Event) -> Event:
    """A structlog processor that adds the time: RFC 3339 in UTC with microseconds."""
    event["timestamp"] = iso_micros(datetime.now(UTC))
    return event


def render_line(_logger: Any, _method: str, event: Event) -> str:
    """A structlog processor that ends the chain: one line for people, and below it the traceback if there is one.

    structlog's own renderer for consoles makes a line cost twice as much, which calls would pay for.
    """
    timestamp, level, text = event.pop("timestamp"), event.pop("level"), event.pop("event")
    traceback = event.pop("exception", None)
    pairs = " ".join([f"{key}={_shown(value)}" for key, value in event.items()])
    line = f"{timestamp} [{level:<8}] {text:<{EVENT_WIDTH}} {pairs}"
    return line if traceback is None else f"{line}\n{traceback}"


def redact_values(_logger: Any, _method: str, event: Event) -> Event:
    """A structlog processor that redacts every text value, the event's own words included."""
    for key, value in event.items():
        if key in _PLAIN_KEYS and key != "event":
            continue
        if isinstance(value, bool | int | float) or value is None:
            continue
        event[key] = redact(value if isinstance(value, str) else str(value))
    return event


def _shown(value: object) -> str:
    text = str(value)
    return repr(text) if not text or " " in text or "\n" in text or "\r" in text else text


class _Output:
    """What structlog writes to: whole lines, each flushed. Without a stream, standard error as it is at the time."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    def msg(self, line: str) -> None:
        stream = self._stream or sys.stderr
        stream.write(line + "\n")
        stream.flush()

    debug = info = warning = error = critical = msg
