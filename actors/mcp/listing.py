"""What a server offers: its tools are listed when it is connected, and again when it says that they have changed.

Its resources and prompts are listed when somebody asks for them, and kept until it says that they have changed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from actors.domain.mcp import McpServerConfig
from actors.domain.mcp_library import McpPrompts, McpResources
from actors.domain.tools import ToolDefinition
from actors.mcp.definitions import MAX_TOOLS, Published, publish
from actors.mcp.pages import gathered
from actors.mcp.reading_tools import reading_tools

if TYPE_CHECKING:
    from mcp import Client
    from mcp_types import ServerCapabilities

log = logging.getLogger(__name__)

LIST_PAUSE_S: Final = 1.0
"""Between two looks at the list of tools, however often the server says that it has changed."""

T = TypeVar("T")


class Shelf(Generic[T]):
    """The first part of a list, as long as it is known to be the present one."""

    def __init__(self) -> None:
        self._kept: T | None = None
        self._changes = 0

    def forget(self) -> None:
        """It has changed, or may have."""
        self._kept = None
        self._changes += 1

    async def get(self, read: Callable[[], Awaitable[T]], *, keep: bool) -> T:
        """It; read anew unless it was kept. ``keep``: the server says when it changes."""
        if self._kept is not None:
            return self._kept
        before = self._changes
        found = await read()
        if keep and before == self._changes:
            # What changed while it was read is read again the next time.
            self._kept = found
        return found


class Listing:
    """What a server offers, over all its connections.

    Args:
        changed: Called when the list of tools is another one.
        secrets: What must not appear in it.

    Attributes:
        published: The tools that can be called, as they were listed last.
        reading: The names of the tools by which its resources are listed and read, when it has any.
    """

    def __init__(
        self, config: McpServerConfig, changed: Callable[[], None], secrets: Callable[[], Sequence[str]]
    ) -> None:
        self.published = Published()
        self.reading: tuple[str, str] | None = None
        self.resources: Shelf[McpResources] = Shelf()
        self.prompts: Shelf[McpPrompts] = Shelf()
        self._config = config
        self._changed = changed
        self._secrets = secrets
        self._again = asyncio.Event()
        self._listens = False

    @property
    def definitions(self) -> tuple[ToolDefinition, ...]:
        """All that a model can call, by name. A tool of the server's own that has the name of one of ours counts."""
        found = {one.name: one for one in (*self._reading_tools(), *self.published.definitions)}
        return tuple(found[name] for name in sorted(found))

    def _reading_tools(self) -> tuple[ToolDefinition, ...]:
        return reading_tools(self._config) if self.reading is not None else ()

    async def read(self, client: Client) -> None:
        """List all anew, by a new connection."""
        self._forget()
        listing, reading = (one.name for one in reading_tools(self._config))
        self.reading = (listing, reading) if client.server_capabilities.resources is not None else None
        await self._list_tools(client)

    def _forget(self) -> None:
        self.resources.forget()
        self.prompts.forget()

    def is_told(self, client: Client, offered: Any) -> bool:
        """Whether the server says when a list changes; ``offered``: its capability for that list."""
        from mcp_types.version import MODERN_PROTOCOL_VERSIONS

        listens = self._listens or client.protocol_version not in MODERN_PROTOCOL_VERSIONS
        return listens and bool(offered.list_changed)

    async def _list_tools(self, client: Client) -> None:
        if client.server_capabilities.tools is None:
            self.published = Published()
            return
        found = await gathered(lambda cursor: client.list_tools(cursor=cursor), lambda page: page.tools, MAX_TOOLS)
        self.published = publish(self._config, found.items, more=found.left_out, secrets=self._secrets())

    def told(self, what: Any) -> None:
        """The server says something unasked: a notification, or an event that was subscribed to."""
        # Events of the newer protocol have names of their own kind.
        match getattr(what, "method", type(what).__name__):
            case "notifications/tools/list_changed" | "ToolsListChanged":
                self._again.set()
            case "notifications/resources/list_changed" | "ResourcesListChanged":
                self.resources.forget()
            case "notifications/prompts/list_changed" | "PromptsListChanged":
                self.prompts.forget()
            case _:
                pass

    async def renew(self, client: Client) -> None:
        """List the tools anew whenever the server says that they have changed; never ends by itself."""
        while True:
            await self._again.wait()
            self._again.clear()
            try:
                async with asyncio.timeout(self._config.connect_timeout_s):
                    await self._list_tools(client)
            except Exception as exc:
                log.info("MCP server %s could not be listed again: %s", self._config.name, type(exc).__name__)
            else:
                self._changed()
            await asyncio.sleep(LIST_PAUSE_S)

    async def follow(self, client: Client) -> None:
        """Ask a server of the newer protocol to say what changes; those of the older one say it unasked."""
        from mcp.client.subscriptions import SubscriptionLost
        from mcp_types.version import MODERN_PROTOCOL_VERSIONS

        wanted = _told_of(client.server_capabilities)
        if not any(wanted.values()) or client.protocol_version not in MODERN_PROTOCOL_VERSIONS:
            return
        while True:
            try:
                async with client.listen(**wanted) as changes:
                    # Nobody has said what changed before it began to listen.
                    self._forget()
                    self._listens = True
                    async for change in changes:
                        self.told(change)
                return
            except SubscriptionLost:
                self._again.set()
            except Exception as exc:
                log.info("changes of MCP server %s are not told: %s", self._config.name, type(exc).__name__)
                return
            finally:
                self._listens = False
                self._forget()
            await asyncio.sleep(LIST_PAUSE_S)


def _told_of(offered: ServerCapabilities) -> dict[str, Any]:
    """What to listen for."""
    return {
        "tools_list_changed": offered.tools is not None,
        "resources_list_changed": offered.resources is not None and bool(offered.resources.list_changed),
        "prompts_list_changed": offered.prompts is not None and bool(offered.prompts.list_changed),
    }
