"""MCP servers: those that all sessions of a tenant share, and those of one session alone."""

from __future__ import annotations

from actors.domain.mcp import McpServerConfig, McpStatus
from actors.manager_lookup import SessionLookup


class McpOperations(SessionLookup):
    """What ``SessionManager`` does about MCP servers."""

    async def add_mcp_server(self, config: McpServerConfig, *, session_id: str | None = None) -> McpStatus:
        """Configure an MCP server, in the place of one of the same name, and connect it.

        It stays configured when it cannot be connected: the status says why, and it is tried again. Its secrets (values
        of ``env`` and ``headers``, tokens) are held in memory only and end with the runtime.

        Args:
            session_id: The session that it is for; all sessions when None.

        Raises:
            McpServerExists: the name is taken by a server that the same session would see.
            InvalidConfig: there are too many.
            SessionNotFound: no such session.
        """
        if session_id is not None:
            return await (await self._session(session_id)).add_mcp_server(config)
        return await self._runtime.add_mcp_server(self.tenant, "", None, config)

    async def remove_mcp_server(self, name: str, *, session_id: str | None = None) -> bool:
        """Forget an MCP server and end it; False when there is none. Its tools are gone, and its running calls fail."""
        if session_id is not None:
            return await (await self._session(session_id)).remove_mcp_server(name)
        return await self._runtime.remove_mcp_server(self.tenant, "", name)

    async def mcp_status(self, *, session_id: str | None = None) -> dict[str, McpStatus]:
        """How the MCP servers stand, by name; no secrets.

        Args:
            session_id: With those that this session has for itself; only the shared ones when None.
        """
        if session_id is not None:
            return await (await self._session(session_id)).mcp_status()
        found = await self._runtime.mcp_servers(self.tenant)
        return {one.name: one for one in found if one.session_id is None}
