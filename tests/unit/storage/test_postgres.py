"""What is PostgreSQL's own: who may write, a server that goes and comes, connections that are cut, places to refuse."""

from __future__ import annotations

import logging
import subprocess
import sys
import traceback
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from sqlalchemy import Connection, Engine

from actors.domain.journal import Appended
from actors.errors import (
    GreenroomError,
    InvalidConfig,
    InvalidRequest,
    SnapshotTooNew,
    StoreCorrupt,
    StoreInUse,
    StoreLost,
    StoreNotWritable,
    StoreUnavailable,
)
from actors.storage import postgres as product
from actors.storage import sql_append, sql_journal
from actors.storage.open import database_at, location_of, open_backend
from actors.storage.rules import PAGE_BYTES
from actors.storage.service import StoreService
from actors.storage.sql import SqlBackend
from tests.postgres import PASSWORD, PostgresServer, started_server
from tests.unit.storage.samples import TENANT, born, journal, new, part, record


@pytest.fixture
def schema(postgres: PostgresServer) -> str:
    return postgres.fresh()


@pytest.fixture
def url(postgres: PostgresServer, schema: str) -> str:
    return postgres.url(schema)


@pytest.fixture
def backend(url: str) -> Iterator[SqlBackend]:
    opened = SqlBackend(database_at(url))
    opened.open()
    yield opened
    opened.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for a lock for much longer than a server takes to see that its owner has gone."""
    monkeypatch.setattr(product, "LOCK_WAIT_S", 1)
    monkeypatch.setattr(product, "_MANNERS", {**product._MANNERS, "lock_timeout": "100ms"})  # pyright: ignore[reportPrivateUsage]


def cut(server: PostgresServer, backend: SqlBackend) -> None:
    """End the connection that writes, on the server's side, and wait until it is gone."""
    with server.connect() as connection:
        ended = connection.execute("SELECT pg_terminate_backend(%s, 5000)", (writing_process(backend),)).fetchone()
        assert ended == (True,)


def writing_process(backend: SqlBackend) -> int:
    with writing(backend).connect() as connection:
        driver: Any = connection.connection.dbapi_connection
        return driver.info.backend_pid


def writing(backend: SqlBackend) -> Engine:
    engine = backend._writing  # pyright: ignore[reportPrivateUsage] - stands for a network that loses it
    assert engine is not None
    return engine


def owner(backend: SqlBackend) -> str:
    return backend._database._owner  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue, reportUnknownVariableType, reportUnknownMemberType]


@contextmanager
def locked(server: PostgresServer, schema: str, application: str = "other") -> Generator[psycopg.Connection[Any]]:
    """Somebody else owns the store of a schema."""
    with psycopg.connect(server.url(schema, application_name=application), autocommit=True) as connection:
        connection.execute(product._LOCK)  # pyright: ignore[reportPrivateUsage]
        yield connection


# --- who may write -------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("impatient")
def test_a_second_owner_is_refused_until_the_first_has_closed(url: str, backend: SqlBackend) -> None:
    with pytest.raises(StoreInUse) as refused:
        open_backend(url)
    assert "connect()" in refused.value.message

    backend.close()
    open_backend(url).close()


def test_stores_in_two_schemas_of_one_database_do_not_know_of_each_other(
    backend: SqlBackend, postgres: PostgresServer
) -> None:
    with closing(open_backend(postgres.url(postgres.fresh()))) as other:
        born(backend, "s")
        born(other, "s")

        assert other.identity.store_id != backend.identity.store_id


