"""Playing a prepared file to a call, for as long as somebody waits for it."""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sidestream.media.engine import MediaEngineError, PlayerEnded

if TYPE_CHECKING:
    from sidestream.calls.call import Call


async def play_file(call: "Call", path: Path, *, loops: int = 1) -> None:
    """Play `path` `loops` times (0: for ever) and return when it ends. Cancelling stops the sound."""
    services, media = call.services, call.leg.media
    player = services.ids.hex(12)
    ended = asyncio.Event()
    call.players[player] = ended
    try:
        await services.engine.play(media.session, player, endpoint=media.endpoint, path=str(path), loops=loops)
        await ended.wait()
    finally:
        del call.players[player]
        if not ended.is_set():
            with suppress(MediaEngineError):
                await services.engine.stop_player(media.session, player)


def player_ended(call: "Call", event: PlayerEnded) -> None:
    """The engine says that a player is done."""
    ended = call.players.get(event.player)
    if ended is not None:
        ended.set()
