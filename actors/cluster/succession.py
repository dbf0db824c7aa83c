"""The end of a registry that another has taken over from."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Awaitable
from contextlib import AsyncExitStack, suppress
from typing import Any, TypeVar

from ray.actor import exit_actor
from ray.exceptions import AsyncioActorExit

from actors.errors import Superseded

T = TypeVar("T")

log = logging.getLogger(__name__)


class Succession:
    """Whether this process still is the registry.

    Attributes:
        begun: What it does; closing it stops all of that.
    """

    def __init__(self) -> None:
        self.begun = AsyncExitStack()
        self._by: Superseded | None = None
        self._leaving: asyncio.Task[None] | None = None
        self._waiting: set[asyncio.Task[Any]] = set()

    def check(self) -> None:
        """Raise Superseded from the moment on at which another registry is known to have taken over."""
        if self._by is not None:
            raise self._by

    async def unless_ended(self, work: Awaitable[T]) -> T:
        """What work comes to, unless another takes over meanwhile: Ray lets no actor end that still has callers.

        Raises:
            Superseded: it did.
        """
        task = asyncio.current_task()
        assert task is not None
        self._waiting.add(task)
        try:
            return await work
        except asyncio.CancelledError:
            self.check()
            raise
        finally:
            self._waiting.discard(task)

    def end(self, by: Superseded) -> None:
        """Another has taken over: all that there is belongs to it, and this process ends."""
        if self._leaving is None:
            log.error("%s", by)
            self._by = by
            for task in self._waiting:
                task.cancel()
            self._leaving = asyncio.get_running_loop().create_task(self._leave(), context=contextvars.Context())

    async def _leave(self) -> None:
        """End as somebody who wanted to: any other death has Ray start this registry again, as the newest of all."""
        await self.begun.aclose()
        with suppress(AsyncioActorExit):
            exit_actor()
