"""What a store keeps beside sessions: the MCP servers of the runtime."""

from __future__ import annotations

from typing import Protocol

from actors.domain.mcp import KnownServer


class ServerStore(Protocol):
    """A part of ``Store``."""

    async def put_server(self, tenant: str, journal_id: str, name: str, server: KnownServer | None) -> None:
        """Keep an MCP server in the place of the one of its name; None forgets it. Shared ones have no journal: ""."""
        ...

    async def servers(self) -> tuple[tuple[str, str, KnownServer], ...]:
        """Over all tenants: (tenant, journal_id, server) of the MCP servers that are kept, in order."""
        ...
