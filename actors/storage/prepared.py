"""The boundary between statements and the database's driver, for the few that every append runs.

A statement is written with SQLAlchemy, compiled once for each database, and then given to the driver as text: building
the same statement again, and its parameters through as many layers, would cost more than SQLite takes to carry it out.
Transactions, connections and the meaning of errors stay with ``sql`` and ``failures``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import ClauseElement, Connection, Dialect

Values = Mapping[str, Any]
"""Parameters by name."""


class Prepared:
    """One statement. Its parameters and columns are what drivers take as they are: text, integers, bytes, None.

    Args:
        build: Makes the statement for a database by its name: upserts differ.
    """

    def __init__(self, build: Callable[[str], ClauseElement]) -> None:
        self._build = build
        self._texts: dict[str, str] = {}

    def _text(self, dialect: Dialect) -> str:
        found = self._texts.get(dialect.name)
        if found is None:
            found = self._texts[dialect.name] = str(self._build(dialect.name).compile(dialect=dialect))
        return found

    def rows(self, connection: Connection, values: Values) -> list[tuple[Any, ...]]:
        """What a query finds."""
        cursor = connection.connection.cursor()
        try:
            cursor.execute(self._text(connection.dialect), values)
            return list(cursor.fetchall())
        finally:
            cursor.close()

    def run(self, connection: Connection, rows: Sequence[Values]) -> None:
        """Carry it out once for each of the rows."""
        if not rows:
            return
        cursor = connection.connection.cursor()
        try:
            cursor.executemany(self._text(connection.dialect), rows)
        finally:
            cursor.close()
