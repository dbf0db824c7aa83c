"""What a store keeps beside the journals: words of hosts, messages on their way, MCP servers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from actors.domain.journal import Letter, StoredResult
from actors.domain.mcp import KnownServer


class KeptBeside(Protocol):
    """A part of ``Store``."""

    async def put_result(self, tenant: str, journal_id: str, result: StoredResult) -> None:
        """Keep what a host has to say of an attempt."""
        ...

    async def results(self, tenant: str, journal_id: str, call_id: str | None = None) -> tuple[StoredResult, ...]:
        """What hosts wrote down of a journal's attempts, or of those of one call.

        Outcomes beyond 24 MiB together are left out: who wants one of them names its call.
        """
        ...

    async def receivers(
        self, *, after: tuple[str, str] | None = None, limit: int = 1000
    ) -> tuple[tuple[str, str], ...]:
        """Over all tenants: (tenant, journal_id) of those for whom messages wait, in order, behind ``after``."""
        ...

    async def letters(self, tenant: str, target_journal_id: str, *, limit: int = 100) -> tuple[Letter, ...]:
        """What waits for a receiver, each sender's messages in their order."""
        ...

    async def delivered(self, letters: Sequence[tuple[str, str, int]]) -> None:
        """Forget messages by (tenant, sender's journal, seq): their receivers have committed what they say."""
        ...

    async def put_server(self, tenant: str, journal_id: str, name: str, server: KnownServer | None) -> None:
        """Keep an MCP server in the place of the one of its name; None forgets it. Shared ones have no journal: ""."""
        ...

    async def servers(self) -> tuple[tuple[str, str, KnownServer], ...]:
        """Over all tenants: (tenant, journal_id, server) of the MCP servers that are kept, in order."""
        ...
