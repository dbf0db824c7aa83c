"""A store that cannot write for a while: what is refused, who is told, and that it heals by itself."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import Generator
from contextlib import aclosing, closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Connection

from actors.domain.journal import Appended, AppendPart
from actors.errors import StoreUnavailable
from actors.storage.open import database_at, open_backend
from actors.storage.service import StoreService
from actors.storage.sql import SqlBackend
from tests.disks import small_disk
from tests.unit.storage.samples import TENANT, born, journal, new, part, record
from tests.unit.storage.slow import HeldBackend

PATIENCE_S = 10.0
"""Seconds after which something that should have happened counts as a failure."""


def large(after: int) -> AppendPart:
    return replace(part("s", after, 1), records=(replace(record(after + 1), body=b"x" * 200_000),))


# --- a full file system --------------------------------------------------------------------------------------------


def test_a_really_full_file_system_refuses_writes_answers_reads_and_heals(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk, closing(open_backend(str(disk.path))) as backend:
        born(backend, "s")
        head = 1
        while (disk.path / "greenroom.db-wal").stat().st_size < 1_000_000:
            head = _head(backend.append([large(head)])[0])
        disk.fill()

        for _ in range(3):
            with pytest.raises(StoreUnavailable) as refused:
                backend.append([large(head)])
            assert "full" in refused.value.message
            with pytest.raises(StoreUnavailable):
                backend.create(TENANT, "c", "d", [new("t")])
            with pytest.raises(StoreUnavailable):
                backend.health()
            assert [one.seq for one in backend.records(TENANT, journal("s"))] == list(range(1, head + 1))

        disk.free()
        assert backend.create(TENANT, "c", "d", [new("t")])
        for seq in range(head + 1, head + 4):
            assert backend.append([large(seq - 1)]) == [Appended(seq)]
        backend.health()
        assert len(backend.records(TENANT, journal("s"), limit=1000)) == head + 3


def test_a_log_that_grew_while_the_disk_was_full_is_checkpointed_when_there_is_room(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 8) as disk:
        with closing(open_backend(str(disk.path))) as backend:
            born(backend, "s")
            head = 1
            with pytest.raises(StoreUnavailable):
                while True:
                    # Neither the log nor the database behind it has room in the end.
                    head = _head(backend.append([large(head)])[0])
            # The log is not given back before it is written to the database, for which there is no room.
            assert not (disk.path / "filler").exists()
        with closing(open_backend(str(disk.path))) as backend:
            assert len(backend.records(TENANT, journal("s"), limit=1000)) <= head
            row = backend.row(TENANT, journal("s"))
            assert row is not None
            assert row.head_seq == head


def test_a_store_that_cannot_be_opened_on_a_full_disk_opens_once_there_is_room(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        with closing(open_backend(str(disk.path))) as backend:
            born(backend, "s")
        disk.fill()

        with pytest.raises(StoreUnavailable):
            open_backend(str(disk.path))

        disk.free()
        with closing(open_backend(str(disk.path))) as backend:
            assert backend.append([part("s", 1)]) == [Appended(3)]


def _head(got: object) -> int:
    assert isinstance(got, Appended)
    return got.head_seq


# --- a file system that becomes read-only --------------------------------------------------------------------------


def test_connections_that_were_opened_while_the_file_was_read_only_are_replaced(tmp_path: Path) -> None:
    backend = SqlBackend(database_at(str(tmp_path)))
    backend.open()
    with closing(backend):
        born(backend, "s")
        # Stands for a remount, which needs root.
        engine = backend._engine  # pyright: ignore[reportPrivateUsage]
        assert engine is not None
        with backend._write() as kept:  # pyright: ignore[reportPrivateUsage]
            _make_read_only(kept, *(engine.connect() for _ in range(3)))

        with pytest.raises(StoreUnavailable) as refused:
            backend.append([part("s", 1)])

        assert "read-only" in refused.value.message
        assert backend.append([part("s", 1)]) == [Appended(3)]


def _make_read_only(kept: Connection, *pooled: Connection) -> None:
    for connection in (kept, *pooled):
        connection.exec_driver_sql("PRAGMA query_only=1")
    for connection in pooled:
        connection.close()


# --- a lock that another program holds -----------------------------------------------------------------------------


LOCKER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.read()
"""


