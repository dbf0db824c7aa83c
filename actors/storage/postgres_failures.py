"""What exceptions of the PostgreSQL driver mean. Loaded only where a PostgreSQL store is used."""

from __future__ import annotations

import re
from typing import Final

import psycopg

from actors.errors import (
    GreenroomError,
    InternalError,
    InvalidConfig,
    InvalidRequest,
    StoreCorrupt,
    StoreNotWritable,
    StoreUnavailable,
)
from actors.storage.failures import TOO_LARGE, Failures

UNREACHABLE: Final = "the database server cannot be reached"

_PASSING: Final = {
    "25006": "the database server takes no writes at present",
    "25P03": "a transaction took too long",
    "40001": "another program changed its tables at the same time",
    "40P01": "another program holds its locks",
    "53100": "the disk of the database server is full",
    "53200": "the database server has no memory left",
    "53300": "the database server has no connection left",
    "53400": "a limit of the database server is reached",
    "55P03": "another program holds its locks",
    "57014": "the database server did not answer in time",
}
"""States of failures that heal. Source: postgresql.org/docs/current/errcodes-appendix.html."""

_PASSING_CLASSES: Final = {
    "08": "the connection to the database server was lost",
    "57": "the database server is stopping or starting",
    "58": "reading or writing the disk of the database server failed",
}
"""The first two characters of states that have no entry above."""

_FOREIGN: Final = frozenset({"42P01", "42703", "42804"})
"""A table or column is missing, or is of another type."""

_REFUSALS: Final = (
    ("password authentication failed", "the database server refuses the user or the password"),
    ("no password supplied", "the database server asks for a password"),
    ("pg_hba.conf", "the database server does not admit this user from here"),
    ("permission denied for database", "the user may not connect to this database"),
    (r'role ".*" does not exist', "the database server does not know the user"),
    (r'database ".*" does not exist', "the database server has no such database; create it first"),
)
"""What the server says when it refuses a connection. The driver gives no state for that, only the server's text; one in
another language is read as a server that cannot be reached."""


def postgres_failure(error: BaseException, location: str) -> GreenroomError:
    """What an exception of the driver means."""
    state: str = getattr(error, "sqlstate", None) or ""
    if state in _PASSING:
        return StoreUnavailable(_PASSING[state])
    if state[:2] in _PASSING_CLASSES:
        return StoreUnavailable(_PASSING_CLASSES[state[:2]])
    if state in _FOREIGN:
        return StoreCorrupt(location, "its tables are not those of a store")
    if state.startswith("XX"):
        return StoreCorrupt(location, "the database server finds its pages damaged")
    if state == "22003":
        return InvalidRequest(TOO_LARGE)
    if state == "42501":
        return StoreNotWritable(location, "the user may not make or change its tables")
    if not state:
        return _without_state(error)
    return InternalError(f"{type(error).__name__} ({state})")


def _without_state(error: BaseException) -> GreenroomError:
    """The driver's own: it has no connection, or does not take what it was given."""
    match error:
        case psycopg.OperationalError():
            return StoreUnavailable(refusal(error) or UNREACHABLE)
        case psycopg.DataError():
            return InvalidRequest("A text has the character U+0000, which PostgreSQL cannot keep.")
        case psycopg.ProgrammingError():
            return InvalidConfig("The store's URL has an option that PostgreSQL does not know.")
        case _:
            return InternalError(type(error).__name__)


def refusal(error: BaseException) -> str | None:
    """Why the server refuses connections like this one; None when that is not what happened."""
    reason = str(error).partition("FATAL")[2]
    return next((meaning for words, meaning in _REFUSALS if re.search(words, reason)), None)


def _is_stale(error: BaseException) -> bool:
    """The connection is gone, or leads to a server that has become a copy of another."""
    state: str | None = getattr(error, "sqlstate", None)
    if state is None:
        return isinstance(error, psycopg.OperationalError)
    return state == "25006" or state[:2] in _PASSING_CLASSES and state != "57014"


POSTGRES: Final = Failures(psycopg.Error, postgres_failure, _is_stale)
