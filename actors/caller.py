"""The port between a client of a remote object and whatever carries its calls: the data plane, or Ray."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Protocol


class Caller(Protocol):
    """A way to call the methods of one remote object; its errors are those of ``actors.errors``."""

    async def call(self, method: str, /, **args: Any) -> Any:
        """Call a method and return its plain value."""
        ...

    def stream(self, method: str, /, **args: Any) -> AsyncIterator[Any]:
        """Call a method that yields plain values; closing the iterator ends it."""
        ...
