"""Backups of a store that is in use, and what is restored from them."""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
import threading
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from actors.domain.journal import Appended, Refused
from actors.errors import (
    Fenced,
    InternalError,
    InvalidRequest,
    SnapshotTooNew,
    StoreCorrupt,
    StoreExists,
    StoreInUse,
    StoreNotFound,
    StoreNotWritable,
    Superseded,
)
from actors.storage.backend import Backend
from actors.storage.copies import back_up, restore
from actors.storage.open import open_backend
from tests.disks import small_disk
from tests.unit.storage.samples import TENANT, born, journal, part


@contextmanager
def opened(directory: Path) -> Generator[Backend]:
    with closing(open_backend(str(directory))) as backend:
        yield backend


def filled(directory: Path) -> str:
    """A closed store with one session of three records, of epoch 1; its id."""
    with opened(directory) as backend:
        born(backend, "s")
        backend.append([part("s", 1)])
        return backend.identity.store_id


def heads(path: Path) -> dict[str, tuple[int, int]]:
    """What the rows of a database say of their journals' ends, and how many records there are."""
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute(
            "SELECT journal_id, head_seq, (SELECT count(*) FROM records r WHERE r.journal_id = s.journal_id) "
            "FROM sessions s"
        )
        return {name: (head, count) for name, head, count in found}


def test_a_backup_is_one_private_file_that_needs_nothing_beside_it(tmp_path: Path) -> None:
    store_id = filled(tmp_path / "store")

    made = back_up(tmp_path / "store", tmp_path / "copies.db")

    assert (made.store_id, made.sessions) == (store_id, 1)
    assert made.size == made.path.stat().st_size > 0
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copies.db", "store"]
    assert heads(made.path) == {journal("s"): (3, 3)}


def test_a_backup_during_writes_is_the_store_at_one_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.storage.copies._STEP_PAGES", 1)
    with opened(tmp_path / "store") as backend:
        names = [f"s{number}" for number in range(20)]
        for name in names:
            born(backend, name)
        ended, written = threading.Event(), threading.Event()

        def write() -> None:
            head = 1
            while not ended.is_set():
                # One transaction over all sessions: a copy that mixes two moments shows different ends.
                assert backend.append([part(name, head) for name in names]) == [Appended(head + 2)] * len(names)
                head += 2
                written.set()

        writing = threading.Thread(target=write)
        writing.start()
        try:
            copies = []
            for number in range(5):
                written.clear()
                assert written.wait(30)
                copies.append(back_up(tmp_path / "store", tmp_path / f"{number}.db"))
        finally:
            ended.set()
            writing.join()

    ends = [set(heads(copy.path).values()) for copy in copies]
    assert [len(end) for end in ends] == [1] * 5
    assert all(head == count for end in ends for head, count in end)
    assert sorted(ends, key=min) == ends


def test_a_backup_does_not_take_the_place_of_anything(tmp_path: Path) -> None:
    filled(tmp_path / "store")
    (tmp_path / "there").write_text("mine")

    with pytest.raises(StoreExists):
        back_up(tmp_path / "store", tmp_path / "there")
    with pytest.raises(StoreNotWritable):
        back_up(tmp_path / "store", tmp_path / "missing" / "copy.db")

    assert (tmp_path / "there").read_text() == "mine"


def test_a_backup_that_has_no_room_leaves_nothing_behind(tmp_path: Path) -> None:
    filled(tmp_path / "store")
    with small_disk(tmp_path / "disk") as disk:
        disk.fill()

        with pytest.raises(Exception) as refused:
            back_up(tmp_path / "store", disk.path / "copy.db")

        assert "full" in str(refused.value) or "no space" in str(refused.value)
        assert [path.name for path in disk.path.iterdir()] == ["filler"]


@pytest.mark.parametrize("spoil", [b"", b"not a database " * 600])
def test_what_is_no_store_is_not_backed_up(tmp_path: Path, spoil: bytes) -> None:
    with pytest.raises(StoreNotFound):
        back_up(tmp_path, tmp_path / "copy.db")
    (tmp_path / "greenroom.db").write_bytes(spoil)

    with pytest.raises(StoreCorrupt):
        back_up(tmp_path, tmp_path / "copy.db")

    assert not (tmp_path / "copy.db").exists()


# --- restoring -----------------------------------------------------------------------------------------------------


