"""The boundary between the backend protocol and SQLAlchemy Core: transactions, commands, maintenance.

Above stands ``actors.storage.service``, which writes from one thread and reads from a few; below are the appends
(``sql_append``), the reads (``sql_reads``), and the database itself (``database``).
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Engine, delete, func, insert, select, update

from actors.domain.ids import utc_now
from actors.domain.journal import (
    Acquired,
    Appended,
    AppendPart,
    NewSession,
    Origin,
    Refused,
    Snapshot,
    StoredResult,
    StoreIdentity,
)
from actors.domain.mcp import KnownServer
from actors.domain.retention import Retention
from actors.errors import CommandConflict, StoreUnavailable
from actors.storage import sql_append, sql_journal, sql_results, sql_retention, sql_servers
from actors.storage.database import WRITE, Database
from actors.storage.migrations import establish
from actors.storage.moments import micros
from actors.storage.rules import SCHEMA_VERSION, occupied, unborn, unfit
from actors.storage.schema import (
    COMMANDS,
    META,
    SESSIONS,
    SNAPSHOTS,
)
from actors.storage.sql_index import SqlIndex, legible_row
from actors.storage.sql_reads import of_journal, session_row

_S: Final = SESSIONS.c


class SqlBackend(SqlIndex):
    """A durable store: the tables of one database, owned by one process at a time.

    Args:
        database: Where they are; it is opened and closed with the backend.
    """

    def __init__(self, database: Database) -> None:
        super().__init__(database.location, database.failures)
        self._database = database
        self._writing: Engine | None = None
        self._kept: list[tuple[ExitStack, Connection]] = []
        self._identity: StoreIdentity | None = None
        self._closing = threading.Lock()

    # --- life ------------------------------------------------------------------------------------------------------

    @property
    def identity(self) -> StoreIdentity:
        """Who this store is; known after ``open``."""
        if self._identity is None:
            raise StoreUnavailable("it is not open")
        return self._identity

    def open(self) -> StoreIdentity:
        """See ``Backend.open``; does nothing when it is open."""
        if self._engine is not None:
            return self.identity
        try:
            self._engine, self._writing = self._database.open()
            with self._write() as connection:
                self._database.unhurried(connection)
                store_id, secret = establish(connection)
            self._database.remember(store_id)
        except BaseException:
            self.close()
            raise
        self._identity = StoreIdentity(store_id, SCHEMA_VERSION, self._location, secret)
        return self._identity

    def close(self) -> None:
        """Release the database and its lock; idempotent."""
        with self._closing:
            self._engine = self._writing = None
            while self._kept:
                self._kept.pop()[0].close()
            self._database.close()

    @contextmanager
    def _write(self) -> Generator[Connection]:
        # Taking a connection from the pool, and giving it back, would cost a third of an append to SQLite.
        opened, connection = self._kept.pop() if self._kept else self._connect()
        with opened:
            with connection.begin():
                yield connection
            with self._closing:
                if self._database.keeps_connections and self._writing is not None:
                    self._kept.append((opened.pop_all(), connection))

    def _connect(self) -> tuple[ExitStack, Connection]:
        opened = ExitStack()
        connection = opened.enter_context(self._connected(self._writing))
        return opened, connection.execution_options(**{WRITE: True})

    # --- commands --------------------------------------------------------------------------------------------------

    def next_term(self) -> int:
        """See ``Backend.next_term``."""
        with self._write() as connection:
            connection.execute(update(META).values(term=META.c.term + 1))
            return connection.execute(select(META.c.term)).scalar_one()

    def create(self, tenant: str, command_id: str, digest: str, sessions: Sequence[NewSession]) -> bool:
        """See ``Backend.create``."""
        with self._write() as connection:
            if _first_answer(connection, tenant, command_id, digest) is not None:
                return False
            taken = sql_append.taken_names(connection, tenant, sessions)
            error = unfit(tenant, sessions) or occupied(sessions, taken)
            error = error or unborn(sessions, lambda journal_id: sql_journal.head(connection, tenant, journal_id))
            if error is not None:
                raise error
            sql_append.insert_sessions(connection, sessions)
            for new in sessions:
                sql_journal.share(connection, new)
            _remember(connection, tenant, command_id, digest, True)
        return True

    def taken(self, tenant: str, sessions: Sequence[NewSession]) -> set[str]:
        """See ``Backend.taken``."""
        with self._read() as connection:
            return sql_append.taken_names(connection, tenant, sessions)

    def destroy(self, tenant: str, journal_id: str, command_id: str, digest: str) -> bool:
        """See ``Backend.destroy``."""
        with self._write() as connection:
            first = _first_answer(connection, tenant, command_id, digest)
            if first is not None:
                return first
            row = legible_row(connection, tenant, journal_id)
            if row is not None:
                sql_retention.erase(connection, row)
            removed = row is not None
            _remember(connection, tenant, command_id, digest, removed)
        return removed

    def acquire(self, tenant: str, journal_id: str, term: int, assignment_no: int) -> Acquired:
        """See ``Backend.acquire``."""
        with self._write() as connection:
            return sql_append.acquire(connection, tenant, journal_id, term, assignment_no)

    def append(self, parts: Sequence[AppendPart]) -> list[Appended | Refused]:
        """See ``Backend.append``."""
        with self._write() as connection:
            return sql_append.append(connection, parts)

    def put_snapshot(self, tenant: str, journal_id: str, snapshot: Snapshot) -> bool:
        """See ``Backend.put_snapshot``."""
        of = SNAPSHOTS.c
        mine = of_journal(SNAPSHOTS, tenant, journal_id)
        with self._write() as connection:
            row = session_row(connection, tenant, journal_id)
            if row is None or snapshot.epoch != row.epoch or snapshot.seq > row.head_seq:
                return False
            newest = connection.execute(select(func.max(of.seq)).where(mine)).scalar_one()
            if newest is not None and newest > snapshot.seq:
                return False
            connection.execute(delete(SNAPSHOTS).where(mine))
            values = {"seq": snapshot.seq, "version": snapshot.version, "epoch": snapshot.epoch, "body": snapshot.body}
            connection.execute(insert(SNAPSHOTS).values(tenant=tenant, journal_id=journal_id, **values))
        return True

    def put_server(self, tenant: str, journal_id: str, name: str, server: KnownServer | None) -> None:
        """See ``Backend.put_server``."""
        with self._write() as connection:
            sql_servers.put(connection, tenant, journal_id, name, server)

    def servers(self) -> tuple[tuple[str, str, KnownServer], ...]:
        """See ``Backend.servers``."""
        with self._read() as connection:
            return sql_servers.every(connection)

    def put_result(self, tenant: str, journal_id: str, result: StoredResult) -> None:
        """See ``Backend.put_result``."""
        with self._write() as connection:
            if session_row(connection, tenant, journal_id) is not None:
                sql_results.keep(connection, tenant, journal_id, result)

    def delivered(self, letters: Sequence[tuple[str, str, int]]) -> None:
        """See ``Backend.delivered``."""
        with self._write() as connection:
            sql_append.forget_letters(connection, letters)

    def expired(self, now: datetime, retention: Retention, *, limit: int = 100) -> tuple[tuple[str, str], ...]:
        """See ``Backend.expired``."""
        with self._read() as connection:
            return tuple(sql_retention.expired(connection, now, retention, limit))

    def expire(self, tenant: str, journal_id: str, now: datetime, retention: Retention) -> bool:
        """See ``Backend.expire``."""
        with self._write() as connection:
            row = legible_row(connection, tenant, journal_id)
            if row is None or not sql_retention.is_expired(connection, (tenant, journal_id), now, retention):
                return False
            sql_retention.erase(connection, row)
            return True

    def purge(self, now: datetime, *, limit: int = 1000) -> int:
        """See ``Backend.purge``."""
        with self._write() as connection:
            return sql_retention.purge(connection, now, limit)

    def beginnings(self, tenant: str, journal_id: str) -> tuple[Origin, ...]:
        """See ``Backend.beginnings``."""
        with self._read() as connection:
            return tuple(Origin(*one) for one in sql_journal.lineage(connection, tenant, journal_id))

    def erase(self, tenant: str, journal_id: str, *, limit: int = 1000) -> int:
        """See ``Backend.erase``."""
        with self._write() as connection:
            return sql_retention.erase_more(connection, (tenant, journal_id), limit)

    def scrub(self) -> None:
        """See ``Backend.scrub``."""
        with self._read() as connection:
            self._database.scrub(connection)

    def health(self) -> None:
        """See ``Backend.health``; writes one row's own value back."""
        self._database.check()
        with self._write() as connection:
            connection.execute(update(META).values(term=META.c.term))

    def stats(self) -> dict[str, Any]:
        """See ``Backend.stats``: the store's id and place, sessions, records, bytes."""
        with self._read() as connection:
            sessions, records = connection.execute(select(func.count(), func.sum(_S.head_seq))).one()
            # A sum of many integers is no integer to every database.
            figures = {"sessions": sessions, "records": int(records or 0), "bytes": self._database.size(connection)}
        return {
            "kind": self._database.kind,
            "store_id": self.identity.store_id,
            "location": self._location,
            **figures,
        }


def _first_answer(connection: Connection, tenant: str, command_id: str, digest: str) -> bool | None:
    of = COMMANDS.c
    query = select(of.digest, of.outcome).where(of.tenant == tenant, of.command_id == command_id)
    found = connection.execute(query).one_or_none()
    if found is None:
        return None
    if found.digest != digest:
        raise CommandConflict(command_id)
    return bool(found.outcome)


def _remember(connection: Connection, tenant: str, command_id: str, digest: str, outcome: bool) -> None:
    values = {"command_id": command_id, "digest": digest, "outcome": int(outcome), "at": micros(utc_now())}
    connection.execute(insert(COMMANDS).values(tenant=tenant, **values))
