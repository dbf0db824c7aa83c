"""What can be verified: a SQLite store or a backup of one, and a store on a PostgreSQL server.

Above is ``verify``; below are the databases. A subject is read in transactions that see one moment each.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final, Protocol

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import StaticPool

from actors.storage.copies import back_up, database_of, identity_of, read_only, reading
from actors.storage.failures import SQLITE, Failures
from actors.storage.open import database_at, is_postgres, open_backend
from actors.storage.rules import SCHEMA_VERSION
from actors.storage.sqlite import FILE_NAME

MOST: Final = 100
"""Findings of one question to the whole database: as many say what a million would say."""


class Subject(Protocol):
    """A store that somebody asks about."""

    @property
    def location(self) -> str:
        """What people call it."""
        ...

    @property
    def failures(self) -> Failures:
        """How its driver says what went wrong."""
        ...

    def damage(self) -> Iterator[str]:
        """What the database finds wrong with itself.

        Raises:
            StoreUnavailable, StoreNotFound, StoreCorrupt, SnapshotTooNew: It cannot be read at all.
        """
        ...

    def current(self) -> AbstractContextManager[Engine]:
        """The store in this release's schema."""
        ...


def subject_at(place: str | os.PathLike[str]) -> Subject:
    """The store that a directory, a file or a URL names.

    Raises:
        StoreNotFound: There is no such file.
        InvalidConfig: It is no place of a store.
    """
    if is_postgres(str(place)):
        database = database_at(str(place))
        from actors.storage.postgres import PostgresDatabase
        from actors.storage.verify_postgres import PostgresSubject

        if isinstance(database, PostgresDatabase):
            return PostgresSubject(database)
    return SqliteSubject(database_of(place))


class SqliteSubject:
    """A database file, also one that is in use.

    Args:
        path: It exists.
    """

    failures = SQLITE

    def __init__(self, path: Path) -> None:
        self.location = str(path)
        self._path = path

    def damage(self) -> Iterator[str]:
        """See ``Subject.damage``: pages, order of keys, indexes against their tables."""
        with reading(self._path) as connection:
            identity_of(connection, self._path)
            for (said,) in connection.execute(f"PRAGMA integrity_check({MOST})"):
                if said != "ok":
                    yield str(said)

    @contextmanager
    def current(self) -> Generator[Engine]:
        """See ``Subject.current``: an older one is brought up to date as a runtime would, but in a copy."""
        with reading(self._path) as connection:
            _, version = identity_of(connection, self._path)
        if version == SCHEMA_VERSION:
            with _engine(self._path) as engine:
                yield engine
            return
        with tempfile.TemporaryDirectory() as directory:
            copy = back_up(self._path, Path(directory) / FILE_NAME)
            open_backend(directory).close()
            with _engine(copy.path) as engine:
                yield engine


@contextmanager
def _engine(path: Path) -> Generator[Engine]:
    engine = create_engine(
        "sqlite://",
        creator=lambda: sqlite3.connect(read_only(path), uri=True, isolation_level=None, check_same_thread=False),
        # As the store's own engine: prepared statements hand their parameters to the driver by name.
        paramstyle="named",
        poolclass=StaticPool,
        hide_parameters=True,
    )
    event.listen(engine, "begin", _begin)
    try:
        yield engine
    finally:
        engine.dispose()


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")
