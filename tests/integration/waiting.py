"""Bounded waits of the integration tests: for an event of a session, or for a condition that no event tells of."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import TypeVar

from actors import SessionHandle
from actors.domain.actions import Action
from actors.domain.records import ActionRequested

LONG_S = 30.0
"""Bound of every wait: far above what the slowest machine needs."""

E = TypeVar("E")


async def event_of(session: SessionHandle, kind: type[E], *, after: int = 0, nth: int = 1) -> E:
    """The nth event of a kind, past or to come."""
    async with asyncio.timeout(LONG_S), aclosing(session.events(after=after, follow=True)) as stream:
        async for event in stream:
            if isinstance(event, kind):
                nth -= 1
                if nth == 0:
                    return event
    raise AssertionError("the stream ended")


async def action_of(session: SessionHandle, *, nth: int = 1) -> Action:
    """The nth action that the session asked for."""
    requested = await event_of(session, ActionRequested, nth=nth)
    for action in await session.actions(pending=False):
        if action.action_id == requested.data.action_id:
            return action
    raise AssertionError("an action was requested and is not listed")


async def until(holds: Callable[[], bool], *, what: str, within_s: float = LONG_S) -> None:
    """Wait for a condition that nobody announces."""

    async def ask() -> bool:
        return holds()

    await until_told(ask, what=what, within_s=within_s)


async def until_told(holds: Callable[[], Awaitable[bool]], *, what: str, within_s: float = LONG_S) -> None:
    """The same for a condition that has to be asked for."""
    deadline = asyncio.get_running_loop().time() + within_s
    while not await holds():
        assert asyncio.get_running_loop().time() < deadline, what
        await asyncio.sleep(0.02)