@contextmanager
def locked_by_another_process(path: Path) -> Generator[None]:
    command = [sys.executable, "-c", LOCKER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        yield
        process.kill()


def test_a_lock_of_another_process_passes_with_it_even_when_it_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.storage.sqlite_database._PRAGMAS", ("PRAGMA journal_mode=WAL", "PRAGMA busy_timeout=1"))
    with closing(open_backend(str(tmp_path))) as backend:
        born(backend, "s")
        with locked_by_another_process(tmp_path / "greenroom.db"):
            with pytest.raises(StoreUnavailable) as refused:
                backend.append([part("s", 1)])
            assert "lock" in refused.value.message
            assert len(backend.records(TENANT, journal("s"))) == 1

        assert backend.append([part("s", 1)]) == [Appended(3)]


async def test_what_waits_behind_a_write_that_met_a_lock_is_refused_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.storage.sqlite_database._PRAGMAS", ("PRAGMA journal_mode=WAL", "PRAGMA busy_timeout=1"))
    async with StoreService(open_backend(str(tmp_path))) as service:
        await service.create(TENANT, "c", "d", [new("s")])
        with closing(sqlite3.connect(tmp_path / "greenroom.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            many = [service.create(TENANT, f"c{n}", "d", [new(f"s{n}")]) for n in range(100)]
            async with asyncio.timeout(PATIENCE_S):
                refused = await asyncio.gather(*many, return_exceptions=True)
            assert {type(one) for one in refused} == {StoreUnavailable}
            other.execute("ROLLBACK")

        assert await service.create(TENANT, "c0", "d", [new("s0")])


async def test_one_failed_commit_refuses_all_that_is_queued_and_later_writes_are_tried_anew() -> None:
    backend = HeldBackend()
    async with StoreService(backend) as service:
        await service.create(TENANT, "c", "d", [new("s"), new("t")])
        await service.acquire(TENANT, journal("s"), 0, 1)
        await service.acquire(TENANT, journal("t"), 0, 1)
        backend.failing = True
        first = asyncio.create_task(service.append(part("s", 1)))
        await asyncio.to_thread(backend.entered.wait, PATIENCE_S)
        behind = asyncio.create_task(service.append(part("t", 1)))
        await asyncio.sleep(0)
        backend.go.set()

        for task in (first, behind):
            with pytest.raises(StoreUnavailable):
                await task
        assert backend.sizes == [1], "the second was not tried by itself"
        backend.failing = False
        assert await service.append(part("s", 1)) == Appended(3)
        assert await service.append(part("t", 1)) == Appended(3)


# --- readers -------------------------------------------------------------------------------------------------------


async def test_followers_are_told_of_a_record_that_could_not_be_written_and_waiters_wait_on() -> None:
    backend = HeldBackend()
    backend.go.set()
    async with StoreService(backend) as service, asyncio.timeout(PATIENCE_S):
        await service.create(TENANT, "c", "d", [new("s"), new("t")])
        await service.acquire(TENANT, journal("s"), 0, 1)
        async with aclosing(service.follow(TENANT, journal("s"))) as following:
            async with aclosing(service.follow(TENANT, journal("t"))) as another:
                assert [one.seq for one in await anext(following)] == [1]
                assert [one.seq for one in await anext(another)] == [1]
                waiting = asyncio.create_task(service.wait(TENANT, journal("s"), after=1, wait_s=30))
                told = asyncio.create_task(anext(following))
                untold = asyncio.create_task(anext(another))
                await asyncio.sleep(0)
                backend.failing = True
                with pytest.raises(StoreUnavailable):
                    await service.append(part("s", 1))
                with pytest.raises(StoreUnavailable):
                    await told
                backend.failing = False
                assert await service.append(part("s", 1)) == Appended(3)

                assert await waiting == 3
                assert not untold.done(), "its journal is not concerned"
                untold.cancel()
                await asyncio.wait([untold])
        async with aclosing(service.follow(TENANT, journal("s"), after=1)) as following:
            assert [one.seq for one in await anext(following)] == [2, 3]
