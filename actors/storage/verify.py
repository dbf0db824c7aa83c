"""The boundary between a store and somebody who asks whether it is whole: reads everything, changes nothing.

It works on a store in use as on the file of a backup (``verify_subject``): each session is looked at in a short
transaction of its own, so that writers are not held up and what is seen of a session belongs together. In memory is one
session at a time.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Engine, Table, exists, func, inspect, select

from actors.storage.failures import translated
from actors.storage.schema import BELONGINGS, BLOBS, ERASED, LINEAGE, METADATA, SESSIONS
from actors.storage.sql_reads import SqlReads
from actors.storage.verify_session import SessionCheck
from actors.storage.verify_subject import MOST, Subject, subject_at

_SESSIONS_PAGE: Final = 200
_BLOBS_PAGE: Final = 16
"""Rows looked up at a time; a blob has up to 8 MiB."""

_S: Final = SESSIONS.c


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong: in what, and what."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


class Verification:
    """One pass over a store. Iterating it yields the findings; the counters say how much was read so far.

    Args:
        place: The store's directory, file or URL, or the file of a backup.

    Raises:
        StoreNotFound: There is nothing there.
    """

    def __init__(self, place: str | os.PathLike[str]) -> None:
        self._subject = subject_at(place)
        self.location = self._subject.location
        self.sessions = self.records = self.blobs = 0

    def __iter__(self) -> Iterator[Finding]:
        """Find what is wrong.

        Raises:
            StoreUnavailable, StoreCorrupt, SnapshotTooNew: It cannot be read at all.
        """
        for what in self._subject.damage():
            yield Finding("database", what)
        with self._subject.current() as engine, translated(self.location, self._subject.failures):
            yield from self._rows(engine)

    def _rows(self, engine: Engine) -> Iterator[Finding]:
        missing = list(_missing(engine))
        yield from missing
        if missing:
            return
        yield from self._sessions(engine)
        yield from self._blobs(engine)
        for table in BELONGINGS:
            yield from _orphans(engine, table)

    def _sessions(self, engine: Engine) -> Iterator[Finding]:
        last = ("", "")
        while True:
            with engine.connect() as connection, connection.begin():
                keys = _next_sessions(connection, last)
            for tenant, journal_id in keys:
                with engine.connect() as connection, connection.begin():
                    check = SessionCheck(SnapshotReads(self._subject, connection), tenant, journal_id)
                    found = list(_findings(check, connection))
                self.sessions += 1
                self.records += check.records
                yield from found
            if not keys:
                return
            last = keys[-1]

    def _blobs(self, engine: Engine) -> Iterator[Finding]:
        of = BLOBS.c
        last = ("", "")
        while True:
            query = select(of.tenant, of.digest, of.body).order_by(of.tenant, of.digest).limit(_BLOBS_PAGE)
            # Not as a comparison of pairs, for which SQLite would not use the index.
            query = query.where(((of.tenant == last[0]) & (of.digest > last[1])) | (of.tenant > last[0]))
            with engine.connect() as connection, connection.begin():
                rows = connection.execute(query).all()
            for tenant, digest, body in rows:
                self.blobs += 1
                if hashlib.sha256(bytes(body)).hexdigest() != digest:
                    yield Finding(f"blob {digest} of {tenant}", "its content is not what its name says")
            if not rows:
                return
            last = (rows[-1].tenant, rows[-1].digest)


class SnapshotReads(SqlReads):
    """The reads of a store within one transaction of somebody else's.

    Args:
        subject: The store.
        connection: In a transaction.
    """

    def __init__(self, subject: Subject, connection: Connection) -> None:
        super().__init__(subject.location, subject.failures)
        self._connection = connection

    @contextmanager
    def _read(self) -> Generator[Connection]:
        yield self._connection


def _missing(engine: Engine) -> Iterator[Finding]:
    with engine.connect() as connection, connection.begin():
        found = inspect(connection)
        tables = set(found.get_table_names())
        indexes = {index["name"] for table in tables for index in found.get_indexes(table)}
    for table in METADATA.sorted_tables:
        for name, there in ((table.name, tables), *((index.name, indexes) for index in table.indexes)):
            if name not in there:
                yield Finding("database", f"{name} is missing")


def _findings(check: SessionCheck, connection: Connection) -> Iterator[Finding]:
    try:
        for what in check.findings(connection):
            yield Finding(check.name, what)
    except (TypeError, ValueError) as error:
        # A value of another kind than was ever written.
        yield Finding(check.name, f"one of its rows cannot be read ({type(error).__name__})")


def _next_sessions(connection: Connection, last: tuple[str, str]) -> list[tuple[str, str]]:
    beyond = ((_S.tenant == last[0]) & (_S.journal_id > last[1])) | (_S.tenant > last[0])
    query = select(_S.tenant, _S.journal_id).where(beyond).order_by(_S.tenant, _S.journal_id).limit(_SESSIONS_PAGE)
    return [(row.tenant, row.journal_id) for row in connection.execute(query)]


def _orphans(engine: Engine, table: Table) -> Iterator[Finding]:
    """Rows of sessions that do not exist, are not being removed, and have no fork."""
    going = (ERASED.c.tenant == table.c.tenant) & (ERASED.c.journal_id == table.c.journal_id)
    mine = (_S.tenant == table.c.tenant) & (_S.journal_id == table.c.journal_id)
    forked = (LINEAGE.c.tenant == table.c.tenant) & (LINEAGE.c.source_journal_id == table.c.journal_id)
    query = (
        select(table.c.tenant, table.c.journal_id, func.count())
        .where(~exists(select(_S.tenant).where(mine)), ~exists(select(ERASED.c.tenant).where(going)))
        .where(~exists(select(LINEAGE.c.tenant).where(forked)))
        .group_by(table.c.tenant, table.c.journal_id)
        .limit(MOST)
    )
    with engine.connect() as connection, connection.begin():
        rows: list[Any] = list(connection.execute(query))
    for tenant, journal_id, count in rows:
        yield Finding(f"journal {journal_id} of {tenant}", f"{count} rows in {table.name} belong to no session")
