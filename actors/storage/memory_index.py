"""What the memory store tells of sessions by their names. Above is ``memory``, which adds the writes."""

from __future__ import annotations

from actors.domain.journal import Known
from actors.domain.session import SessionInfo
from actors.storage.memory_reads import MemoryReads


class MemoryIndex(MemoryReads):
    """The reads, and those for which a database has to do without whole rows. Nothing is ever damaged here."""

    def known(self, tenant: str, session_id: str) -> Known | None:
        """See ``Backend.known``."""
        row = self.find(tenant, session_id)
        return Known(row.session_id, row.journal_id) if row is not None else None

    def below(self, tenant: str, journal_id: str, *, limit: int = 1000) -> tuple[Known, ...]:
        """See ``Backend.below``."""
        with self._access():
            children = [one.row for one in self._of(tenant) if one.row.parent_journal_id == journal_id]
        return tuple(Known(row.session_id, row.journal_id) for row in children[:limit])

    def legible(self, tenant: str, journal_id: str) -> SessionInfo | None:
        """See ``Backend.legible``."""
        return self.row(tenant, journal_id)

    def remembers(self, tenant: str, command_id: str) -> bool:
        """See ``Backend.remembers``."""
        with self._access():
            return (tenant, command_id) in self._commands

    def waiting_tenants(self, kind: str, *, after: str = "", limit: int = 1000) -> tuple[str, ...]:
        """See ``Backend.waiting_tenants``."""
        with self._access():
            found = {
                tenant
                for (tenant, _), journal in self._journals.items()
                if tenant > after and any(one.pending and one.kind == kind for one in journal.actions.values())
            }
        return tuple(sorted(found)[:limit])
