"""Waiting for signs of life: silence is counted in questions, not in seconds.

A process that stood still itself has nobody else to blame.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)

BEATS = 6
"""Questions within the longest silence: one or two may get lost on a loaded machine."""

PATIENCE = 1.5
"""The registry is given half as long again as others: Ray needs a second or two to restart one that died."""


class RegistryWarden:
    """The store actor's watch over the registry.

    Args:
        restart: Kills the registry of this name in such a way that it is started again.
    """

    def __init__(self, restart: Callable[[str], Awaitable[None]]) -> None:
        self._restart = restart
        self._heard = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None

    def hear(self, registry: str, silence_s: float) -> None:
        """The registry gave a sign of life; the first one begins the watch."""
        self._heard.set()
        if self._watching is None:
            work = self._watch(registry, silence_s)
            self._watching = asyncio.get_running_loop().create_task(work, context=contextvars.Context())

    def close(self) -> None:
        """Stop watching."""
        if self._watching is not None:
            self._watching.cancel()

    async def _watch(self, registry: str, silence_s: float) -> None:
        missed = 0
        while True:
            self._heard.clear()
            await asyncio.sleep(silence_s / BEATS)
            missed = 0 if self._heard.is_set() else missed + 1
            if missed >= BEATS * PATIENCE:
                log.error("the registry was silent for %s s and is started again", silence_s * PATIENCE)
                await self._restart(registry)
                missed = 0
