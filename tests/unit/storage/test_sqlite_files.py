"""The database on disk: who may open it, what survives a kill, and what broken files and full disks lead to."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO

import pytest

from actors.domain.journal import Appended, Filter
from actors.domain.mcp import KnownServer
from actors.errors import (
    InvalidConfig,
    SnapshotTooNew,
    StoreCorrupt,
    StoreInUse,
    StoreLost,
    StoreNotWritable,
    StoreUnavailable,
)
from actors.storage.backend import Backend
from actors.storage.memory import MemoryBackend
from actors.storage.open import database_at, open_backend
from actors.storage.sql import SqlBackend
from actors.storage.sqlite import sqlite_url
from tests.disks import files_no_larger_than
from tests.unit.storage.samples import TENANT, action, at, born, journal, part, record

ROOT = Path(__file__).resolve().parents[3]


@contextmanager
def opened(directory: Path) -> Generator[Backend]:
    backend = open_backend(str(directory))
    try:
        yield backend
    finally:
        backend.close()


def filled(directory: Path) -> str:
    """A closed store with one session of three records; its id."""
    with opened(directory) as backend:
        born(backend, "s")
        backend.append([part("s", 1)])
        return backend.identity.store_id


@contextmanager
def appender(directory: Path) -> Generator[tuple[subprocess.Popen[str], IO[str]]]:
    command = [sys.executable, "-m", "tests.unit.storage.appender", str(directory)]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    try:
        with process.stdout as lines:
            yield process, lines
    finally:
        process.kill()
        process.wait(30)


# --- opening -------------------------------------------------------------------------------------------------------


def test_a_store_keeps_its_identity_and_its_sessions_over_restarts(tmp_path: Path) -> None:
    store_id = filled(tmp_path / "a" / "store")

    with opened(tmp_path / "a" / "store") as backend:
        assert backend.identity.store_id == store_id
        assert backend.open() == backend.identity
        assert len(backend.records(TENANT, journal("s"))) == 3
        assert backend.next_term() == 1
    with opened(tmp_path / "a" / "store") as backend:
        assert backend.next_term() == 2


def test_nobody_else_may_read_the_files(tmp_path: Path) -> None:
    with opened(tmp_path / "store") as backend:
        born(backend, "s")
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "store").iterdir()}

    assert stat.S_IMODE((tmp_path / "store").stat().st_mode) == 0o700
    assert set(modes.values()) == {0o600}
    assert {"greenroom.db", "greenroom.db-wal", "greenroom.lock", "greenroom.store_id"} <= set(modes)


def test_a_store_has_one_owner_until_it_is_closed(tmp_path: Path) -> None:
    with opened(tmp_path) as backend:
        with pytest.raises(StoreInUse) as caught:
            open_backend(str(tmp_path))
        assert "connect" in str(caught.value)
        backend.close()
        backend.close()
        filled(tmp_path)


def test_a_closed_store_answers_nothing(tmp_path: Path) -> None:
    backend = SqlBackend(database_at(str(tmp_path)))
    with pytest.raises(StoreUnavailable):
        backend.row(TENANT, "J")
    backend.open()
    backend.close()
    with pytest.raises(StoreUnavailable):
        backend.append([part("s", 1)])


@pytest.mark.parametrize("opening", [lambda path: str(path), sqlite_url, lambda path: f"sqlite:///{path}/greenroom.db"])
def test_a_directory_and_its_url_name_the_same_store(tmp_path: Path, opening: Callable[[Path], str]) -> None:
    store_id = filled(tmp_path)

    backend = open_backend(opening(tmp_path))

    assert backend.identity.store_id == store_id
    backend.close()


def test_a_memory_store_is_lost_with_its_owner() -> None:
    backend = open_backend("memory:")
    born(backend, "s")

    backend.close()

    assert isinstance(backend, MemoryBackend)
    for use in (backend.open, backend.health, lambda: backend.row(TENANT, journal("s"))):
        with pytest.raises(StoreLost):
            use()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "postgresql://:port/x",
        "mysql://x",
        "redis://x",
        "sqlite://",
        "sqlite:///:memory:",
        "://",
        "a b://c",
    ],
)
def test_a_url_of_another_kind_is_refused_with_what_is_supported(url: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        open_backend(url)

    assert "sqlite:///" in str(caught.value)


# --- broken, lost, foreign -----------------------------------------------------------------------------------------


def spoil_header(path: Path) -> None:
    path.write_bytes(b"not a database at all, but long enough to be one" * 100)


def spoil_pages(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[100:4096] = b"\xff" * 3996
    path.write_bytes(content)


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:8192])


def replace_by_foreign(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE notes (x)")
        connection.commit()


def rename_store(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE meta SET store_id = 'another'")
        connection.commit()


@pytest.mark.parametrize("spoil", [spoil_header, spoil_pages, cut_short, replace_by_foreign, rename_store])
def test_a_damaged_or_foreign_database_is_refused_and_left_as_it_is(
    tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    filled(tmp_path)
    path = tmp_path / "greenroom.db"
    spoil(path)
    before = path.read_bytes()

    for _ in range(2):
        with pytest.raises(StoreCorrupt):
            open_backend(str(tmp_path))

    assert path.read_bytes() == before


def test_a_database_that_breaks_while_it_is_open_is_reported_as_corrupt(tmp_path: Path) -> None:
    filled(tmp_path)
    with opened(tmp_path) as backend, closing(sqlite3.connect(tmp_path / "greenroom.db")) as other:
        other.execute("UPDATE sessions SET state = 'unheard of'")
        other.commit()

        with pytest.raises(StoreCorrupt):
            backend.row(TENANT, journal("s"))


def test_a_row_that_cannot_be_read_is_left_out_of_what_is_about_many(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spoilt = "UPDATE sessions SET budget = '{\"tokens\": \"many\"}' WHERE session_id = 'b'"
    unread = "UPDATE actions SET body = '{}' WHERE journal_id = 'J-b'"
    with opened(tmp_path) as backend, closing(sqlite3.connect(tmp_path / "greenroom.db")) as other:
        born(backend, "a", "b", "c")
        backend.append(
            [part(one, 1, row={"activity": "running"}, actions=(action(f"of-{one}", 1),)) for one in ("a", "b", "c")]
        )
        other.execute(spoilt)
        other.execute(unread)
        other.commit()

        for _ in range(2):
            assert sorted(row.session_id for row in backend.due(at(2))) == ["a", "b", "c"], "it may work all the same"
        assert sorted(row.session_id for row in backend.rows(TENANT, Filter())[0]) == ["a", "c"]
        assert [one.action_id for one in backend.actions(TENANT)[0]] == ["of-a", "of-c"]
        _, cursor = backend.actions(TENANT, limit=1)
        nothing, cursor = backend.actions(TENANT, limit=1, after=cursor)
        assert nothing == ()
        assert [one.action_id for one in backend.actions(TENANT, limit=1, after=cursor)[0]] == ["of-c"]
        with pytest.raises(StoreCorrupt):
            backend.find(TENANT, "b")
    assert caplog.text.count("journal J-b") == 1


def test_a_database_of_a_newer_release_is_refused(tmp_path: Path) -> None:
    filled(tmp_path)
    with closing(sqlite3.connect(tmp_path / "greenroom.db")) as connection:
        connection.execute("UPDATE meta SET schema_version = 99")
        connection.commit()

    with pytest.raises(SnapshotTooNew) as caught:
        open_backend(str(tmp_path))

    assert caught.value.found == 99


@pytest.mark.parametrize("loss", [Path.unlink, lambda path: path.write_bytes(b"")])
def test_no_empty_database_takes_the_place_of_a_lost_one(tmp_path: Path, loss: Callable[[Path], object]) -> None:
    filled(tmp_path)
    path = tmp_path / "greenroom.db"
    loss(path)
    existed = path.exists()

    with pytest.raises(StoreLost):
        open_backend(str(tmp_path))

    assert path.exists() == existed


def test_a_store_whose_file_is_taken_away_while_it_is_open_is_lost(tmp_path: Path) -> None:
    with opened(tmp_path) as backend:
        backend.health()
        (tmp_path / "greenroom.db").rename(tmp_path / "away.db")

        with pytest.raises(StoreLost):
            backend.health()


def test_a_copied_database_without_its_marker_is_the_same_store(tmp_path: Path) -> None:
    store_id = filled(tmp_path / "one")
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "greenroom.db").write_bytes((tmp_path / "one" / "greenroom.db").read_bytes())

    with opened(tmp_path / "two") as backend:
        assert backend.identity.store_id == store_id
    assert (tmp_path / "two" / "greenroom.store_id").read_text().strip() == store_id


def test_a_directory_that_cannot_be_made_is_named_and_nothing_is_left_behind(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")

    for below in ("file", "file/store", "file/a/store"):
        with pytest.raises(StoreNotWritable) as caught:
            open_backend(str(tmp_path / below))
        assert str(tmp_path / below) in str(caught.value)

    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_directory_in_the_place_of_the_database_is_not_writable(tmp_path: Path) -> None:
    (tmp_path / "greenroom.db").mkdir()

    with pytest.raises(StoreNotWritable):
        open_backend(str(tmp_path))


# --- kills, full disks, locks --------------------------------------------------------------------------------------


def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    with appender(tmp_path) as (process, lines):
        acknowledged = 0
        for line in lines:
            acknowledged = int(line.removeprefix("acknowledged "))
            if acknowledged > 100:
                break
        with pytest.raises(StoreInUse):
            open_backend(str(tmp_path))
        process.kill()
        acknowledged = max([acknowledged, *(int(line.split()[1]) for line in lines if line.endswith("\n"))])
        process.wait(30)

    with opened(tmp_path) as backend:
        row = backend.row(TENANT, journal("s"))
        assert row is not None
        assert row.head_seq >= acknowledged
        seqs: list[int] = []
        while page := backend.records(TENANT, journal("s"), after=len(seqs)):
            seqs += [one.seq for one in page]
        assert seqs == list(range(1, row.head_seq + 1))
        # At most the one append that was on its way is there without having been acknowledged.
        assert row.head_seq <= acknowledged + 2


def test_another_process_is_refused_while_the_owner_lives(tmp_path: Path) -> None:
    with opened(tmp_path), appender(tmp_path) as (process, lines):
        assert lines.readline() == "refused StoreInUse\n"
        assert process.wait(30) == 0


def test_a_full_disk_refuses_appends_and_heals_by_itself(tmp_path: Path) -> None:
    with opened(tmp_path) as backend:
        born(backend, "s")
        large = replace(part("s", 1, 1), records=(replace(record(2), body=b"x" * 200_000),))
        with files_no_larger_than((tmp_path / "greenroom.db-wal").stat().st_size + 8192):
            for _ in range(2):
                with pytest.raises(StoreUnavailable):
                    backend.append([large])
            assert len(backend.records(TENANT, journal("s"))) == 1

        assert backend.append([large]) == [Appended(2)]
        assert backend.append([part("s", 2)]) == [Appended(4)]


def test_a_lock_of_another_program_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.storage.sqlite_database._PRAGMAS", ("PRAGMA journal_mode=WAL", "PRAGMA busy_timeout=1"))
    with opened(tmp_path) as backend, closing(sqlite3.connect(tmp_path / "greenroom.db")) as other:
        born(backend, "s")
        other.isolation_level = None
        other.execute("BEGIN IMMEDIATE")

        with pytest.raises(StoreUnavailable):
            backend.append([part("s", 1)])
        assert len(backend.records(TENANT, journal("s"))) == 1
        other.execute("ROLLBACK")
        assert backend.append([part("s", 1)]) == [Appended(3)]


def test_errors_of_the_database_carry_no_content(tmp_path: Path) -> None:
    secret = "sk-very-secret"
    with opened(tmp_path) as backend, closing(sqlite3.connect(tmp_path / "greenroom.db")) as other:
        born(backend, "s")
        other.execute("DROP TABLE records")
        other.commit()
        leaky = replace(part("s", 1, 1), records=(replace(record(2), body=secret.encode()),))

        with pytest.raises(Exception) as caught:
            backend.append([leaky])

    error: BaseException | None = caught.value
    while error is not None:
        assert secret not in str(error)
        error = error.__cause__


def test_an_mcp_server_that_cannot_be_read_hides_none_of_the_others(tmp_path: Path) -> None:
    known = KnownServer(config={"name": "one"}, complete=True)
    with opened(tmp_path) as backend:
        for name in ("one", "two"):
            backend.put_server(TENANT, "", name, known)
    with closing(sqlite3.connect(tmp_path / "greenroom.db")) as connection:
        connection.execute("UPDATE mcp_servers SET body = x'7b' WHERE name = 'one'")
        connection.commit()
    with opened(tmp_path) as backend:
        assert backend.servers() == ((TENANT, "", known),)
