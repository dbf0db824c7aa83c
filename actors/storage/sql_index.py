"""What a SQL store tells of sessions without reading whole rows of theirs: some of them may be damaged.

Above is ``sql``, which adds the writes; below are ``sql_reads`` and the tables.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, select

from actors.domain.journal import Known
from actors.domain.session import SessionInfo
from actors.storage.rows import legible_of
from actors.storage.rules import session_key
from actors.storage.schema import ACTIONS, COMMANDS, HAS_PARENT, PENDING, SESSIONS
from actors.storage.sql_reads import SqlReads, of_journal

_S: Final = SESSIONS.c
_NAMES: Final = select(_S.session_id, _S.journal_id)


def legible_row(connection: Connection, tenant: str, journal_id: str) -> SessionInfo | None:
    """What can be read of the row of a journal's session."""
    found = connection.execute(select(SESSIONS).where(of_journal(SESSIONS, tenant, journal_id))).one_or_none()
    return None if found is None else legible_of(found)


class SqlIndex(SqlReads):
    """The reads, and those that do without whole rows."""

    def known(self, tenant: str, session_id: str) -> Known | None:
        """See ``Backend.known``."""
        named = _NAMES.where(_S.tenant == tenant, _S.session_key == session_key(session_id))
        with self._read() as connection:
            found = connection.execute(named.where(_S.session_id == session_id)).one_or_none()
        return Known(*found) if found is not None else None

    def below(self, tenant: str, journal_id: str, *, limit: int = 1000) -> tuple[Known, ...]:
        """See ``Backend.below``."""
        children = _NAMES.where(_S.tenant == tenant, _S.parent_journal_id == journal_id, HAS_PARENT)
        with self._read() as connection:
            return tuple(Known(*found) for found in connection.execute(children.limit(limit)))

    def legible(self, tenant: str, journal_id: str) -> SessionInfo | None:
        """See ``Backend.legible``."""
        with self._read() as connection:
            return legible_row(connection, tenant, journal_id)

    def remembers(self, tenant: str, command_id: str) -> bool:
        """See ``Backend.remembers``."""
        of = COMMANDS.c
        query = select(of.command_id).where(of.tenant == tenant, of.command_id == command_id)
        with self._read() as connection:
            return connection.execute(query).one_or_none() is not None

    def waiting_tenants(self, kind: str, *, after: str = "", limit: int = 1000) -> tuple[str, ...]:
        """See ``Backend.waiting_tenants``."""
        of = ACTIONS.c
        waiting = select(of.tenant).distinct().where(PENDING, of.kind == kind, of.tenant > after)
        with self._read() as connection:
            return tuple(connection.execute(waiting.order_by(of.tenant).limit(limit)).scalars())
