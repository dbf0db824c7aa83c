"""The boundary between a SQLite store and somebody who asks whether it is whole: reads everything, changes nothing.

It works on the file of a backup and on a store in use: each session is looked at in a short transaction of its own, so
that writers are not held up and what is seen of a session belongs together. In memory is one session at a time.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, Table, create_engine, event, exists, func, select
from sqlalchemy.pool import StaticPool

from actors.storage.copies import back_up, database_of, identity_of, read_only, reading
from actors.storage.failures import SQLITE, translated
from actors.storage.open import open_backend
from actors.storage.rules import SCHEMA_VERSION
from actors.storage.schema import BELONGINGS, BLOBS, ERASED, LINEAGE, METADATA, SESSIONS
from actors.storage.sql_reads import SqlReads
from actors.storage.sqlite import FILE_NAME
from actors.storage.verify_session import SessionCheck

_SESSIONS_PAGE: Final = 200
_BLOBS_PAGE: Final = 16
"""Rows looked up at a time; a blob has up to 8 MiB."""

_MAX_OF_A_KIND: Final = 100
"""Findings of one question to the whole database: as many say what a million would say."""

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
        self.path = database_of(place)
        self.sessions = self.records = self.blobs = 0

    def __iter__(self) -> Iterator[Finding]:
        """Find what is wrong.

        Raises:
            StoreUnavailable, StoreCorrupt, SnapshotTooNew: It cannot be read at all.
        """
        with reading(self.path) as connection:
            _, version = identity_of(connection, self.path)
            yield from _pages(connection)
        if version == SCHEMA_VERSION:
            yield from self._rows(self.path)
            return
        # As a runtime would see it: brought up to date, which changes only a copy here.
        with tempfile.TemporaryDirectory() as directory:
            copy = back_up(self.path, Path(directory) / FILE_NAME)
            open_backend(directory).close()
            yield from self._rows(copy.path)

    def _rows(self, path: Path) -> Iterator[Finding]:
        with reading(path) as connection:
            missing = list(_missing(connection))
        yield from missing
        if missing:
            return
        engine = _engine(path)
        try:
            with translated(str(path), SQLITE):
                yield from self._sessions(engine)
                yield from self._blobs(engine)
                for table in BELONGINGS:
                    yield from _orphans(engine, table)
        finally:
            engine.dispose()

    def _sessions(self, engine: Engine) -> Iterator[Finding]:
        last = ("", "")
        while True:
            with engine.connect() as connection, connection.begin():
                keys = _next_sessions(connection, last)
            for tenant, journal_id in keys:
                with engine.connect() as connection, connection.begin():
                    check = SessionCheck(SnapshotReads(str(self.path), connection), tenant, journal_id)
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
        location: What errors call the store.
        connection: In a transaction.
    """

    def __init__(self, location: str, connection: Connection) -> None:
        super().__init__(location, SQLITE)
        self._connection = connection

    @contextmanager
    def _read(self) -> Generator[Connection]:
        yield self._connection


def _pages(connection: sqlite3.Connection) -> Iterator[Finding]:
    """What SQLite itself finds: pages, order of keys, indexes against their tables."""
    for (said,) in connection.execute(f"PRAGMA integrity_check({_MAX_OF_A_KIND})"):
        if said != "ok":
            yield Finding("database", str(said))


def _missing(connection: sqlite3.Connection) -> Iterator[Finding]:
    there = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    for table in METADATA.sorted_tables:
        for name in (table.name, *(str(index.name) for index in table.indexes)):
            if name not in there:
                yield Finding("database", f"{name} is missing")


def _engine(path: Path) -> Engine:
    engine = create_engine(
        "sqlite://",
        creator=lambda: sqlite3.connect(read_only(path), uri=True, isolation_level=None, check_same_thread=False),
        # As the store's own engine: prepared statements hand their parameters to the driver by name.
        paramstyle="named",
        poolclass=StaticPool,
        hide_parameters=True,
    )
    event.listen(engine, "begin", _begin)
    return engine


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


def _findings(check: SessionCheck, connection: Connection) -> Iterator[Finding]:
    try:
        for what in check.findings(connection):
            yield Finding(check.name, what)
    except (TypeError, ValueError, OverflowError) as error:
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
        .limit(_MAX_OF_A_KIND)
    )
    with engine.connect() as connection, connection.begin():
        rows: list[Any] = list(connection.execute(query))
    for tenant, journal_id, count in rows:
        yield Finding(f"journal {journal_id} of {tenant}", f"{count} rows in {table.name} belong to no session")
