"""MCP servers of one session: the part of ``SessionHandle`` about them."""

from __future__ import annotations

from actors.domain.mcp import McpServerConfig, McpStatus
from actors.handle_reads import SessionReads


class SessionMcp(SessionReads):
    """The part of ``SessionHandle`` that is about MCP servers."""

    async def add_mcp_server(self, config: McpServerConfig) -> McpStatus:
        """Configure an MCP server that only this session can use; see ``SessionManager.add_mcp_server``."""
        info = await self.info()
        return await self._runtime.add_mcp_server(self._tenant, self.journal_id, info.session_id, config)

    async def remove_mcp_server(self, name: str) -> bool:
        """Forget a server that this session has for itself, and end it; False when there is none."""
        await self.info()
        return await self._runtime.remove_mcp_server(self._tenant, self.journal_id, name)

    async def mcp_status(self) -> dict[str, McpStatus]:
        """How the MCP servers stand that this session can use, its own and the shared ones, by name."""
        info = await self.info()
        found = await self._runtime.mcp_servers(self._tenant)
        return {one.name: one for one in found if one.session_id in (None, info.session_id)}
