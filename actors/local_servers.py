"""MCP servers of a runtime that lives in one process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from actors.domain.ids import new_ulid
from actors.domain.mcp import McpServerConfig
from actors.domain.mcp_oauth import DEFAULT_REDIRECT
from actors.effect_host import EffectHost, ResultSink
from actors.mcp.library import McpLibrary
from actors.mcp.roots import root_for
from actors.mcp.roster import Roster
from actors.mcp.running import Key, Running
from actors.mcp.server import McpServer
from actors.session.ports import Store, ToolSpec


class LocalServers:
    """The servers, and the hosts that run their tools.

    Args:
        directory: Where stdio servers start that name none.
        changed: Called when the tools that sessions can use may be others.
        redirect_uri: Where browsers come back to that visit an authorization page.
    """

    def __init__(
        self,
        store: Store,
        sink: ResultSink,
        directory: str,
        changed: Callable[[], Awaitable[None]],
        redirect_uri: str = DEFAULT_REDIRECT,
    ) -> None:
        self.roster = Roster(store, self._start, changed)
        self._store = store
        self._sink = sink
        self._redirect_uri = redirect_uri
        self._directory = directory
        self._running: dict[Key, McpServer] = {}

    async def _start(self, key: Key, config: McpServerConfig) -> Running:
        name = f"mcp-{new_ulid()}"
        told, root = partial(self.roster.look, key), await root_for(self._store, key, config)
        ended = partial(self._ended, key)
        server = McpServer(name, config, self._directory, self._sink, told, self._redirect_uri, root, ended)
        self._running[key] = server
        server.start()
        return server

    def _ended(self, key: Key, server: McpServer) -> None:
        if self._running.get(key) is server:
            del self._running[key]

    def library(self, key: Key) -> McpLibrary:
        """What one of them offers beside tools."""
        return self._running[key].library

    def specs(self) -> tuple[ToolSpec, ...]:
        """Their tools."""
        return self.roster.specs()

    def hosts(self) -> list[EffectHost]:
        """Who runs them."""
        return [server.effects for server in self._running.values()]
