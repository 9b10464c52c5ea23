"""The lines of the media protocol (docs/topics/media-protocol.md) as Python values. Pure: no socket, no time."""

from typing import Any

import msgspec

from sidestream.base.secret import Secret
from sidestream.media.engine import (
    Dtmf,
    FirstPacket,
    ForkStarted,
    Latched,
    MediaEvent,
    PlayerEnded,
    SilenceTimeout,
    SsrcChanged,
    Unauthenticated,
    Unreachable,
)

VERSION = 1

_EVENTS: dict[str, msgspec.json.Decoder[Any]] = {
    "first_packet": msgspec.json.Decoder(FirstPacket),
    "latched": msgspec.json.Decoder(Latched),
    "silence_timeout": msgspec.json.Decoder(SilenceTimeout),
    "dtmf": msgspec.json.Decoder(Dtmf),
    "ssrc_changed": msgspec.json.Decoder(SsrcChanged),
    "unauthenticated": msgspec.json.Decoder(Unauthenticated),
    "unreachable": msgspec.json.Decoder(Unreachable),
    "fork_started": msgspec.json.Decoder(ForkStarted),
    "player_ended": msgspec.json.Decoder(PlayerEnded),
}


class ProtocolError(Exception):
    """A line from the engine that the protocol does not allow: the two sides do not fit each other."""


class Refusal(msgspec.Struct, frozen=True):
    """Why the engine did not do it. `code` is one of section 6 of the protocol."""

    code: str
    message: str


class Interface(msgspec.Struct, frozen=True):
    name: str
    bind_host: str
    advertised_host: str


class Hello(msgspec.Struct, frozen=True):
    """The engine's answer to the greeting."""

    protocol: int
    engine: str  # its version
    pid: int
    sessions: int
    interfaces: list[Interface] = []
    port_min: int = 0
    port_max: int = 0
    workers: int = 0
    instance: str = ""  # of this life of the engine; "" from engines that number no events
    last_event: int = 0  # the number of the event that happened last


class Resume(msgspec.Struct, frozen=True):
    """Where a connection that broke had got to: what a greeting asks for the events after."""

    instance: str
    last_event: int


class Answer(msgspec.Struct, frozen=True):
    """The answer to request `id`; None there means that the engine could not read which one. One of the two is set."""

    id: int | None
    ok: msgspec.Raw | None
    error: Refusal | None


class Events(msgspec.Struct, frozen=True):
    """A batch of events, in the order in which they happened within a session; `dropped` were lost before it.

    `last_event` is the number of its last.
    """

    events: list[MediaEvent]
    dropped: int
    last_event: int = 0


class _Line(msgspec.Struct):
    id: int | None = None
    ok: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: Refusal | None = None
    events: list[msgspec.Raw] | None = None
    dropped: int = 0
    last_event: int = 0


class _Tag(msgspec.Struct):
    event: str


_LINE = msgspec.json.Decoder(_Line)
_TAG = msgspec.json.Decoder(_Tag)


def _reveal(value: object) -> str:
    """Keys go to the engine in clear: the socket is its owner's alone."""
    if isinstance(value, Secret):
        return value.reveal()
    raise NotImplementedError(f"no JSON for {type(value).__name__}")


_ENCODER = msgspec.json.Encoder(enc_hook=_reveal)


def request_line(request_id: int, operation: str, fields: dict[str, Any]) -> bytes:
    """One request with its line end. `fields` may hold the frozen dataclasses of `media.engine`."""
    return _ENCODER.encode({"id": request_id, "op": operation, **fields}) + b"\n"


def parse_line(line: bytes) -> Answer | Events:
    """What the engine sent. Fields and events that we do not know are left out. Raises `ProtocolError`."""
    try:
        parsed = _LINE.decode(line)
        if parsed.events is not None:
            known = [event for event in map(_parse_event, parsed.events) if event is not None]
            return Events(known, parsed.dropped, parsed.last_event)
    except msgspec.MsgspecError as error:
        raise ProtocolError(f"{error} in {line[:200]!r}") from error
    if parsed.error is None and isinstance(parsed.ok, msgspec.UnsetType):
        raise ProtocolError(f"neither answer nor events in {line[:200]!r}")
    return Answer(parsed.id, None if isinstance(parsed.ok, msgspec.UnsetType) else parsed.ok, parsed.error)


def _parse_event(raw: msgspec.Raw) -> MediaEvent | None:
    decoder = _EVENTS.get(_TAG.decode(raw).event)
    if decoder is None:
        return None
    event: MediaEvent = decoder.decode(raw)
    return event
