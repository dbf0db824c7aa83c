"""The port between a client of a remote object and whatever carries its calls: the data plane, or Ray."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Collection
from typing import Any, Protocol

from actors.errors import TransportLost

log = logging.getLogger(__name__)

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


class Connecting(Caller, Protocol):
    """A caller over a connection that is made when it is needed."""

    async def connect(self) -> None:
        """Have a connection; TransportLost when nobody answers."""
        ...

    async def close(self) -> None:
        """Drop the connection for good."""
        ...


DETOUR_FIRST_S, DETOUR_MAX_S = 0.5, 60.0
"""How long calls go the long way when nobody can connect, before it is tried again; doubled each time. A restarted
actor is back in two seconds, and a firewall that drops packets costs a caller five each time."""


class Detour:
    """Calls over a connection, and another way while it cannot be made.

    Only a connection that was not made is gone around. One that broke in the middle of a call fails as any other.
    """

    def __init__(self, direct: Connecting, around: Caller) -> None:
        self._direct = direct
        self._around = around
        self._until = 0.0
        self._pause_s = DETOUR_FIRST_S

    async def _way(self) -> Caller:
        now = asyncio.get_running_loop().time
        if now() < self._until:
            return self._around
        try:
            await self._direct.connect()
        except TransportLost as exc:
            log.info("%s For %g s its calls take another way.", exc, self._pause_s)
            self._until = now() + self._pause_s
            self._pause_s = min(self._pause_s * 2, DETOUR_MAX_S)
            return self._around
        self._pause_s = DETOUR_FIRST_S
        return self._direct

    async def call(self, method: str, /, **args: Any) -> Any:
        """See ``Caller.call``."""
        return await (await self._way()).call(method, **args)

    async def stream(self, method: str, /, **args: Any) -> AsyncGenerator[Any]:
        """See ``Caller.stream``."""
        items = (await self._way()).stream(method, **args)
        try:
            async for item in items:
                yield item
        finally:
            await _closed(items)

    async def close(self) -> None:
        """Drop the connection for good."""
        await self._direct.close()


async def _closed(items: AsyncIterator[Any]) -> None:
    close = getattr(items, "aclose", None)
    if close is not None:
        await close()


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
