"""Users, and faults under them, until there have been so many."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

from tests.chaos.faults import Faults
from tests.chaos.report import Report


class Talks(Protocol):
    """Somebody who uses the runtime."""

    async def talk(self, over: asyncio.Event) -> None:
        """Turn after turn, until it is over."""
        ...

    async def turn(self) -> None:
        """One turn."""
        ...


W = TypeVar("W", bound=Talks)


async def under_fire(
    users: Sequence[W], killer: Faults, faults: int, enter: Callable[[str], Awaitable[W]], report: Report
) -> list[W]:
    """Do so many faults while they talk.

    Args:
        enter: Makes one more user, of that name.

    Returns:
        The witnesses: users who came after some faults, and had to be served.
    """
    over = asyncio.Event()
    witnesses: list[W] = []
    async with asyncio.TaskGroup() as group:
        for user in users:
            group.create_task(user.talk(over))
        while (rest := faults - report.faults.total()) > 0:
            report.faults.update(await killer.some(rest, group))
            before = time.monotonic()
            witness = await enter(f"witness-{len(witnesses)}")
            await witness.turn()
            witnesses.append(witness)
            report.recoveries.append(time.monotonic() - before)
        over.set()
    return witnesses
