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

BEATS = 6
"""Each question waits for a sixth of the longest silence, and as long passes before the next: three in a row without
an answer are that silence. One or two may get lost on a loaded machine."""


class Alive:
    """Watches actors.

    Args:
        silence_s: An actor without a sign of life for so long is frozen or cut off.
        bury: Called once with the name of an actor that died, or was killed for its silence.
    """

    def __init__(self, silence_s: float, bury: Callable[[str], Awaitable[None]]) -> None:
        self.handles: dict[str, Any] = {}
        self._silence_s = silence_s
        self._beat_s = silence_s / BEATS
        self._bury = bury
        self._tasks: set[asyncio.Task[None]] = set()

    def keep(self, name: str, handle: Any, pulse: Callable[[], Awaitable[None]] | None = None) -> None:
        """Begin to watch an actor.

        Args:
            pulse: Asks it for a sign of life; its ``ping`` when None.
        """
        self.handles[name] = handle
        self._spawn(self._watch(name, handle))
        self._spawn(self._beat(name, handle, pulse or (lambda: awaited(handle.ping.remote(), name))))

    def forget(self, name: str) -> Any:
        """Stop watching an actor that is ended; returns its handle."""
        return self.handles.pop(name, None)

    async def _watch(self, name: str, handle: Any) -> None:
        while name in self.handles:
            told = handle.watch.remote()
            try:
                await told
            except asyncio.CancelledError:
                # A process does not end as long as it waits for an answer.
                ray.cancel(told)
                raise
            except ray.exceptions.ActorUnavailableError:
                # Cut off is not dead: it may come back, and what it runs goes on. Its silence is the beat's to judge.
                await asyncio.sleep(self._beat_s)
            except (ray.exceptions.RayError, GreenroomError) as exc:
                log.info("%s is gone: %s", name, type(exc).__name__)
                await self._gone(name)

    async def kill(self, name: str) -> None:
        """Kill an actor; it counts as dead at once."""
        handle = self.handles.get(name)
        if handle is not None:
            ray.kill(handle)
            await self._gone(name)

    async def _beat(self, name: str, handle: Any, pulse: Callable[[], Awaitable[None]]) -> None:
        """Kill an actor that does not answer: frozen or cut off, it counts as dead."""
        missed = 0
        while name in self.handles:
            await asyncio.sleep(self._beat_s)
            try:
                async with asyncio.timeout(self._beat_s):
                    await pulse()
                missed = 0
            except (TimeoutError, GreenroomError):
                # Of one that is dead the watch tells, which ends this loop. Questions are counted, not seconds: when
                # it was this process that stood still, nobody else is to blame.
                missed += 1
                if missed >= BEATS // 2 and name in self.handles:
                    log.warning("%s has not answered for %s s and is killed", name, self._silence_s)
                    await self.kill(name)

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
