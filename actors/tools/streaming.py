"""Generators as tools: what they yield is shown as it comes, and their final value is the result.

A sync generator runs in one thread from its first piece to its last; a cancelled one is closed at its next ``yield``.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import aclosing
from typing import Any, Final

from pydantic import TypeAdapter

from actors import faults
from actors.domain.calls import ToolOutcome
from actors.faults import Point
from actors.tools.threads import Stop, stoppable

_ANY: Final[TypeAdapter[Any]] = TypeAdapter(Any)


def as_text(value: object) -> str:
    """A text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(_ANY.dump_python(value, mode="json"), ensure_ascii=False)


async def drained(
    pieces: Generator[object, Any, object], emit: Callable[[str], None], leave: Callable[[], None]
) -> object:
    """Run a generator in a thread; what it returns or, when that is None, what it yielded last.

    Args:
        pieces: The generator.
        emit: Takes each piece.
        leave: Called when it was cancelled and did not come to a ``yield`` within the grace: it goes on until then.
    """
    ended = False

    def work(stop: Stop) -> object:
        nonlocal ended
        try:
            return _drain(pieces, emit, stop)
        finally:
            ended = True

    try:
        return await stoppable(work)
    except asyncio.CancelledError:
        if not ended:
            leave()
        raise


def _drain(pieces: Generator[object, Any, object], emit: Callable[[str], None], stop: Stop) -> object:
    last: object = None
    try:
        while True:
            stop.check()
            try:
                last = next(pieces)
            except StopIteration as end:
                return last if end.value is None else end.value
            _show(last, emit)
    finally:
        pieces.close()


async def drained_async(pieces: AsyncGenerator[object, Any], emit: Callable[[str], None]) -> object:
    """Run an async generator; what it yielded last. Cancelling this cancels what it waits for, and closes it."""
    last: object = None
    async with aclosing(pieces):
        async for last in pieces:
            _show(last, emit)
            # One that waits for nothing would let nobody else on, nor be stopped.
            await asyncio.sleep(0)
    return last


def _show(piece: object, emit: Callable[[str], None]) -> None:
    if not isinstance(piece, ToolOutcome):
        emit(piece if isinstance(piece, str) else f"{as_text(piece)}\n")
    faults.hit(Point.piece_after)
