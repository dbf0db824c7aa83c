"""The end of a registry that another has taken over from."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

from ray.actor import exit_actor
from ray.exceptions import AsyncioActorExit

from actors.errors import Superseded

log = logging.getLogger(__name__)


class Succession:
    """Whether this process still is the registry.

    Attributes:
        let_go: What stops it from doing anything, in the order in which it was begun.
    """

    def __init__(self) -> None:
        self.let_go: list[Callable[[], Awaitable[None]]] = []
        self._by: Superseded | None = None
        self._leaving: asyncio.Task[None] | None = None

    def check(self) -> None:
        """Raise Superseded from the moment on at which another registry is known to have taken over."""
        if self._by is not None:
            raise self._by

    def end(self, by: Superseded) -> None:
        """Another has taken over: all that there is belongs to it, and this process ends."""
        if self._leaving is None:
            log.error("%s", by)
            self._by = by
            self._leaving = asyncio.get_running_loop().create_task(self._leave(), context=contextvars.Context())

    async def _leave(self) -> None:
        """End as somebody who wanted to: any other death has Ray start this registry again, as the newest of all."""
        for let_go in reversed(self.let_go):
            await let_go()
        with suppress(AsyncioActorExit):
            exit_actor()
