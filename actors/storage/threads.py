"""The boundary between an event loop and blocking calls: a few threads, and a bound on what waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from actors.errors import Overloaded

MAX_WAITING: Final = 8192
"""Calls that may wait for a thread: a second's work of small reads."""

T = TypeVar("T")


class Threads:
    """A few threads that run blocking calls.

    Args:
        count: How many.
        name: What they are called.
        inline: Run calls at once on the loop instead, for those that never block.
    """

    def __init__(self, count: int, name: str, *, inline: bool = False) -> None:
        self._pool = None if inline else ThreadPoolExecutor(count, name)
        self._waiting = 0

    async def run(self, work: Callable[[], T]) -> T:
        """What ``work`` returns or raises. It runs to its end even when the caller is cancelled.

        Raises:
            Overloaded: Too many calls wait.
        """
        if self._pool is None:
            return work()
        if self._waiting >= MAX_WAITING:
            raise Overloaded("reads of the store")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """End the threads once they have nothing left to do; waits for it."""
        if self._pool is not None:
            self._pool.shutdown()
