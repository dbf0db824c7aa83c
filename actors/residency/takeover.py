"""Bringing a runtime up, or taking over what a former registry left: once, with any number of callers who wait for it.

Above is the registry. A registry that Ray has restarted is asked by nobody in particular, so it tries by itself for as
long as trying again can help; whoever waits longer than ``PATIENCE_S`` is told what is in the way.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from actors.errors import GreenroomError

log = logging.getLogger(__name__)

PATIENCE_S: Final = 10.0
"""Longest wait of a caller for something that fails: a store that is started again at the same time takes a second or
two, one whose disk is full may take hours."""

PAUSE_S: Final = 1.0
"""Between two attempts."""


class Takeover:
    """One piece of work that has to succeed once.

    Args:
        work: May be tried again when it failed.
    """

    def __init__(self, work: Callable[[], Awaitable[None]]) -> None:
        self._work = work
        self._task: asyncio.Task[None] | None = None
        self._hindrance: GreenroomError | None = None

    @property
    def succeeded(self) -> bool:
        """Whether it is done."""
        return self._task is not None and self._task.done() and self._task.exception() is None

    def persist(self) -> None:
        """Begin, and try again for as long as that can help."""
        self._task = self._begin(self._until_done())

    async def wait(self) -> None:
        """Return when it is done; begins it when nobody has, or when it failed for good.

        Raises:
            GreenroomError: It failed, or what is in its way lasts for longer than anybody should wait.
        """
        if self._task is None or (self._task.done() and not self.succeeded):
            self._task = self._begin(self._work())
        while not self._task.done():
            # Not a wait for the task itself: a caller that is cancelled does not end it.
            await asyncio.wait({self._task}, timeout=PATIENCE_S)
            if not self._task.done() and self._hindrance is not None:
                raise self._hindrance
        self._task.result()

    async def _until_done(self) -> None:
        while True:
            try:
                await self._work()
            except GreenroomError as exc:
                if not exc.retryable:
                    raise
                self._hindrance = exc
                log.warning("it is tried again: %s", exc)
            else:
                return
            await asyncio.sleep(PAUSE_S)

    def _begin(self, work: Awaitable[None]) -> asyncio.Task[None]:
        async def run() -> None:
            await work

        task = asyncio.get_event_loop().create_task(run(), context=contextvars.Context())
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return task
