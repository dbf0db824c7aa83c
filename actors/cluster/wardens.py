"""The registry and the store actor watch each other: Ray restarts what died, but not what is frozen.

The registry asks the store for a sign of life; each question is the registry's own sign. Questions and gaps are
counted, not seconds: a process that stood still itself has nobody else to blame.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import ray

from actors.cluster.links import actor_named, awaited
from actors.errors import GreenroomError
from actors.residency.vigil import BEATS

log = logging.getLogger(__name__)


class StoreWarden:
    """The registry's watch over the store actor.

    Args:
        handle: The store actor; it has ``beat``.
        silence_s: Seconds without an answer after which it is killed, and started again by Ray.
    """

    def __init__(self, handle: Any, registry: str, silence_s: float) -> None:
        self._handle = handle
        self._registry = registry
        self._silence_s = silence_s

    async def watch(self) -> None:
        """Ask for as long as the runtime lives."""
        beat_s = self._silence_s / BEATS
        missed = 0
        while True:
            try:
                async with asyncio.timeout(beat_s):
                    await awaited(self._handle.beat.remote(self._registry, self._silence_s), "the store")
                missed = 0
            except (TimeoutError, GreenroomError):
                missed += 1
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
