"""The line of calls that wait for a place at a host: the most urgent goes first, and waiting makes urgent.

Between ``Work``, which carries calls out so many at a time, and ``actors.policy.lanes``, which says what is urgent.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from actors.effect_host.ports import Call, Clock
from actors.policy.lanes import urgency


@dataclass(slots=True, eq=False)
class _Waiting:
    """A call in line. ``free`` is set when it has been given a place."""

    priority: int
    full_after_s: float | None
    since: float
    free: asyncio.Future[None]

    def urgency(self, now: float) -> float:
        return urgency(self.priority, now - self.since, self.full_after_s)


class Line:
    """So many places, and the calls that wait for one.

    Args:
        places: Calls that have one at the same time.
        clock: Tells how long a call has waited.
    """

    def __init__(self, places: int, clock: Clock) -> None:
        self._free = places
        self._clock = clock
        self._line: list[_Waiting] = []

    @asynccontextmanager
    async def place(self, call: Call) -> AsyncGenerator[None]:
        """Wait for a place, and keep it within the block. Calls of the same urgency go in the order they came."""
        await self._wait(call)
        try:
            yield
        finally:
            self._give_on()

    async def _wait(self, call: Call) -> None:
        if self._free:
            self._free -= 1
            return
        priority, full_after_s = (call.priority, call.full_after_s) if call.kind == "tool" else (0, None)
        one = _Waiting(priority, full_after_s, self._clock(), asyncio.get_running_loop().create_future())
        self._line.append(one)
        try:
            await one.free
        except asyncio.CancelledError:
            if one in self._line:
                self._line.remove(one)
            elif not one.free.cancelled():
                # It was given a place at the same moment.
                self._give_on()
            raise

    def _give_on(self) -> None:
        if not self._line:
            self._free += 1
            return
        now = self._clock()
        first = min(self._line, key=lambda one: one.urgency(now))
        self._line.remove(first)
        first.free.set_result(None)
