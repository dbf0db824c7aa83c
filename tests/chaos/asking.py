"""How to ask when every request, or its answer, may get lost: with an id, again and again, until it is clear."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TypeVar

from actors import SessionHandle
from actors.errors import GreenroomError, SessionEnded

AGAIN_S = 0.1
"""Breath before the same is asked again, in seconds."""

LAST = 3
"""Refusals that are remembered of one question."""

T = TypeVar("T")


async def until_sure(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask until there is an answer. Who is cut off meanwhile is told, in a note, what the last answers were.

    Raises:
        SessionEnded: killed again and again without progress, the session was taken out of service.
    """
    last: deque[str] = deque(maxlen=LAST)
    try:
        while True:
            try:
                return await ask()
            except SessionEnded:
                raise
            except GreenroomError as exc:
                last.append(repr(exc))
                await asyncio.sleep(AGAIN_S)
    except asyncio.CancelledError as cut:
        if last:
            cut.add_note(f"refused at last: {', '.join(last)}")
        raise


async def sure(session: SessionHandle, ask: Callable[[], Awaitable[T]]) -> T:
    """The same, and a session that was taken out of service is put back."""
    while True:
        try:
            return await until_sure(ask)
        except SessionEnded:
            await until_sure(session.resume)


async def impatient(ask: Callable[[], Awaitable[T]], wait_s: float) -> T | None:
    """Ask once and give up after a moment, as if the answer had been lost."""
    try:
        async with asyncio.timeout(wait_s):
            return await ask()
    except (TimeoutError, GreenroomError):
        return None
