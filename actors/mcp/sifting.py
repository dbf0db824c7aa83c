"""Between a server's transport and the SDK: what the SDK would not bear is taken out.

The SDK refuses a whole list for one tool that it does not understand. Such a tool is left out; a nameless one stands in
its place, which nobody can call, so that it is counted. And it makes a task of each message that it did not ask for: a
server that floods is left.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

from actors.mcp.unasked import Unasked

_VERSION: Final = "2025-11-25"
"""Whose rules a tool has to keep: those of the newer protocol let pass what no provider takes."""

_NOBODY: Final = {"name": "", "inputSchema": {"type": "object"}}


@asynccontextmanager
async def sifted(transport: AbstractAsyncContextManager[tuple[Any, Any]]) -> AsyncGenerator[tuple[Any, Any]]:
    """A transport of the SDK; reading from it ends with ``Flood`` when the server says too much unasked."""
    unasked = Unasked(asyncio.get_running_loop().time())
    async with transport as (messages, outgoing):
        yield _Incoming(messages, unasked), _Outgoing(outgoing, unasked)


class _Stream:
    """A stream of the SDK, and all that it has."""

    def __init__(self, stream: Any, unasked: Unasked) -> None:
        self._stream = stream
        self._unasked = unasked

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    async def __aenter__(self) -> _Stream:
        await self._stream.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> Any:
        return await self._stream.__aexit__(*error)


class _Incoming(_Stream):
    async def receive(self) -> Any:
        return self._sift(await self._stream.receive())

    def __aiter__(self) -> _Incoming:
        return self

    async def __anext__(self) -> Any:
        return self._sift(await self._stream.__anext__())

    def _sift(self, item: Any) -> Any:
        message: Any = getattr(item, "message", None)  # It may be an exception of the transport's.
        if hasattr(message, "method"):
            self._unasked.heard(asyncio.get_running_loop().time(), request=getattr(message, "id", None))
            if message.method == "notifications/cancelled":
                self._unasked.settled((message.params or {}).get("requestId"))
        result = getattr(message, "result", None)
        if isinstance(result, dict) and isinstance(result.get("tools"), list):  # pyright: ignore[reportUnknownMemberType]
            result["tools"] = [tool if _fits(tool) else _NOBODY for tool in result["tools"]]
        return item


class _Outgoing(_Stream):
    async def send(self, item: Any) -> None:
        await self._stream.send(item)
        if not hasattr(item.message, "method"):
            self._unasked.settled(item.message.id)


def _fits(tool: Any) -> bool:
    from mcp_types.methods import validate_server_result
    from pydantic import ValidationError

    try:
        validate_server_result("tools/list", _VERSION, {"tools": [tool]})
    except ValidationError:
        return False
    return True
