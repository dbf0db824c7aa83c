"""The schema is a promise to databases that exist: golden files hold it, a change needs a version and a migration."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Table, create_engine, inspect, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from actors.errors import InternalError, SnapshotTooNew
from actors.storage.migrations import establish, upgrade
from actors.storage.rules import SCHEMA_VERSION, SECRET_BYTES
from actors.storage.schema import META, METADATA

GOLDEN = Path(__file__).parent / "golden"
DIALECTS: dict[str, Any] = {"sqlite": sqlite.dialect(), "postgresql": postgresql.dialect()}


def ddl(dialect: Any) -> str:
    """The statements that make the schema."""
    statements: list[str] = []
    for table in METADATA.sorted_tables:
        statements.append(str(CreateTable(table).compile(dialect=dialect)).strip())
        indexes = sorted(table.indexes, key=lambda index: str(index.name))
        statements += [str(CreateIndex(index).compile(dialect=dialect)).strip() for index in indexes]
    return "".join(f"{statement};\n\n" for statement in statements)


@pytest.mark.parametrize("name", DIALECTS)
def test_the_schema_of_this_version_is_the_one_that_was_released(name: str) -> None:
    golden = GOLDEN / f"schema-{SCHEMA_VERSION}.{name}.sql"
    if "GREENROOM_TEST_UPDATE_GOLDEN" in os.environ:
        golden.write_text(ddl(DIALECTS[name]), encoding="utf-8")

    assert golden.read_text(encoding="utf-8") == ddl(DIALECTS[name])


@pytest.mark.parametrize("table", METADATA.sorted_tables, ids=lambda table: table.name)
def test_every_table_but_the_stores_own_is_keyed_by_tenant_first(table: Table) -> None:
    if table is not META:
        assert next(iter(table.primary_key.columns)).name == "tenant"


def memory_connection() -> Connection:
    return create_engine("sqlite://").connect()


def test_an_empty_database_gets_the_whole_schema_and_keeps_its_identity() -> None:
    with memory_connection() as connection:
        identity = establish(connection)

        assert establish(connection) == identity
        assert len(bytes.fromhex(identity[1])) == SECRET_BYTES
        assert set(inspect(connection).get_table_names()) == set(METADATA.tables)
        assert connection.execute(select(META.c.schema_version)).scalar_one() == SCHEMA_VERSION


def test_an_older_database_takes_every_step_in_order() -> None:
    with memory_connection() as connection:
        establish(connection)
        taken: list[int] = []

        def step(version: int) -> Any:
            def migrate(connection: Connection) -> None:
                connection.execute(text(f"CREATE TABLE step_{version} (x INTEGER)"))
                taken.append(version)

            return migrate

        upgrade(connection, 1, 3, {2: step(2), 3: step(3)})

        assert taken == [2, 3]
        assert {"step_2", "step_3"} <= set(inspect(connection).get_table_names())
        assert connection.execute(select(META.c.schema_version)).scalar_one() == 3


def test_a_database_of_version_1_becomes_what_a_new_one_is() -> None:
    with memory_connection() as connection, memory_connection() as fresh:
        for statement in (GOLDEN / "schema-1.sqlite.sql").read_text(encoding="utf-8").split(";"):
            connection.execute(text(statement))
        connection.execute(text("INSERT INTO meta VALUES (1, 'store', 1, 5, 0)"))
        establish(fresh)

        store_id, secret = establish(connection)
        assert (store_id, len(bytes.fromhex(secret))) == ("store", SECRET_BYTES)

        assert connection.execute(select(META.c.schema_version, META.c.term)).one() == (SCHEMA_VERSION, 5)
        for table in METADATA.tables:
            assert shape(connection, table) == shape(fresh, table)


def shape(connection: Connection, table: str) -> Any:
    """Columns and indexes of a table; the order of columns is a matter of age."""
    found = inspect(connection)
    columns = {column["name"]: (str(column["type"]), column["nullable"]) for column in found.get_columns(table)}
    indexes = {index["name"]: (index["column_names"], index["unique"]) for index in found.get_indexes(table)}
    return columns, found.get_pk_constraint(table)["constrained_columns"], indexes


def test_a_newer_database_and_a_missing_step_are_refused() -> None:
    with memory_connection() as connection:
        establish(connection)

        with pytest.raises(SnapshotTooNew):
            upgrade(connection, SCHEMA_VERSION + 1)
        with pytest.raises(InternalError):
            upgrade(connection, 1, 2, {})
