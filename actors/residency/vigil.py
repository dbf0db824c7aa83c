"""Waiting for signs of life: silence is counted in questions, not in seconds.

A process that stood still itself has nobody else to blame.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Awaitable, Callable

from actors.errors import Superseded

log = logging.getLogger(__name__)

BEATS = 6
"""Questions within the longest silence: one or two may get lost on a loaded machine."""

PATIENCE = 1.5
"""The registry is given half as long again as others: Ray needs a second or two to restart one that died."""


MOST = 16
"""How many times the patience grows at most: to four minutes where silence is 10 s, more than any start takes."""


class Silence:
    """Counts the questions without a sign of life. Each restart doubles the patience, until there is a sign again.

    A registry that comes up on a loaded machine may need longer than one that is well may be silent: with the same
    patience it would be killed again and again before it can speak.
    """

    def __init__(self) -> None:
        self._missed = 0
        self._times = 1

    @property
    def allowed(self) -> float:
        """Questions that may pass without a sign."""
        return BEATS * PATIENCE * self._times

    def too_long(self, *, heard: bool) -> bool:
        """Another question has passed; whether it is time for a restart."""
        if heard:
            self._missed, self._times = 0, 1
            return False
        self._missed += 1
        return self._missed >= self.allowed

    def restarted(self) -> None:
        """Begin again, with more patience."""
        self._missed, self._times = 0, min(2 * self._times, MOST)


class RegistryWarden:
    """The store actor's watch over the registry.

    Args:
        restart: Kills the registry of this name in such a way that it is started again.
    """

    registry = ""
    """The name of the newest registry."""

    def __init__(self, restart: Callable[[str], Awaitable[None]]) -> None:
        self._restart = restart
        self._term = 0
        self._heard = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None

    def hear(self, registry: str, term: int, silence_s: float) -> None:
        """A registry gave a sign of life; the first one begins the watch.

        Raises:
            Superseded: one of a later term was heard; this one has to end.
        """
        if term < self._term:
            raise Superseded(term, self._term)
        self.registry, self._term = registry, term
        self._heard.set()
        if self._watching is None:
            work = self._watch(silence_s)
            self._watching = asyncio.get_running_loop().create_task(work, context=contextvars.Context())

    def close(self) -> None:
        """Stop watching."""
        if self._watching is not None:
            self._watching.cancel()

    async def _watch(self, silence_s: float) -> None:
        silence = Silence()
        while True:
            self._heard.clear()
            await asyncio.sleep(silence_s / BEATS)
            if silence.too_long(heard=self._heard.is_set()):
                waited_s = silence.allowed * silence_s / BEATS
                log.error("the registry was silent for %.0f s and is started again", waited_s)
                await self._restart(self.registry)
                silence.restarted()
