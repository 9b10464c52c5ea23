"""Commands that need not wait for each other."""

import asyncio
from collections.abc import Awaitable, Coroutine
from typing import Any, TypeVar, overload

A = TypeVar("A")
B = TypeVar("B")
T = TypeVar("T")


@overload
async def together(first: Awaitable[A], second: Awaitable[B], /) -> tuple[A, B]: ...
@overload
async def together(*commands: Awaitable[T]) -> tuple[T, ...]: ...
async def together(*commands: Awaitable[Any]) -> tuple[Any, ...]:
    """The answers to these commands of an engine, which it has carried out in this order.

    They are sent when they are made, so all are on their way before the first is answered: one turn of the event loop
    instead of one for each, and no tasks. Raises the first failure; the answers after it are given up.
    """
    answers = []
    for position, command in enumerate(commands):
        try:
            answers.append(await command)
        except BaseException:
            for other in commands[position + 1 :]:
                _give_up(other)
            raise
    return tuple(answers)


def _give_up(command: Awaitable[Any]) -> None:
    if isinstance(command, asyncio.Future):
        command.cancel()
    elif isinstance(command, Coroutine):
        command.close()
