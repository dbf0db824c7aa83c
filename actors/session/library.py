"""The port between those who ask what an MCP server offers, and whoever keeps it connected."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from actors.domain.mcp_library import McpContent, McpPrompts, McpPromptText, McpResources


class Library(Protocol):
    """What a server offers beside tools. Every method raises McpUnavailable and McpRefused."""

    async def resources(self, after: str | None = None) -> McpResources:
        """A part of its resources."""
        ...

    async def read(self, uri: str) -> tuple[McpContent, ...]:
        """What a resource holds: one content, or those below it."""
        ...

    async def prompts(self, after: str | None = None) -> McpPrompts:
        """A part of its prompts."""
        ...

    async def prompt(self, name: str, arguments: Mapping[str, str]) -> McpPromptText:
        """One of its prompts, made with these arguments."""
        ...
