"""The port between a client of a remote object and whatever carries its calls: the data plane, or Ray."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from typing import Any, Protocol

from actors.errors import TransportLost

RETRY_FIRST_S, RETRY_MAX_S = 0.05, 1.0
"""Bounds of the back-off of a call that is repeated."""


class Caller(Protocol):
    """A way to call the methods of one remote object; its errors are those of ``actors.errors``."""

    async def call(self, method: str, /, **args: Any) -> Any:
        """Call a method and return its plain value."""
        ...

    def stream(self, method: str, /, **args: Any) -> AsyncIterator[Any]:
        """Call a method that yields plain values; closing the iterator ends it."""
        ...


class PatientCaller:
    """Repeats a call whose connection was lost, for methods that give the first outcome when they are asked twice.

    Args:
        patience_s: Seconds after which the loss is the caller's to know.
        impatient: Methods that are not repeated: those that ask whether the other side is there.
    """

    def __init__(self, caller: Caller, patience_s: float, impatient: Collection[str] = ()) -> None:
        self._caller = caller
        self._patience_s = patience_s
        self._impatient = frozenset(impatient)

    async def call(self, method: str, /, **args: Any) -> Any:
        """Call a method; TransportLost when the connection was lost for as long as patience lasts."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + (0.0 if method in self._impatient else self._patience_s)
        delay = RETRY_FIRST_S
        while True:
            try:
                return await self._caller.call(method, **args)
            except TransportLost:
                if loop.time() + delay > deadline:
                    raise
            await asyncio.sleep(delay)
            delay = min(delay * 2, RETRY_MAX_S)

    def stream(self, method: str, /, **args: Any) -> AsyncIterator[Any]:
        """As the caller's: whoever reads a stream knows where to go on."""
        return self._caller.stream(method, **args)