def test_a_restored_store_is_the_same_store_and_fences_all_that_lives_of_the_time_that_is_undone(
    tmp_path: Path,
) -> None:
    store_id = filled(tmp_path / "store")
    copy = back_up(tmp_path / "store", tmp_path / "copy.db").path
    with opened(tmp_path / "store") as backend:
        lost_term = backend.next_term()
        lost_epoch = backend.acquire(TENANT, journal("s"), lost_term, 1).epoch
        backend.append([part("s", 3, epoch=lost_epoch)])

    made = restore(copy, tmp_path / "store", force=True)

    assert made.store_id == store_id
    with opened(tmp_path / "store") as backend:
        assert backend.identity.store_id == store_id
        assert [one.seq for one in backend.records(TENANT, journal("s"))] == [1, 2, 3]
        for epoch in (1, lost_epoch):
            (refused,) = backend.append([part("s", 3, epoch=epoch)])
            assert isinstance(refused, Refused) and isinstance(refused.error, Fenced)
        with pytest.raises(Superseded):
            backend.acquire(TENANT, journal("s"), lost_term, 2)
        acquired = backend.acquire(TENANT, journal("s"), backend.next_term(), 1)
        assert acquired.epoch > lost_epoch + 1000
        assert backend.append([part("s", 3, epoch=acquired.epoch)]) == [Appended(5)]


def test_a_store_in_use_is_not_restored_over(tmp_path: Path) -> None:
    filled(tmp_path / "store")
    copy = back_up(tmp_path / "store", tmp_path / "copy.db").path
    with opened(tmp_path / "store") as backend:
        for force in (False, True):
            with pytest.raises(StoreInUse):
                restore(copy, tmp_path / "store", force=force)
        assert backend.append([part("s", 3)]) == [Appended(5)]


def test_a_restore_that_finds_no_room_leaves_the_database_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    filled(tmp_path / "store")
    backup = back_up(tmp_path / "store", tmp_path / "copy.db").path
    before = sorted(os.listdir(tmp_path / "store"))
    monkeypatch.setattr("actors.storage.copies._sync", full)

    with pytest.raises(StoreNotWritable):
        restore(backup, tmp_path / "store", force=True)

    assert sorted(os.listdir(tmp_path / "store")) == before
    assert heads(tmp_path / "store" / "greenroom.db") == {journal("s"): (3, 3)}


def test_a_database_that_is_there_is_replaced_only_by_force_and_kept_beside(tmp_path: Path) -> None:
    filled(tmp_path / "store")
    copy = back_up(tmp_path / "store", tmp_path / "copy.db").path
    with opened(tmp_path / "store") as backend:
        backend.append([part("s", 3)])

    with pytest.raises(StoreExists) as refused:
        restore(copy, tmp_path / "store")
    assert "force" in refused.value.message
    made = restore(copy, tmp_path / "store", force=True)

    assert heads(tmp_path / "store" / "greenroom.db") == {journal("s"): (3, 3)}
    assert made.replaced is not None
    assert heads(made.replaced) == {journal("s"): (5, 5)}


@pytest.fixture
def one_name_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source: object, target: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM), str(source))

    monkeypatch.setattr("os.link", refuse)


@pytest.mark.usefixtures("one_name_a_file")
def test_where_a_file_has_one_name_only_there_is_a_database_at_each_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(tmp_path / "store")
    copy = back_up(tmp_path / "store", tmp_path / "copy.db").path
    with opened(tmp_path / "store") as backend:
        backend.append([part("s", 3)])
    database, seen = tmp_path / "store" / "greenroom.db", list[tuple[int, int]]()

    def look(change: Callable[..., object]) -> Callable[..., object]:
        def looked(path: Path, *arguments: object, **options: object) -> object:
            done = change(path, *arguments, **options)
            seen.extend(heads(database).values())
            return done

        return looked

    for name in ("replace", "rename", "unlink"):
        monkeypatch.setattr(Path, name, look(getattr(Path, name)))
    made = restore(copy, tmp_path / "store", force=True)

    assert (seen[0], seen[-1]) == ((5, 5), (3, 3))
    assert made.replaced is not None
    assert heads(made.replaced) == {journal("s"): (5, 5)}


