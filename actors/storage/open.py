"""The boundary between a store's URL and the backend that it names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.domain.session import StorageType
from actors.errors import InvalidConfig
from actors.storage.backend import Backend
from actors.storage.memory import MemoryBackend

if TYPE_CHECKING:
    from actors.storage.database import Database

MEMORY_URL: Final = "memory:"
"""The store that lives in one process."""

_KINDS: Final = "memory:, sqlite:///path/greenroom.db, postgresql://user@host/database, or a directory"


def open_backend(url: str) -> Backend:
    """Open the store that a URL names; a bare path is the directory of a SQLite store.

    Args:
        url: ``memory:``, ``sqlite:///path/greenroom.db`` (a fourth slash begins an absolute path),
            ``postgresql://user:password@host:port/database``, or a directory.

    Raises:
        InvalidConfig: The URL is of another kind.
        StoreInUse, StoreNotWritable, StoreCorrupt, StoreLost, SnapshotTooNew: As ``Backend.open``.
    """
    backend = backend_at(url)
    backend.open()
    return backend


def backend_at(url: str) -> Backend:
    """The backend that a URL names, not opened yet; raises InvalidConfig as ``open_backend``."""
    if not url:
        raise InvalidConfig(f"The store's URL is empty; use {_KINDS}.")
    if url == MEMORY_URL:
        return MemoryBackend()
    # Imported here, so that a memory store loads no database library.
    from actors.storage.sql import SqlBackend

    return SqlBackend(database_at(url))


def database_at(url: str) -> Database:
    """The database that a URL or a directory names. Nothing is opened.

    Raises:
        InvalidConfig: The URL is of another kind, or what its kind needs is not installed.
    """
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    from actors.storage.sqlite import sqlite_url
    from actors.storage.sqlite_database import SqliteDatabase

    try:
        parsed = make_url(url if "://" in url else sqlite_url(url))
    except (ArgumentError, ValueError):
        # Without its cause, whose text quotes what may be a password.
        raise InvalidConfig(f"The store's URL is malformed; use {_KINDS}.") from None
    if parsed.drivername in {"sqlite", "sqlite+pysqlite"}:
        return SqliteDatabase(parsed.database or "")
    if is_postgres(url):
        try:
            from actors.storage.postgres import PostgresDatabase
        except ModuleNotFoundError as missing:
            raise InvalidConfig("PostgreSQL needs its driver: pip install 'greenroom[postgres]'.") from missing
        return PostgresDatabase(parsed)
    raise InvalidConfig(f"There is no store on {parsed.get_backend_name()!r}: use {_KINDS}.")


def location_of(url: str) -> str:
    """What a store's URL names, without user, password and options; raises as ``database_at``."""
    return url if url == MEMORY_URL else database_at(url).location


def kind_of(url: str) -> StorageType:
    """The kind of store that a URL names."""
    if url == MEMORY_URL:
        return StorageType.memory
    return StorageType.custom if is_postgres(url) else StorageType.file


def is_postgres(url: str) -> bool:
    """Whether a URL names a database on a PostgreSQL server."""
    return url.partition("://")[0].partition("+")[0] in {"postgresql", "postgres"}
