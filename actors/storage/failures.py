"""The one place where a database's exceptions become ours; no text of the database's own gets through."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from actors.errors import GreenroomError, InternalError, StoreCorrupt, StoreLost, StoreUnavailable

_PASSING: Final = {
    sqlite3.SQLITE_BUSY: "another program holds its lock",
    sqlite3.SQLITE_LOCKED: "another program holds its lock",
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_IOERR: "reading or writing the disk failed",
    sqlite3.SQLITE_CANTOPEN: "its file cannot be opened",
    sqlite3.SQLITE_READONLY: "its file is read-only",
    sqlite3.SQLITE_PERM: "its file is read-only",
    sqlite3.SQLITE_NOMEM: "there is no memory left",
    sqlite3.SQLITE_INTERRUPT: "it was interrupted",
    sqlite3.SQLITE_PROTOCOL: "another program holds its lock",
}
"""Primary result codes of failures that heal. Source: sqlite.org/rescode.html."""

_DAMAGED: Final = {
    sqlite3.SQLITE_CORRUPT: "its pages contradict each other",
    sqlite3.SQLITE_NOTADB: "it is not a SQLite database",
}

_STALE: Final = frozenset({sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM})
"""Failures that a connection may keep when their cause is gone: one that was opened on a read-only file stays so."""

_MOVED: Final = sqlite3.SQLITE_READONLY_DBMOVED


def sqlite_failure(error: BaseException, location: str) -> GreenroomError:
    """What an exception of the sqlite3 module means."""
    code: int = getattr(error, "sqlite_errorcode", 0)
    if code == _MOVED:
        return StoreLost(location)
    primary = code & 0xFF
    if primary in _PASSING:
        return StoreUnavailable(_PASSING[primary])
    if primary in _DAMAGED:
        return StoreCorrupt(location, _DAMAGED[primary])
    return InternalError(type(error).__name__)


def is_stale(error: BaseException) -> bool:
    """Whether the connections of a store in which this was raised have to be replaced to heal."""
    raised = error.orig if isinstance(error, DBAPIError) else error
    return getattr(raised, "sqlite_errorcode", 0) & 0xFF in _STALE


def _meaning(error: DBAPIError, location: str) -> GreenroomError:
    if isinstance(error.orig, sqlite3.Error):
        return sqlite_failure(error.orig, location)
    if error.connection_invalidated or isinstance(error, OperationalError | InterfaceError):
        return StoreUnavailable("the database server cannot be reached")
    return InternalError(type(error).__name__)


@contextmanager
def translated(location: str) -> Generator[None]:
    """Raise what goes wrong inside as an error of ours."""
    try:
        yield
    except DBAPIError as error:
        raise _meaning(error, location) from error
    except sqlite3.Error as error:
        # Of a prepared statement, which the driver carries out by itself.
        raise sqlite_failure(error, location) from error
    except PoolTimeout as error:
        raise StoreUnavailable("all of its connections are in use") from error
