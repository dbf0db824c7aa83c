"""The actor of one MCP server: its connection, its running calls, and its secrets, in memory only."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from actors.cluster.links import Links
from actors.cluster.registry_link import RegistryLink
from actors.domain.mcp import McpOffer, McpServerConfig
from actors.domain.mcp_library import McpContent, McpPrompts, McpPromptText, McpResources
from actors.domain.mcp_oauth import Redirect
from actors.effect_host.sink import StoreSink
from actors.errors import InternalError
from actors.host_actor import HostActor
from actors.mcp.running import Key
from actors.mcp.server import McpServer
from actors.peers import HostPeer, RuntimeInfo
from actors.storage.remote import RemoteStore
from actors.tools.leftovers import claim_life


class McpActor(HostActor):
    """Keeps one server connected, and runs its tools."""

    _server: McpServer | None = None

    async def open(self, info: RuntimeInfo, key: Key, config: McpServerConfig, root: str = "") -> HostPeer:
        """Take part in a runtime, and begin to connect. ``root`` as of ``McpServer``."""
        if self._doors is None:
            self._life = claim_life(self._name)
            self._key, self._config = key, config
            self._registry = RegistryLink(info)
            links = Links(info.token.get_secret_value(), data_plane=info.data_plane)
            sink = StoreSink(RemoteStore(links.to(info.store)))
            world = info.world
            own = world.workspace or "/"
            self._server = McpServer(self._name, config, own, sink, self._tell, world.redirect_uri, root)
            self._vault = self._server.vault
            await self._serve(info, "mcp", self._server.effects)
            self._server.start()
        peer = await self.describe()
        assert peer is not None, "it was just opened"
        return peer

    def _tell(self) -> None:
        self._registry.tell("mcp_changed", self._key)

    async def follow(self, info: RuntimeInfo) -> tuple[Key, McpServerConfig] | None:
        """Another registry has taken over; what this actor was opened with."""
        if self._server is None:
            return None
        self._registry.follow(info)
        return self._key, self._config

    async def first(self) -> McpOffer:
        """See ``McpServer.first``."""
        return await self._opened().first()

    async def offer(self) -> McpOffer:
        """See ``McpServer.offer``."""
        return await self._opened().offer()

    async def leave(self, journal_id: str) -> None:
        """See ``Running.leave``."""
        await self._opened().leave(journal_id)

    async def resources(self, after: str | None = None) -> McpResources:
        """See ``Library.resources``."""
        return await self._opened().library.resources(after)

    async def read(self, uri: str) -> tuple[McpContent, ...]:
        """See ``Library.read``."""
        return await self._opened().library.read(uri)

    async def prompts(self, after: str | None = None) -> McpPrompts:
        """See ``Library.prompts``."""
        return await self._opened().library.prompts(after)

    async def prompt(self, name: str, arguments: Mapping[str, str]) -> McpPromptText:
        """See ``Library.prompt``."""
        return await self._opened().library.prompt(name, arguments)

    async def authorized(self, redirect: Redirect) -> bool:
        """See ``McpServer.authorized``."""
        return await self._opened().authorized(redirect)

    def _opened(self) -> McpServer:
        if self._server is None:
            raise InternalError("MCP server used before it was opened")
        return self._server

    async def close(self) -> None:
        """End the server; then hand outcomes nobody fetched to the store."""
        if self._server is not None:
            async with asyncio.timeout(14.0):
                await self._server.close()
        await super().close()
