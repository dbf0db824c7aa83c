"""The tools of a server: listed page by page, and listed again when the server says that they have changed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from actors.domain.mcp import McpServerConfig
from actors.mcp.definitions import MAX_TOOLS, Published, publish

if TYPE_CHECKING:
    from mcp import Client
    from mcp_types import Tool

log = logging.getLogger(__name__)

LIST_PAUSE_S: Final = 1.0
"""Between two looks at the list of tools, however often the server says that it has changed."""

MAX_PAGES: Final = 64
"""Pages of one list: a server that never ends its list is cut short."""


class Listing:
    """What a server offers, over all its connections.

    Args:
        changed: Called when the list is another one.

    Attributes:
        published: The tools that can be called, as they were listed last.
    """

    def __init__(self, config: McpServerConfig, changed: Callable[[], None]) -> None:
        self.published = Published()
        self._config = config
        self._changed = changed
        self._again = asyncio.Event()

    async def read(self, client: Client) -> None:
        """List all anew."""
        self.published = await _tools(client, self._config)

    def told(self, message: Any) -> None:
        """The server says something unasked."""
        if getattr(message, "method", "") == "notifications/tools/list_changed":
            self._again.set()

    async def renew(self, client: Client) -> None:
        """List anew whenever the server says that something has changed; never ends by itself."""
        while True:
            await self._again.wait()
            self._again.clear()
            try:
                async with asyncio.timeout(self._config.connect_timeout_s):
                    await self.read(client)
            except Exception as exc:
                log.info("MCP server %s could not be listed again: %s", self._config.name, type(exc).__name__)
            else:
                self._changed()
            await asyncio.sleep(LIST_PAUSE_S)

    async def follow(self, client: Client) -> None:
        """Ask a server of the newer protocol to say what changes; those of the older one say it unasked."""
        from mcp.client.subscriptions import SubscriptionLost
        from mcp_types.version import MODERN_PROTOCOL_VERSIONS

        if client.server_capabilities.tools is None or client.protocol_version not in MODERN_PROTOCOL_VERSIONS:
            return
        while True:
            try:
                async with client.listen(tools_list_changed=True) as changes:
                    async for _ in changes:
                        self._again.set()
                return
            except SubscriptionLost:
                self._again.set()
            except Exception as exc:
                log.info("changes of MCP server %s are not told: %s", self._config.name, type(exc).__name__)
                return
            await asyncio.sleep(LIST_PAUSE_S)


async def _tools(client: Client, config: McpServerConfig) -> Published:
    """What is published of the tools that the server has now."""
    if client.server_capabilities.tools is None:
        return Published()
    found: list[Tool] = []
    cursor: str | None = None
    more = 0
    for _ in range(MAX_PAGES):
        page = await client.list_tools(cursor=cursor)
        taken = page.tools[: MAX_TOOLS - len(found)]
        found += taken
        more += len(page.tools) - len(taken)
        cursor = page.next_cursor
        if cursor is None or len(found) >= MAX_TOOLS:
            break
    return publish(config, found, more=more)
