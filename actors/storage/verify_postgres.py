"""A store on a PostgreSQL server as a subject of verification, also one that is in use. Needs the driver."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, inspect, select

from actors.errors import SnapshotTooNew, StoreNotFound
from actors.storage.failures import translated
from actors.storage.postgres import PostgresDatabase
from actors.storage.postgres_failures import POSTGRES
from actors.storage.rules import SCHEMA_VERSION
from actors.storage.schema import META


class PostgresSubject:
    """The tables of one schema.

    Args:
        database: Where they are; nothing is locked.
    """

    failures = POSTGRES

    def __init__(self, database: PostgresDatabase) -> None:
        self.location = database.location
        self._database = database

    def damage(self) -> Iterator[str]:
        """See ``Subject.damage``: the server keeps its pages to itself; ``pg_amcheck`` asks about them."""
        with translated(self.location, POSTGRES), self.current() as engine, engine.connect() as connection:
            if not inspect(connection).has_table(META.name):
                raise StoreNotFound(self.location)
            version = connection.execute(select(META.c.schema_version)).scalar_one()
        if version > SCHEMA_VERSION:
            raise SnapshotTooNew(version, SCHEMA_VERSION)
        if version < SCHEMA_VERSION:
            yield f"its schema is that of version {version}; a runtime of this release brings it up to date"

    @contextmanager
    def current(self) -> Generator[Engine]:
        """See ``Subject.current``."""
        engine = self._database.snapshots()
        try:
            yield engine
        finally:
            engine.dispose()
