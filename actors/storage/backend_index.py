"""What a backend tells of sessions without reading whole rows of theirs: some of them may be damaged."""

from __future__ import annotations

from typing import Protocol

from actors.domain.journal import Known
from actors.domain.session import SessionInfo


class BackendIndex(Protocol):
    """A part of ``Backend``."""

    def known(self, tenant: str, session_id: str) -> Known | None:
        """The session of an id, exactly as it was given at create."""
        ...

    def below(self, tenant: str, journal_id: str, *, limit: int = 1000) -> tuple[Known, ...]:
        """Children of a session, at most ``limit``, in no order."""
        ...

    def legible(self, tenant: str, journal_id: str) -> SessionInfo | None:
        """What can be read of a session's row: where a value is none that was ever written, it has its default."""
        ...

    def remembers(self, tenant: str, command_id: str) -> bool:
        """Whether this command created or destroyed sessions, or found none, in the last day."""
        ...

    def waiting_tenants(self, kind: str, *, after: str = "", limit: int = 1000) -> tuple[str, ...]:
        """Tenants of whom a session waits for an action of a kind, in order, behind ``after``."""
        ...
