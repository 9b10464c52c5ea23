"""Log lines: `<` came in, `>` went out, `=` changed state, `!` problem, each with the SIDs it concerns.

Values pass `redact` unless their key names an identifier, so a phone number cannot slip through a new call site.
"""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog

from sidestream.base.redaction import redact

_PLAIN_KEYS = frozenset({"event", "level", "logger", "timestamp", "mark", "call", "siprec", "sid", "session", "code"})

Logger = structlog.typing.FilteringBoundLogger


def get_logger(room: str) -> Logger:
    """The logger of a room: `log.info("< INVITE", call="CA…", from_=uri)`. Cheap; call it at import."""
    logger: Logger = structlog.get_logger(room=room)
    return logger


def configure_logs(level: str = "info", *, json: bool = False, stream: TextIO | None = None) -> None:
    """Set the process's log level, shape and stream (standard error unless given). Called once, by `cli`."""
    renderer = structlog.processors.JSONRenderer() if json else structlog.dev.ConsoleRenderer(colors=False)
    numeric = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            redact_values,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(numeric),
        logger_factory=structlog.PrintLoggerFactory(file=stream or sys.stderr),
        cache_logger_on_first_use=False,
    )


def redact_values(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor that redacts every text value, the event's own words included."""
    for key, value in event.items():
        if key in _PLAIN_KEYS and key != "event":
            continue
        if isinstance(value, bool | int | float) or value is None:
            continue
        event[key] = redact(value if isinstance(value, str) else str(value))
    return event
