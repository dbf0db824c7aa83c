"""The tools of a server: listed page by page, and listed again when the server says that they have changed."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

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


async def listed(client: Client, config: McpServerConfig) -> Published:
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


async def follow(client: Client, changed: asyncio.Event, name: str) -> None:
    """Set ``changed`` whenever a server of the newer protocol says so; those of the older one say it unasked."""
    from mcp.client.subscriptions import SubscriptionLost
    from mcp_types.version import MODERN_PROTOCOL_VERSIONS

    if client.server_capabilities.tools is None or client.protocol_version not in MODERN_PROTOCOL_VERSIONS:
        return
    while True:
        try:
            async with client.listen(tools_list_changed=True) as changes:
                async for _ in changes:
                    changed.set()
            return
        except SubscriptionLost:
            changed.set()
        except Exception as exc:
            log.info("changes of the tools of MCP server %s are not told: %s", name, type(exc).__name__)
            return
        await asyncio.sleep(LIST_PAUSE_S)
