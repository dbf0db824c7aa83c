"""What has happened to a session and was not looked at yet, and the wait for it.

Between everybody who has something to tell a session, and its driver, which takes all there is at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from datetime import datetime

from actors.domain.command import Command
from actors.session.plan import CommandGiven, Happening, TimersDue


class Inbox:
    """The happenings of one resident session, in their order.

    Args:
        clock: Tells when a timer is over.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._waiting: list[Happening] = []
        self._bell = asyncio.Event()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def put(self, happening: Happening) -> None:
        """Something happened."""
        self._waiting.append(happening)
        self.ring()

    def put_back(self, happenings: Iterable[Happening]) -> None:
        """These come first again."""
        self._waiting[:0] = happenings
        self.ring()

    def ring(self) -> None:
        """Have whoever waits look again."""
        self._bell.set()

    def take_commands(self) -> list[Command]:
        """Remove the commands; everything else stays."""
        commands = [one.command for one in self._waiting if isinstance(one, CommandGiven)]
        self._waiting = [one for one in self._waiting if not isinstance(one, CommandGiven)]
        return commands

    async def collect(self, wake_at: datetime | None) -> list[Happening]:
        """Everything that has happened, once something has, or the timer at ``wake_at`` is over."""
        while not self._waiting:
            self._bell.clear()
            delay = (wake_at - self._clock()).total_seconds() if wake_at else None
            if delay is not None and delay <= 0:
                return [TimersDue()]
            try:
                async with asyncio.timeout(delay):
                    await self._bell.wait()
            except TimeoutError:
                continue
        happenings, self._waiting = self._waiting, []
        return happenings
