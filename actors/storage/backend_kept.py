"""What a backend keeps beside the journals: words of hosts, messages on their way, MCP servers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from actors.domain.journal import Letter, StoredResult
from actors.domain.mcp import KnownServer


class BackendKept(Protocol):
    """A part of ``Backend``."""

    def receivers(self, *, after: tuple[str, str] | None = None, limit: int = 1000) -> tuple[tuple[str, str], ...]:
        """Over all tenants: (tenant, journal_id) of those for whom messages wait, in order, behind ``after``."""
        ...

    def letters(self, tenant: str, target_journal_id: str, *, limit: int = 100) -> tuple[Letter, ...]:
        """What waits for a receiver, each sender's messages in their order; at most ``limit`` and about 4 MiB."""
        ...

    def delivered(self, letters: Sequence[tuple[str, str, int]]) -> None:
        """Forget these messages, by (tenant, sender's journal, seq): their receivers have committed what they say.

        Unknown ones are ignored.
        """
        ...

    def put_result(self, tenant: str, journal_id: str, result: StoredResult) -> None:
        """Keep what a host tells of (call_id, attempt): the first outcome stays, and the last facts.

        Unknown journals are ignored.
        """
        ...

    def results(self, tenant: str, journal_id: str) -> tuple[StoredResult, ...]:
        """What hosts wrote down of a journal's attempts, in order."""
        ...

    def put_server(self, tenant: str, journal_id: str, name: str, server: KnownServer | None) -> None:
        """Keep an MCP server in the place of the one of its name; None forgets it. Shared ones have no journal: ""."""
        ...

    def servers(self) -> tuple[tuple[str, str, KnownServer], ...]:
        """Over all tenants: (tenant, journal_id, server) of the MCP servers that are kept, in order."""
        ...
