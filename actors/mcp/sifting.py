"""Between a server's transport and the SDK, which refuses a whole list for one tool that it does not understand.

Such a tool is taken out beforehand; a nameless one stands in its place, which nobody can call, so that it is counted.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

_VERSION: Final = "2025-11-25"
"""Whose rules a tool has to keep: those of the newer protocol let pass what no provider takes."""

_NOBODY: Final = {"name": "", "inputSchema": {"type": "object"}}


@asynccontextmanager
async def sifted(transport: AbstractAsyncContextManager[tuple[Any, Any]]) -> AsyncGenerator[tuple[Any, Any]]:
    """A transport of the SDK whose lists of tools hold none that it would refuse."""
    async with transport as (messages, outgoing):
        yield _Sifted(messages), outgoing


class _Sifted:
    """The SDK's stream of messages, and all else that it has."""

    def __init__(self, messages: Any) -> None:
        self._messages = messages

    def __getattr__(self, name: str) -> Any:
        return getattr(self._messages, name)

    async def receive(self) -> Any:
        return _sift(await self._messages.receive())

    def __aiter__(self) -> _Sifted:
        return self

    async def __anext__(self) -> Any:
        return _sift(await self._messages.__anext__())

    async def __aenter__(self) -> _Sifted:
        await self._messages.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> Any:
        return await self._messages.__aexit__(*error)


def _sift(message: Any) -> Any:
    result = getattr(getattr(message, "message", None), "result", None)
    if isinstance(result, dict) and isinstance(result.get("tools"), list):  # pyright: ignore[reportUnknownMemberType]
        result["tools"] = [tool if _fits(tool) else _NOBODY for tool in result["tools"]]
    return message


def _fits(tool: Any) -> bool:
    from mcp_types.methods import validate_server_result
    from pydantic import ValidationError

    try:
        validate_server_result("tools/list", _VERSION, {"tools": [tool]})
    except ValidationError:
        return False
    return True
