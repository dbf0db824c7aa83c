"""The boundary between statements and the database's driver, for the few that run all day.

A statement is written with SQLAlchemy, compiled once for each database, and then given to the driver as text: building
the same statement again, and its parameters through as many layers, would cost more than SQLite takes to carry it out.
Transactions, connections and the meaning of errors stay with ``sql`` and ``failures``.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from typing import Any, cast

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
        self._compiled: dict[str, tuple[str, Values]] = {}

    @classmethod
    def always(cls, statement: ClauseElement) -> Prepared:
        """One that is the same for every database."""
        return cls(lambda _: statement)

    def _text(self, dialect: Dialect) -> tuple[str, Values]:
        """The statement, and the parameters that SQLAlchemy made of its literals."""
        found = self._compiled.get(dialect.name)
        if found is None:
            compiled = self._build(dialect.name).compile(dialect=dialect)
            literals = {name: value for name, value in (compiled.params or {}).items() if value is not None}
            found = self._compiled[dialect.name] = (str(compiled), literals)
        return found

    def rows(self, connection: Connection, values: Values) -> list[tuple[Any, ...]]:
        """What a query finds."""
        text, literals = self._text(connection.dialect)
        cursor = connection.connection.cursor()
        try:
            cursor.execute(text, {**literals, **values})
            return list(cursor.fetchall())
        finally:
            cursor.close()

    def answers(self, connection: Connection, asked: Sequence[Values]) -> list[list[tuple[Any, ...]]]:
        """What a query finds for each of the parameters, asked all at once where there is a server to ask."""
        if connection.dialect.name != "postgresql" or not asked:
            return [self.rows(connection, values) for values in asked]
        text, literals = self._text(connection.dialect)
        with closing(cast("Any", connection.connection.cursor())) as cursor:
            cursor.executemany(text, [{**literals, **values} for values in asked], returning=True)
            found = [list(cursor.fetchall())]
            while cursor.nextset():
                found.append(list(cursor.fetchall()))
        return found

    def each(self, connection: Connection, values: Values) -> Generator[tuple[Any, ...]]:
        """What a query finds, row by row: whoever has enough can stop."""
        text, literals = self._text(connection.dialect)
        cursor = connection.connection.cursor()
        try:
            cursor.execute(text, {**literals, **values})
            while (row := cursor.fetchone()) is not None:
                yield tuple(row)
        finally:
            cursor.close()

    def run(self, connection: Connection, rows: Sequence[Values]) -> None:
        """Carry it out once for each of the rows."""
        if not rows:
            return
        text, literals = self._text(connection.dialect)
        cursor = connection.connection.cursor()
        try:
            cursor.executemany(text, [{**literals, **row} for row in rows] if literals else rows)
        finally:
            cursor.close()
