"""Which actors of a runtime live: told of a death within milliseconds, and of a frozen process within seconds."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import ray
import ray.exceptions

from actors.cluster.links import awaited
from actors.errors import GreenroomError

log = logging.getLogger(__name__)

BEAT_S = 2.0
"""How often an actor is asked for a sign of life, and how long each question waits."""

SILENT_S = 10.0
"""An actor without a sign of life for so long is frozen or cut off: a blocked loop of ours is never near it."""


class Alive:
    """Watches actors.

    Args:
        bury: Called once with the name of an actor that died, or was killed for its silence.
    """

    def __init__(self, bury: Callable[[str], Awaitable[None]]) -> None:
        self.handles: dict[str, Any] = {}
        self._bury = bury
        self._tasks: set[asyncio.Task[None]] = set()

    def keep(self, name: str, handle: Any) -> None:
        """Begin to watch an actor."""
        self.handles[name] = handle
        self._spawn(self._watch(name, handle))
        self._spawn(self._beat(name, handle))

    async def _watch(self, name: str, handle: Any) -> None:
        while name in self.handles:
            try:
                await handle.watch.remote()
            except ray.exceptions.ActorUnavailableError:
                # Cut off is not dead: it may come back, and what it runs goes on. Its silence is the beat's to judge.
                await asyncio.sleep(BEAT_S)
            except (ray.exceptions.RayError, GreenroomError) as exc:
                log.info("%s is gone: %s", name, type(exc).__name__)
                await self._gone(name)

    async def _beat(self, name: str, handle: Any) -> None:
        """Kill an actor that does not answer: frozen or cut off, it counts as dead."""
        loop = asyncio.get_running_loop()
        heard = loop.time()
        while name in self.handles:
            await asyncio.sleep(BEAT_S)
            try:
                async with asyncio.timeout(BEAT_S):
                    await awaited(handle.ping.remote(), name)
                heard = loop.time()
            except (TimeoutError, GreenroomError):
                # Of one that is dead the watch tells, which ends this loop.
                if loop.time() - heard > SILENT_S:
                    log.warning("%s has not answered for %s s and is killed", name, SILENT_S)
                    ray.kill(handle)
                    await self._gone(name)

    async def _gone(self, name: str) -> None:
        if self.handles.pop(name, None) is not None:
            await self._bury(name)

    def close(self) -> None:
        """Stop watching; the handles stay."""
        for task in self._tasks:
            task.cancel()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work, context=contextvars.Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
