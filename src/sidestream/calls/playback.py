"""What the engine plays to a call, for as long as somebody waits for it: prepared files, tones and digits."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sidestream.media.engine import MediaEngineError, PlayerEnded

if TYPE_CHECKING:
    from sidestream.calls.call import Call
    from sidestream.calls.leg_media import LegMedia


async def play_file(call: "Call", path: Path, *, loops: int = 1) -> None:
    """Play `path` `loops` times (0: for ever) and return when it ends. Cancelling stops the sound."""
    engine, media = call.services.engine, call.leg.media
    await _until_ended(
        call, lambda player: engine.play(media.session, player, endpoint=media.endpoint, path=str(path), loops=loops)
    )


async def send_digits(call: "Call", digits: str, *, media: "LegMedia | None" = None) -> None:
    """Dial `digits` and return when they are sent; `w` and `W` are pauses. Cancelling stops them.

    They go to the party of `call`, or of another call in its media session, whose `media` it is then. Raises
    MediaEngineError, with `no-format` for a party that takes neither telephone events nor tones.
    """
    engine, media = call.services.engine, media or call.leg.media
    await _until_ended(
        call, lambda player: engine.send_digits(media.session, player, endpoint=media.endpoint, digits=digits)
    )


async def _until_ended(call: "Call", start: Callable[[str], Awaitable[None]]) -> None:
    """Start a player by its name and wait for its end. `call` hears of it: the session is its own."""
    player = call.services.ids.hex(12)
    ended = asyncio.Event()
    call.players[player] = ended
    try:
        await start(player)
        await ended.wait()
    finally:
        del call.players[player]
        if not ended.is_set():
            with suppress(MediaEngineError):
                await call.services.engine.stop_player(call.leg.media.session, player)


def player_ended(call: "Call", event: PlayerEnded) -> None:
    """The engine says that a player is done."""
    ended = call.players.get(event.player)
    if ended is not None:
        ended.set()
