"""What an MCP server offers beside tools, asked of its actor: contents do not go through the registry."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Any, TypeVar

from actors.cluster.links import awaited
from actors.domain.mcp_library import McpContent, McpPrompts, McpPromptText, McpResources
from actors.errors import McpUnavailable, TransportLost

T = TypeVar("T")


class ActorLibrary:
    """``actors.session.library.Library`` in an actor. The server's own bounds of time count."""

    def __init__(self, name: str, handle: Any) -> None:
        self._name = name
        self._handle = handle

    async def resources(self, after: str | None = None) -> McpResources:
        """See ``Library.resources``."""
        return await self._answer(self._handle.resources.remote(after))

    async def read(self, uri: str) -> tuple[McpContent, ...]:
        """See ``Library.read``."""
        return await self._answer(self._handle.read.remote(uri))

    async def prompts(self, after: str | None = None) -> McpPrompts:
        """See ``Library.prompts``."""
        return await self._answer(self._handle.prompts.remote(after))

    async def prompt(self, name: str, arguments: Mapping[str, str]) -> McpPromptText:
        """See ``Library.prompt``."""
        return await self._answer(self._handle.prompt.remote(name, dict(arguments)))

    async def _answer(self, asked: Awaitable[T]) -> T:
        try:
            return await awaited(asked, self._name)
        except TransportLost:
            raise McpUnavailable(self._name, "its actor is gone, and another one takes its place") from None
