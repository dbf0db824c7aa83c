"""Room for those who wait: the sessions that were used least recently give their places back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from actors.residency.line import Line
from actors.residency.placement import Placement

BREATH_S = 0.1
"""Pause before sessions that were all busy are asked again, unless one is heard to have become idle."""

PATIENCE_S = 2.0
"""How long a session may take to be released before others are asked as well, and how often those are asked that are
believed to be at work: what is heard of them may be lost."""

AT_ONCE = 16
"""Sessions that are asked at a time: a release takes two or three milliseconds, most of it waiting."""


class Eviction:
    """Asks sessions to hibernate while others wait for their places.

    Args:
        placed: The residents.
        covered: Places that will be free without asking anybody.
        hibernate: Releases a session; True when it is dormant.
    """

    def __init__(
        self,
        line: Line,
        placed: Mapping[str, Placement],
        covered: Callable[[], int],
        hibernate: Callable[[str], Awaitable[bool]],
    ) -> None:
        self._line = line
        self._placed = placed
        self._covered = covered
        self._hibernate = hibernate
        self._stirred = asyncio.Event()
        self._asked_busy = float("-inf")

    def stir(self) -> None:
        """A session may have become idle."""
        self._stirred.set()

    async def run(self) -> None:
        """Make room until nobody waits any more."""
        while self._line:
            self._stirred.clear()
            wanted = len(self._line) - self._covered()
            if wanted > 0 and await self._evict(min(wanted, AT_ONCE)):
                continue
            try:
                async with asyncio.timeout(BREATH_S):
                    await self._stirred.wait()
            except TimeoutError:
                continue

    async def _evict(self, wanted: int) -> int:
        """Ask until so many have left; returns how many did."""
        freed = 0
        candidates = self._candidates()
        while candidates and freed < wanted and self._line:
            asked, candidates = candidates[: wanted - freed], candidates[wanted - freed :]
            tasks = [asyncio.ensure_future(self._hibernate(one.journal_id)) for one in asked]
            # A seat may be frozen; its release goes on, and others are asked meanwhile.
            done, _ = await asyncio.wait(tasks, timeout=PATIENCE_S)
            freed += sum(not task.cancelled() and task.exception() is None and task.result() for task in done)
        return freed

    def _candidates(self) -> list[Placement]:
        """Whom to ask, least recently used first; those that seem to be at work now and then, at the end."""
        now = asyncio.get_running_loop().time()
        settled = [one for one in self._placed.values() if one.ready.done() and one.releasing is None]
        settled.sort(key=lambda one: (one.busy, one.used))
        if now - self._asked_busy >= PATIENCE_S:
            self._asked_busy = now
            return settled
        return [one for one in settled if not one.busy]