def test_a_killed_owner_leaves_the_store_at_once_and_all_that_it_had_acknowledged(url: str) -> None:
    command = [sys.executable, "-m", "tests.unit.storage.appender", url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = [process.stdout.readline().split() for _ in range(20)]
        process.kill()
    acknowledged = int(said[-1][1])

    with closing(open_backend(url)) as backend:
        row = backend.row(TENANT, journal("s"))
        assert row is not None
        assert row.head_seq >= acknowledged
        assert len(backend.records(TENANT, journal("s"))) == row.head_seq


@pytest.mark.usefixtures("impatient")
def test_an_owner_that_lost_its_lock_to_another_writes_nothing_until_that_one_is_gone(
    backend: SqlBackend, postgres: PostgresServer, schema: str
) -> None:
    born(backend, "s")
    cut(postgres, backend)
    with locked(postgres, schema):
        with pytest.raises(StoreUnavailable) as refused:
            backend.append([part("s", 1)])
        assert "taken" in refused.value.message
        assert len(backend.records(TENANT, journal("s"))) == 1

    assert backend.append([part("s", 1)]) == [Appended(3)]


@pytest.mark.usefixtures("impatient")
def test_an_owner_ends_what_the_server_still_takes_for_its_own_connection(
    backend: SqlBackend, postgres: PostgresServer, schema: str
) -> None:
    born(backend, "s")
    cut(postgres, backend)
    with locked(postgres, schema, owner(backend)) as former:
        assert backend.append([part("s", 1)]) == [Appended(3)]

        with pytest.raises(psycopg.OperationalError):
            former.execute("SELECT 1")


# --- a server that goes and comes ----------------------------------------------------------------------------------


@pytest.fixture
def mortal() -> Iterator[PostgresServer]:
    """A server for one test, which may do with it what it likes."""
    yield from started_server()


async def test_a_server_that_is_killed_refuses_everything_and_heals_without_a_new_start_of_the_store(
    mortal: PostgresServer,
) -> None:
    async with StoreService(open_backend(mortal.url())) as service:
        await service.create(TENANT, "c", "d", [new("s")])
        await service.acquire(TENANT, journal("s"), 0, 1)
        assert await service.append(part("s", 1)) == Appended(3)

        mortal.kill()
        for _ in range(2):
            with pytest.raises(StoreUnavailable):
                await service.append(part("s", 3))
            with pytest.raises(StoreUnavailable):
                await service.records(TENANT, journal("s"))
            with pytest.raises(StoreUnavailable):
                await service.health()

        mortal.start_again()
        await service.health()
        assert await service.append(part("s", 3)) == Appended(5)
        assert [one.seq for one in await service.records(TENANT, journal("s"))] == [1, 2, 3, 4, 5]


def test_reads_do_not_notice_that_the_server_has_closed_connections_that_nobody_used(
    backend: SqlBackend, postgres: PostgresServer
) -> None:
    born(backend, "s")
    backend.records(TENANT, journal("s"))
    with postgres.connect() as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name LIKE 'greenroom%'"
        )

    assert len(backend.records(TENANT, journal("s"))) == 1
    assert backend.append([part("s", 1)]) == [Appended(3)]


