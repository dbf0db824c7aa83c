"""What the registry is asked about MCP servers: a part of ``RegistryActor``."""

from __future__ import annotations

from typing import Any

from actors.cluster.pool import ActorPool
from actors.domain.mcp import McpServerConfig, McpStatus
from actors.domain.mcp_oauth import Redirect
from actors.mcp.running import Key
from actors.session.ports import ToolSpec


class RegistryMcp:
    """Delegates to the pool's roster."""

    _pool: ActorPool

    async def open(self) -> Any:
        """See ``RegistryActor.open``."""
        raise NotImplementedError

    async def add_mcp_server(
        self, tenant: str, journal_id: str, session_id: str | None, config: McpServerConfig
    ) -> McpStatus:
        """See ``Runtime.add_mcp_server``."""
        await self.open()
        return await self._pool.servers.roster.add(Key.of(tenant, journal_id, config.name), session_id, config)

    async def remove_mcp_server(self, tenant: str, journal_id: str, name: str) -> bool:
        """See ``Runtime.remove_mcp_server``."""
        await self.open()
        return await self._pool.servers.roster.remove(Key.of(tenant, journal_id, name))

    async def authorized_mcp(self, tenant: str, redirect: Redirect) -> McpStatus:
        """See ``Runtime.authorized_mcp``."""
        await self.open()
        return await self._pool.servers.roster.authorized(tenant, redirect)

    async def mcp_servers(self, tenant: str) -> tuple[McpStatus, ...]:
        """See ``Runtime.mcp_servers``."""
        await self.open()
        return self._pool.servers.roster.status(tenant)

    async def mcp_actor(self, tenant: str, journal_id: str, name: str) -> str:
        """The name of the actor of the server that a journal sees under a name; see ``Runtime.mcp_library``."""
        await self.open()
        servers = self._pool.servers
        await servers.roster.settled()
        return servers.actor_of(servers.roster.seen(tenant, journal_id, name))

    async def mcp_tools(self) -> tuple[ToolSpec, ...]:
        """The tools of all MCP servers, and whose they are."""
        await self.open()
        await self._pool.servers.roster.settled()
        return self._pool.servers.roster.specs()

    async def mcp_changed(self, key: Key) -> None:
        """A server has something new to tell."""
        await self.open()
        self._pool.servers.roster.look(key)
