"""One MCP server as a runtime keeps it: the connection, the effect host that runs its tools, and its library."""

from __future__ import annotations

from collections.abc import Callable

from actors.domain.calls import HostRef
from actors.domain.mcp import McpOffer, McpServerConfig
from actors.domain.mcp_oauth import DEFAULT_REDIRECT, Redirect
from actors.effect_host import EffectHost, HostLimits, ResultSink
from actors.effect_host.guarded import Guarded, Vault
from actors.inspection.inspectors import Inspectors
from actors.mcp.connection import McpConnection
from actors.mcp.executor import McpExecutor
from actors.mcp.library import McpLibrary
from actors.tools.leftovers import HOST_MARK

RUNNING = 64
"""Calls of one server at the same time; further ones wait for their place."""


class McpServer:
    """A server in this process.

    Args:
        name: Of its host; every process of the server carries it.
        changed: Called when what it offers has changed.
        redirect_uri: Where browsers come back to that visit its authorization page.
        root: The workspace that it is told of, when it is told of one; ``directory`` when empty.
        ended: Called when nothing is left of it.
    """

    def __init__(
        self,
        name: str,
        config: McpServerConfig,
        directory: str,
        sink: ResultSink,
        changed: Callable[[], None],
        redirect_uri: str = DEFAULT_REDIRECT,
        root: str = "",
        ended: Callable[[McpServer], None] = lambda server: None,
    ) -> None:
        self._ended = ended
        vault = self.vault = Vault(config.secrets)
        self._inspectors = Inspectors()
        self.connection = McpConnection(
            config, directory, {HOST_MARK: name}, changed, vault.pass_on, redirect_uri, workspace=root or directory
        )
        self.executor = McpExecutor(self.connection)
        self.library = McpLibrary(self.connection)
        guarded = Guarded(self.executor, vault, self._inspectors)
        self.effects = EffectHost(name, guarded, sink, HostLimits(running=RUNNING))

    @property
    def host(self) -> HostRef:
        """Who runs its tools."""
        return self.effects.ref

    def start(self) -> None:
        """Begin to connect."""
        self.connection.start()

    async def first(self) -> McpOffer:
        """What it offers once the first attempt to connect has come to something."""
        await self.connection.first()
        return await self.offer()

    async def offer(self) -> McpOffer:
        """What it offers now."""
        return McpOffer(status=self.connection.status, definitions=self.connection.listing.definitions)

    async def authorized(self, redirect: Redirect) -> bool:
        """Somebody's browser has come back; False when nobody waits for it any more."""
        return self.connection.consent.finish(redirect)

    async def leave(self, journal_id: str) -> None:
        """See ``Running.leave``."""
        await self.connection.open_calls.leave(journal_id)

    async def close(self) -> None:
        """End it: running calls are cancelled, and nothing is left of a child process."""
        try:
            await self.effects.close()
            await self.executor.close()
            await self._inspectors.close()
            await self.connection.close()
        finally:
            self._ended(self)
