"""The one place where a database's exceptions become ours; no text of the database's own gets through.

What PostgreSQL raises is in ``postgres_failures``, so that its driver is loaded only where it is used.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final, NamedTuple

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from actors.errors import GreenroomError, InternalError, InvalidRequest, StoreCorrupt, StoreLost, StoreUnavailable

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

TOO_LARGE: Final = "A number has more than 64 bits, which the store cannot keep."

_STALE: Final = frozenset({sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM})
"""Failures that a connection may keep when their cause is gone: one that was opened on a read-only file stays so."""

_MOVED: Final = sqlite3.SQLITE_READONLY_DBMOVED


class Failures(NamedTuple):
    """How one driver says what went wrong.

    Attributes:
        raised: The base of its exceptions.
        meaning: What one of them means for the store at a location.
        is_stale: Whether the store's connections have to be replaced to heal.
    """

    raised: type[Exception]
    meaning: Callable[[BaseException, str], GreenroomError]
    is_stale: Callable[[BaseException], bool]


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


def _is_stale(error: BaseException) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _STALE


SQLITE: Final = Failures(sqlite3.Error, sqlite_failure, _is_stale)


def raised_by_driver(error: BaseException) -> BaseException:
    """The driver's own exception, also when SQLAlchemy has wrapped it."""
    return error.orig if isinstance(error, DBAPIError) and error.orig is not None else error


@contextmanager
def translated(location: str, driver: Failures) -> Generator[None]:
    """Raise what goes wrong inside as an error of ours."""
    try:
        yield
    except (DBAPIError, driver.raised) as error:
        # Of a prepared statement, which the driver carries out by itself, it is not wrapped.
        own = raised_by_driver(error)
        meant = driver.meaning(own, location) if isinstance(own, driver.raised) else InternalError(type(own).__name__)
        raise meant from error
    except OverflowError as error:
        # The driver of SQLite, of a parameter.
        raise InvalidRequest(TOO_LARGE) from error
    except PoolTimeout as error:
        raise StoreUnavailable("all of its connections are in use") from error
