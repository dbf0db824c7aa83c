"""The registry and the store actor watch each other: Ray restarts what died, but not what is frozen.

The registry asks the store for a sign of life; each question is the registry's own sign. Questions and gaps are
counted, not seconds: a process that stood still itself has nobody else to blame.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import ray

from actors.cluster.links import actor_named, awaited
from actors.errors import GreenroomError, Superseded
from actors.residency.vigil import BEATS

log = logging.getLogger(__name__)


class StoreWarden:
    """A registry's watch over the store actor, which also says whether it still is the registry.

    Args:
        handle: The store actor; it has ``beat``.
        registry, term: Who asks.
        silence_s: Seconds without an answer after which it is killed, and started again by Ray.
        superseded: Called when another registry has taken over.
    """

    def __init__(
        self, handle: Any, registry: str, term: int, silence_s: float, superseded: Callable[[Superseded], None]
    ) -> None:
        self._handle = handle
        self._sign = (registry, term, silence_s)
        self._silence_s = silence_s
        self._superseded = superseded

    async def ask(self) -> bool:
        """Exchange signs of life; False when the store gives none.

        Raises:
            Superseded: another registry has taken over.
        """
        try:
            async with asyncio.timeout(self._silence_s / BEATS):
                await awaited(self._handle.beat.remote(*self._sign), "the store")
        except Superseded as exc:
            self._superseded(exc)
            raise
        except (TimeoutError, GreenroomError):
            return False
        return True

    async def watch(self) -> None:
        """Ask for as long as the runtime lives."""
        beat_s = self._silence_s / BEATS
        missed = 0
        while True:
            missed = 0 if await self.ask() else missed + 1
            if missed >= BEATS // 2:
                log.error("the store has not answered for %s s and is started again", self._silence_s)
                ray.kill(self._handle, no_restart=False)
                missed = -BEATS  # It needs a moment to come up.
            await asyncio.sleep(beat_s)


async def restart_actor(name: str) -> None:
    """Kill a named actor, alive or frozen, in such a way that Ray starts it again."""
    handle = await asyncio.to_thread(actor_named, name)
    if handle is not None:
        ray.kill(handle, no_restart=False)
