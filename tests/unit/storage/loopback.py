"""A way from a remote store to its handlers inside one process: everything is packed and unpacked on the way."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from typing import Any, cast

import msgpack

from actors.errors import GreenroomError, TransportLost, from_wire, to_wire

_pack = cast("Callable[[object], bytes]", msgpack.packb)
_unpack = cast("Callable[[bytes], Any]", msgpack.unpackb)


def travelled(value: object) -> Any:
    """The value as the other side gets it."""
    return _unpack(_pack(value))


class Loopback:
    """Calls handlers directly. ``broken`` makes every call fail as a lost connection does."""

    def __init__(self, handlers: Mapping[str, Callable[..., Any]]) -> None:
        self._handlers = handlers
        self.broken = False

    async def call(self, method: str, /, **args: Any) -> Any:
        self._check()
        handler = self._handlers[method]
        assert inspect.iscoroutinefunction(handler)
        try:
            return travelled(await handler(**travelled(args)))
        except GreenroomError as error:
            raise from_wire(travelled(to_wire(error))) from None

    def stream(self, method: str, /, **args: Any) -> AsyncIterator[Any]:
        handler = self._handlers[method]
        assert inspect.isasyncgenfunction(handler)
        return self._items(handler(**travelled(args)))

    async def _items(self, items: AsyncGenerator[Any]) -> AsyncGenerator[Any]:
        try:
            async for item in items:
                self._check()
                yield travelled(item)
        except GreenroomError as error:
            raise from_wire(travelled(to_wire(error))) from None
        finally:
            await items.aclose()

    def _check(self) -> None:
        if self.broken:
            raise TransportLost("loopback")