@pytest.mark.usefixtures("one_name_a_file")
def test_a_database_that_cannot_be_kept_beside_stays_with_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(source: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))

    filled(tmp_path / "store")
    copy = back_up(tmp_path / "store", tmp_path / "copy.db").path
    with opened(tmp_path / "store") as backend, closing(sqlite3.connect(tmp_path / "store" / "greenroom.db")) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM records").fetchone()
        # What is committed while somebody reads stays in the log.
        backend.append([part("s", 3)])
        backend.close()
        monkeypatch.setattr("shutil.copyfile", full)

        with pytest.raises(StoreNotWritable):
            restore(copy, tmp_path / "store", force=True)

        assert heads(tmp_path / "store" / "greenroom.db") == {journal("s"): (5, 5)}


def test_what_a_killed_owner_left_in_its_log_goes_aside_with_its_database(tmp_path: Path) -> None:
    filled(tmp_path / "store")
    copy = back_up(tmp_path / "store", tmp_path / "copy.db").path
    with opened(tmp_path / "store") as backend:
        backend.append([part("s", 3)])
        # As kill -9 leaves them: what was committed last is in the log only.
        left = {name: (tmp_path / "store" / name).read_bytes() for name in ("greenroom.db", "greenroom.db-wal")}
    for name, content in left.items():
        (tmp_path / "store" / name).write_bytes(content)

    made = restore(copy, tmp_path / "store", force=True)

    assert made.replaced is not None
    assert heads(made.replaced) == {journal("s"): (5, 5)}
    with opened(tmp_path / "store") as backend:
        assert len(backend.records(TENANT, journal("s"))) == 3


def test_a_lost_database_is_restored_without_force_unless_it_was_another_store(tmp_path: Path) -> None:
    store_id = filled(tmp_path / "store")
    copy = back_up(tmp_path / "store", tmp_path / "copy.db").path
    (tmp_path / "store" / "greenroom.db").unlink()
    filled(tmp_path / "other")
    (tmp_path / "other" / "greenroom.db").unlink()

    restore(copy, tmp_path / "store")
    with pytest.raises(StoreExists):
        restore(copy, tmp_path / "other")
    restore(copy, tmp_path / "other", force=True)
    restore(copy, tmp_path / "new" / "place")

    for directory in ("store", "other", "new/place"):
        with opened(tmp_path / directory) as backend:
            assert backend.identity.store_id == store_id
            assert len(backend.records(TENANT, journal("s"))) == 3
        assert stat.S_IMODE((tmp_path / directory / "greenroom.db").stat().st_mode) == 0o600


def zero_a_page(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[8192:12288] = bytes(4096)
    path.write_bytes(content)


def raise_schema(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE meta SET schema_version = 99")
        connection.commit()


@pytest.mark.parametrize(("spoil", "error"), [(zero_a_page, StoreCorrupt), (raise_schema, SnapshotTooNew)])
def test_a_damaged_backup_is_refused_before_anything_is_touched(
    tmp_path: Path, spoil: object, error: type[Exception]
) -> None:
    filled(tmp_path / "store")
    copy = back_up(tmp_path / "store", tmp_path / "copy.db").path
    assert callable(spoil)
    spoil(copy)
    before = (tmp_path / "store" / "greenroom.db").read_bytes()

    with pytest.raises(error):
        restore(copy, tmp_path / "store", force=True)
    with pytest.raises(error):
        restore(copy, tmp_path / "new")

    assert (tmp_path / "store" / "greenroom.db").read_bytes() == before
    assert not (tmp_path / "new").exists()


def test_a_restoration_that_stops_in_the_middle_can_be_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(tmp_path / "store")
    copy = back_up(tmp_path / "store", tmp_path / "copy.db").path

    def stop(path: Path) -> None:
        raise InternalError("stopped")

    with monkeypatch.context() as patch, pytest.raises(InternalError):
        patch.setattr("actors.storage.copies._sync", stop)
        restore(copy, tmp_path / "store", force=True)
    restore(copy, tmp_path / "store", force=True)

    with opened(tmp_path / "store") as backend:
        assert len(backend.records(TENANT, journal("s"))) == 3


def test_a_store_on_a_server_is_left_to_the_servers_own_tools(tmp_path: Path) -> None:
    url = "postgresql://app:secret@localhost/greenroom"
    for copy in (lambda: back_up(url, tmp_path / "file"), lambda: restore(tmp_path / "file", url)):
        with pytest.raises(InvalidRequest) as refused:
            copy()
        assert "pg_dump" in refused.value.message
        assert "secret" not in str(refused.value)
