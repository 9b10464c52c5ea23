"""Log lines: `<` came in, `>` went out, `=` changed state, `!` problem, each with the SIDs it concerns.

Values pass `redact` unless their key names an identifier, so a phone number cannot slip through a new call site.

A process has one log, as it has one standard error: until `configure_logs` it is that, for people, from `info` on. A
call writes nine lines while it lives, so a line is made in one go; a chain of processors costs a call 0.1 ms more.
"""

import json as json_codec
import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Any, TextIO

from sidestream.base.clock import iso_micros
from sidestream.base.redaction import is_suspect, redact

EVENT_WIDTH = 30  # columns; most events are shorter, so that what follows stands in line

_PLAIN_KEYS = frozenset({"call", "siprec", "sid", "session", "code"})
_PLAIN_TYPES = (bool, int, float, type(None))


class Logger:
    """The log of one room: `log.info("< INVITE", call="CA…", from_=uri)`."""

    def __init__(self, room: str) -> None:
        self._room = room

    def debug(self, event: str, **fields: Any) -> None:
        if _log.level <= logging.DEBUG:
            _log.write("debug", self._room, event, fields)

    def info(self, event: str, **fields: Any) -> None:
        if _log.level <= logging.INFO:
            _log.write("info", self._room, event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        if _log.level <= logging.WARNING:
            _log.write("warning", self._room, event, fields)

    def error(self, event: str, **fields: Any) -> None:
        """`exc_info`: an exception whose traceback is to follow the line, or True for the one being handled."""
        if _log.level <= logging.ERROR:
            _log.write("error", self._room, event, fields)

    def exception(self, event: str, **fields: Any) -> None:
        """An error with the traceback of the exception being handled."""
        self.error(event, exc_info=True, **fields)


def get_logger(room: str) -> Logger:
    """The logger of a room. Cheap; call it at import."""
    return Logger(room)


def configure_logs(level: str = "info", *, json: bool = False, stream: TextIO | None = None) -> None:
    """Set the process's log level, shape and stream (standard error unless given). Called once, by `cli`."""
    _log.level = logging.getLevelNamesMapping()[level.upper()]
    _log.is_json = json
    _log.stream = stream


class _Log:
    """Where lines go: whole, each flushed. Without a stream, standard error as it is at the time."""

    def __init__(self) -> None:
        self.level = logging.INFO
        self.is_json = False
        self.stream: TextIO | None = None

    def write(self, level: str, room: str, event: str, fields: dict[str, Any]) -> None:
        exception = _traceback(fields.pop("exc_info", None)) if "exc_info" in fields else None
        texts = {
            key: value if isinstance(value, str) else str(value)
            for key, value in fields.items()
            if key not in _PLAIN_KEYS and not isinstance(value, _PLAIN_TYPES)
        }
        # Most lines hold nothing to redact, and one look tells.
        if is_suspect("\n".join((event, *texts.values()))):
            event = redact(event)
            texts = {key: redact(text) for key, text in texts.items()}
        if exception is not None:
            exception = redact(exception)
        timestamp = iso_micros(datetime.now(UTC))
        shown = {"room": room, **fields, **texts}
        if self.is_json:
            extra = {} if exception is None else {"exception": exception}
            line = json_codec.dumps(
                {"event": event, "level": level, "timestamp": timestamp, **shown, **extra}, default=str
            )
        else:
            pairs = " ".join([f"{key}={_shown(value)}" for key, value in shown.items()])
            line = f"{timestamp} [{level:<8}] {event:<{EVENT_WIDTH}} {pairs}"
            if exception is not None:
                line = f"{line}\n{exception}"
        stream = self.stream or sys.stderr
        stream.write(line + "\n")
        stream.flush()


_log = _Log()


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else str(value)
    return repr(text) if not text or " " in text or "\n" in text or "\r" in text else text


def _traceback(exc_info: object) -> str | None:
    error = exc_info if isinstance(exc_info, BaseException) else sys.exception()
    return None if error is None or not exc_info else "".join(traceback.format_exception(error)).rstrip("\n")
