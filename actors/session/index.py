"""What a store tells of sessions without reading all that it has of them: some of it may be damaged."""

from __future__ import annotations

from typing import Protocol

from actors.domain.journal import Known


class Index(Protocol):
    """A part of ``Store``."""

    async def known(self, tenant: str, session_id: str) -> Known | None:
        """The session of an id, also when its row cannot be read."""
        ...

    async def below(self, tenant: str, journal_id: str, *, limit: int = 1000) -> tuple[Known, ...]:
        """Children of a session, also those whose rows cannot be read; at most ``limit``, in no order."""
        ...

    async def waiting_tenants(self, kind: str, *, after: str = "", limit: int = 1000) -> tuple[str, ...]:
        """Tenants of whom a session waits for an action of a kind, in order, behind ``after``."""
        ...