def test_a_connection_lost_in_the_middle_of_a_commit_leaves_nothing_of_it(
    backend: SqlBackend, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    born(backend, "s")
    append = sql_append.append

    def lose(connection: Connection, parts: Any) -> Any:
        answers = append(connection, parts)
        driver: Any = connection.connection.dbapi_connection
        with postgres.connect() as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", (driver.info.backend_pid,))
        return answers

    with monkeypatch.context() as patch:
        patch.setattr(sql_append, "append", lose)
        with pytest.raises(StoreUnavailable):
            backend.append([part("s", 1)])

    assert len(backend.records(TENANT, journal("s"))) == 1
    assert backend.append([part("s", 1)]) == [Appended(3)]


def test_a_commit_whose_answer_was_lost_is_found_by_its_repetition(
    backend: SqlBackend, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    born(backend, "s")
    dialect: Any = writing(backend).dialect

    def commit(connection: Any) -> None:
        connection.commit()
        connection.dbapi_connection.close()
        raise psycopg.OperationalError("the connection is lost")

    with monkeypatch.context() as patch:
        patch.setattr(dialect, "do_commit", commit)
        with pytest.raises(StoreUnavailable):
            backend.append([part("s", 1)])

    assert backend.append([part("s", 1)]) == [Appended(3, replayed=True)]
    assert len(backend.records(TENANT, journal("s"))) == 3


@pytest.mark.usefixtures("impatient")
def test_another_programs_lock_is_not_waited_for_forever(url: str, postgres: PostgresServer, schema: str) -> None:
    with closing(open_backend(url)) as backend:
        born(backend, "s")
        with postgres.connect(schema) as other:
            other.execute("BEGIN")
            other.execute("LOCK TABLE records IN ACCESS EXCLUSIVE MODE")
            with pytest.raises(StoreUnavailable) as refused:
                backend.append([part("s", 1)])
            assert "lock" in refused.value.message
            with pytest.raises(StoreUnavailable):
                backend.records(TENANT, journal("s"))
            other.execute("ROLLBACK")

        assert backend.append([part("s", 1)]) == [Appended(3)]


def test_a_statement_that_takes_too_long_is_given_up(backend: SqlBackend) -> None:
    with pytest.raises(StoreUnavailable) as refused, backend._read() as connection:  # pyright: ignore[reportPrivateUsage]
        connection.exec_driver_sql("SET statement_timeout = '20ms'")
        connection.exec_driver_sql("SELECT pg_sleep(10)")

    assert "in time" in refused.value.message


def test_connections_to_a_server_that_became_a_copy_of_another_are_replaced(backend: SqlBackend) -> None:
    born(backend, "s")
    with writing(backend).connect() as connection:
        connection.exec_driver_sql("SET default_transaction_read_only = on")

    with pytest.raises(StoreUnavailable) as refused:
        backend.append([part("s", 1)])

    assert "no writes" in refused.value.message
    assert backend.append([part("s", 1)]) == [Appended(3)]


@pytest.mark.parametrize("mischief", ["DROP TABLE meta", "UPDATE meta SET store_id = 'another'"])
def test_a_server_that_comes_back_with_another_database_has_lost_the_store(
    backend: SqlBackend, postgres: PostgresServer, schema: str, mischief: str
) -> None:
    born(backend, "s")
    with postgres.connect(schema) as connection:
        connection.execute(mischief.encode())
    cut(postgres, backend)

    for _ in range(2):
        with pytest.raises(StoreLost):
            backend.append([part("s", 1)])


# --- what it is told -----------------------------------------------------------------------------------------------


def test_what_is_acknowledged_is_durable_even_where_the_server_would_not_wait(postgres: PostgresServer) -> None:
    lax = postgres.url(options="-csynchronous_commit=off -csearch_path=" + postgres.fresh())
    backend = SqlBackend(database_at(lax))
    backend.open()
    with closing(backend), writing(backend).connect() as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar_one() == "on"


def test_a_page_of_large_records_is_ended_by_the_server(backend: SqlBackend) -> None:
    born(backend, "s")
    large = tuple(replace(record(seq), body=bytes(200_000)) for seq in range(2, 52))
    assert backend.append([replace(part("s", 1, 50), records=large)]) == [Appended(51)]
    asked = {"of_tenant": TENANT, "of_journal": journal("s"), "after": 0, "most": 1000}

    with backend._read() as connection:  # pyright: ignore[reportPrivateUsage]
        sent = sql_journal._RECORDS.rows(connection, asked)  # pyright: ignore[reportPrivateUsage]

    assert PAGE_BYTES <= sum(len(body) for *_, body, _, _ in sent) < PAGE_BYTES + 200_001
    assert len(backend.records(TENANT, journal("s"))) == len(sent)


def test_a_character_that_it_cannot_keep_is_refused_and_not_its_server(backend: SqlBackend) -> None:
    with pytest.raises(InvalidRequest):
        backend.find(TENANT, "a\0b")
    backend.health()


# --- places where no store can be ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "kind", "words"),
    [
        ({"password": "wrong"}, StoreNotWritable, "password"),
        ({"user": "nobody", "password": "x"}, StoreNotWritable, "password"),
        ({"schema": "not_there"}, StoreNotWritable, "search_path"),
        ({"unheard_of": "1"}, InvalidConfig, "option"),
        ({"port": 1}, StoreUnavailable, "cannot be reached"),
    ],
)
def test_a_place_where_no_store_can_be_says_why(
    postgres: PostgresServer, given: dict[str, Any], kind: type[GreenroomError], words: str
) -> None:
    with pytest.raises(kind) as refused:
        open_backend(postgres.url(**given))

    assert words in refused.value.message


def test_another_driver_is_refused_with_the_one_that_is_used(postgres: PostgresServer) -> None:
    with pytest.raises(InvalidConfig) as refused:
        open_backend(postgres.url().replace("postgresql://", "postgresql+asyncpg://"))

    assert "psycopg" in refused.value.message


def test_a_missing_database_is_to_be_made_by_whoever_owns_the_server(postgres: PostgresServer) -> None:
    with pytest.raises(StoreNotWritable) as refused:
        open_backend(postgres.url().replace("/postgres?", "/nowhere?"))

    assert "create it" in refused.value.message


def test_a_user_without_rights_in_the_schema_is_refused(postgres: PostgresServer, schema: str) -> None:
    with postgres.connect() as connection:
        connection.execute("CREATE ROLE guest LOGIN PASSWORD 'guest'")
        connection.execute(f"GRANT USAGE ON SCHEMA {schema} TO guest".encode())

    with pytest.raises(StoreNotWritable) as refused:
        open_backend(postgres.url(schema, user="guest", password="guest"))

    assert "tables" in refused.value.message


def test_tables_of_another_program_are_left_alone(postgres: PostgresServer, schema: str) -> None:
    with postgres.connect(schema) as connection:
        connection.execute("CREATE TABLE sessions (id integer)")

        with pytest.raises(StoreCorrupt):
            open_backend(postgres.url(schema))
        assert connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = %s", (schema,)).fetchone() == (1,)
        connection.execute("CREATE TABLE meta (id integer)")
        with pytest.raises(StoreCorrupt):
            open_backend(postgres.url(schema))


def test_a_store_of_a_newer_release_is_left_alone(postgres: PostgresServer, schema: str, url: str) -> None:
    open_backend(url).close()
    with postgres.connect(schema) as connection:
        connection.execute("UPDATE meta SET schema_version = 99")

    with pytest.raises(SnapshotTooNew):
        open_backend(url)


# --- credentials ---------------------------------------------------------------------------------------------------


def _everything_said_of(url: str) -> Iterator[str]:
    """What a store, and its errors with all that led to them, say of themselves."""
    try:
        backend = open_backend(url)
    except GreenroomError as error:
        yield from (error.message, repr(error), str(error.args), "".join(traceback.format_exception(error)))
        return
    with closing(backend):
        assert isinstance(backend, SqlBackend)
        yield from (repr(backend), str(backend.identity), str(backend.stats()), repr(writing(backend)))
        with pytest.raises(StoreUnavailable) as failed, backend._read() as connection:  # pyright: ignore[reportPrivateUsage]
            connection.exec_driver_sql("SELECT pg_terminate_backend(pg_backend_pid())")
        yield "".join(traceback.format_exception(failed.value))


@pytest.mark.usefixtures("impatient")
def test_no_log_error_or_figure_tells_the_password_of_the_url(
    postgres: PostgresServer, schema: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    good = postgres.url(schema)
    said = [location_of(good)]
    with locked(postgres, schema):
        said += _everything_said_of(good)
    for url in (good, good.replace("app:", "nobody:"), good.replace(f":{postgres.port}", ":1"), f"{good}&unheard_of=1"):
        said += _everything_said_of(url)
    said += _everything_said_of(good.replace(f":{postgres.port}", ":port"))
    said += _everything_said_of(good.replace("postgresql://", "postgresql+asyncpg://"))

    text = "\n".join((*said, caplog.text))
    assert str(postgres.port) in text
    assert PASSWORD not in text
    assert quote(PASSWORD, safe="") not in text
