"""Boundary between the benchmarks and a runtime's database file: how large it is, and rows by the million."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from actors import SessionManager

CHUNK = 20_000
"""Rows of one transaction: half a second, in which the runtime's own writes wait."""

_KEYS = {"journal_id": "'F' || printf('%025d', n)", "session_id": "'filler-' || n", "session_key": "'filler-' || n"}
"""Columns of a copied row that have to differ; everything else is as it was."""


@contextmanager
def database(manager: SessionManager) -> Generator[sqlite3.Connection]:
    """The database of a runtime that ``rounds.runtime`` started, beside its owner."""
    path = Path(manager.settings.workspace or "") / manager.settings.runtime / "greenroom.db"
    with closing(sqlite3.connect(path, timeout=30.0, isolation_level=None)) as connection:
        yield connection


def number(connection: sqlite3.Connection, query: str, *values: Any) -> int:
    """The one number that a query gives; 0 for none."""
    return int(connection.execute(query, values).fetchone()[0] or 0)


def size(connection: sqlite3.Connection) -> int:
    """Bytes of the database, without those of pages that are free."""
    used = number(connection, "PRAGMA page_count") - number(connection, "PRAGMA freelist_count")
    return used * number(connection, "PRAGMA page_size")


def empty(connection: sqlite3.Connection) -> None:
    """Take away what ``fill`` put there, so that a round can be repeated."""
    for table in ("records", "sessions"):
        connection.execute(f"DELETE FROM {table} WHERE journal_id GLOB 'F[0-9]*' AND length(journal_id) = 26")


def fill(connection: sqlite3.Connection, journal_id: str, rows: int) -> None:
    """Copy a session, with its records, so often: a store that has been in use for years, within a minute."""
    for first in range(0, rows, CHUNK):
        last = min(first + CHUNK, rows)
        connection.execute("BEGIN IMMEDIATE")
        for table in ("sessions", "records"):
            columns = [column[1] for column in connection.execute(f"PRAGMA table_info({table})")]
            values = [_KEYS[column] if column in _KEYS else column for column in columns]
            numbers = f"WITH RECURSIVE r(n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM r WHERE n + 1 < {last})"
            copied = f"SELECT {', '.join(values)} FROM {table}, r WHERE journal_id = ?"
            connection.execute(f"INSERT INTO {table} ({', '.join(columns)}) {numbers} {copied}", (journal_id,))
        connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
