"""The boundary between a SQLite store and copies of it: backups while it is in use, and what they are restored to.

A backup is one file, the whole store at one moment. A restored store is the same store (its id stays), taken back to
that moment; its epochs and its term lead those of the time that is undone, so that nothing which still lives of that
time can write to it. Everything here blocks and needs no running service.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from actors.domain.ids import new_ulid
from actors.errors import (
    InvalidRequest,
    SnapshotTooNew,
    StoreCorrupt,
    StoreExists,
    StoreNotFound,
    StoreNotWritable,
    StoreUnavailable,
)
from actors.storage.failures import sqlite_failure
from actors.storage.open import is_postgres
from actors.storage.rules import SCHEMA_VERSION
from actors.storage.sqlite import FILE_NAME, SqliteFiles

_URL: Final = "sqlite:///"

_STEP_PAGES: Final = 1024
"""Pages copied between two looks at the interpreter's signals: 4 MB, some milliseconds."""

_EPOCHS_AHEAD: Final = 1 << 20
"""More activations than a session has between a backup and its restoration, and room for thousands of restorations."""

_TERMS_AHEAD: Final = 1 << 10
"""The same for starts of registries; assignments are numbered within a term, so a term is dearer than an epoch."""


@dataclass(frozen=True, slots=True)
class Copy:
    """What was copied.

    Attributes:
        path: Where the copy is.
        store_id: Which store it is a copy of.
        sessions: Sessions in it.
        size: Bytes.
        replaced: Where the database that was there before is now, if there was one.
    """

    path: Path
    store_id: str
    sessions: int
    size: int
    replaced: Path | None = None


def database_of(place: str | os.PathLike[str]) -> Path:
    """The database file that a directory, a file or a SQLite URL names.

    Raises:
        StoreNotFound: There is none.
    """
    path = _path(place)
    path = path / FILE_NAME if path.is_dir() else path
    if not path.is_file():
        raise StoreNotFound(str(path))
    return path


@contextmanager
def reading(path: Path) -> Generator[sqlite3.Connection]:
    """A connection that changes nothing, also when the store is in use; no transaction is begun.

    Raises:
        StoreUnavailable, StoreCorrupt: It cannot be read.
    """
    location = str(path)
    try:
        with closing(sqlite3.connect(read_only(path), uri=True, isolation_level=None)) as connection:
            connection.execute("PRAGMA busy_timeout=10000")
            connection.execute("PRAGMA trusted_schema=OFF")
            yield connection
    except sqlite3.Error as error:
        raise sqlite_failure(error, location) from error


def identity_of(connection: sqlite3.Connection, path: Path) -> tuple[str, int]:
    """Id and schema version of the store that a connection reads.

    Raises:
        StoreCorrupt: It is no store.
        SnapshotTooNew: A newer release wrote it.
    """
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not {"meta", "sessions", "records"} <= tables:
        raise StoreCorrupt(str(path), "it is another program's database")
    row = connection.execute("SELECT store_id, schema_version FROM meta WHERE id = 1").fetchone()
    match row:
        case (str(store_id), int(version)):
            if version > SCHEMA_VERSION:
                raise SnapshotTooNew(version, SCHEMA_VERSION)
            return store_id, version
        case _:
            raise StoreCorrupt(str(path), "it does not say which store it is")


def back_up(place: str | os.PathLike[str], target: str | os.PathLike[str]) -> Copy:
    """Copy a store as it is at this moment into one new file (mode 0600), also while it is in use.

    Writers go on meanwhile; their log is not cut back before the copy is done.

    Args:
        place: The store: its directory, its file or its URL.
        target: The file to make.

    Raises:
        StoreNotFound: There is no such store.
        InvalidRequest: It is not one on SQLite.
        StoreExists: There is something at ``target``.
        StoreNotWritable: It cannot be written.
        StoreUnavailable, StoreCorrupt, SnapshotTooNew: The store cannot be read.
    """
    source, path = database_of(place), Path(target).expanduser().absolute()
    if path.exists():
        raise StoreExists(str(path))
    with _new_file(path) as partial:
        copy = _copied(source, partial)
    return Copy(path, copy[0], copy[1], path.stat().st_size)


def restore(backup: str | os.PathLike[str], place: str | os.PathLike[str], *, force: bool = False) -> Copy:
    """Make a store from a backup.

    What happened after the backup is undone: its records are gone, and calls that were made then may be made again.

    Args:
        backup: The file of a backup, or another store.
        place: Where the store is to be: a directory, which is made when it is missing, or a SQLite URL.
        force: Take the place of a database that is there; it is kept beside under another name.

    Raises:
        StoreInUse: A runtime works on the store that is there.
        InvalidRequest: The place is not one of SQLite.
        StoreExists: There is a database, or there was one of another store.
        StoreNotFound, StoreUnavailable, StoreCorrupt, SnapshotTooNew: The backup cannot be read.
        StoreNotWritable: The directory cannot be written.
    """
    target = _target(place)
    source = database_of(backup)
    with reading(source) as connection:
        store_id, _ = identity_of(connection, source)
        _check_whole(connection, source)
    files = SqliteFiles(str(target))
    files.lock()
    try:
        occupied = target.exists() and target.stat().st_size > 0
        if not force and (occupied or files.seen_id() not in {None, store_id}):
            raise StoreExists(files.location)
        with _new_file(target) as partial:
            store_id, sessions = _copied(source, partial)
            _lead(partial)
            # Nothing that can fail for lack of room comes after the old one was touched.
            _sync(partial)
            aside = target.with_name(f"{target.stem}-replaced-{new_ulid()}{target.suffix}")
            with _kept(target, aside) if occupied else nullcontext():
                files.remember(store_id)
            _move_log(target, aside)
    finally:
        files.unlock()
    return Copy(target, store_id, sessions, target.stat().st_size, aside if occupied else None)


def _path(place: str | os.PathLike[str]) -> Path:
    if is_postgres(os.fspath(place)):
        raise InvalidRequest("This is for SQLite: back a PostgreSQL store up with pg_dump, restore it with pg_restore.")
    return Path(os.fspath(place).removeprefix(_URL)).expanduser().absolute()


def _target(place: str | os.PathLike[str]) -> Path:
    return _path(place) if os.fspath(place).startswith(_URL) else _path(place) / FILE_NAME


def read_only(path: Path) -> str:
    """The name by which SQLite opens a database without changing it."""
    return f"file:{quote(str(path))}?mode=ro"


def _copied(source: Path, target: Path) -> tuple[str, int]:
    """Copy a database page by page; the store's id and the number of its sessions."""
    with reading(source) as connection:
        # The copy is made of what this transaction sees, however long it takes.
        connection.execute("BEGIN")
        store_id, _ = identity_of(connection, source)
        (sessions,) = connection.execute("SELECT count(*) FROM sessions").fetchone()
        with _writing(target) as copy:
            connection.backup(copy, pages=_STEP_PAGES)
            # One file that can be read where nothing can be written; opening it as a store gives it a log again.
            copy.execute("PRAGMA journal_mode=DELETE")
    return store_id, sessions


def _lead(path: Path) -> None:
    """Put the copy's epochs and term ahead of all that the original may have given since."""
    with _writing(path) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE meta SET term = term + ?", (_TERMS_AHEAD,))
        connection.execute("UPDATE sessions SET epoch = epoch + ?", (_EPOCHS_AHEAD,))
        connection.execute("COMMIT")


def _check_whole(connection: sqlite3.Connection, path: Path) -> None:
    (said,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if said != "ok":
        raise StoreCorrupt(str(path), "its pages contradict each other")


@contextmanager
def _writing(path: Path) -> Generator[sqlite3.Connection]:
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous=FULL")
            yield connection
    except sqlite3.Error as error:
        meant = sqlite_failure(error, str(path))
        if isinstance(meant, StoreUnavailable):
            raise StoreNotWritable(str(path), meant.detail) from error
        raise meant from error


@contextmanager
def _new_file(path: Path) -> Generator[Path]:
    """A file to write that gets its name only when it is complete, and durable."""
    partial = path.with_name(f".{path.name}.{new_ulid()}")
    try:
        os.close(os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        try:
            yield partial
            _sync(partial)
            partial.replace(path)
            _sync(path.parent)
        finally:
            for leftover in (partial, Path(f"{partial}-journal")):
                leftover.unlink(missing_ok=True)
    except OSError as error:
        raise StoreNotWritable(str(path), (error.strerror or type(error).__name__).lower()) from error


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _kept(path: Path, aside: Path) -> Generator[None]:
    """Give the database that is there another name, beside the one that the next one takes from it in one step.

    Where a file can have one name only it is copied: if it were renamed, there would be a moment without a database.
    It loses that name again when what is done meanwhile fails.
    """
    # Closing the only connection brings the log into the database, unless that is damaged, or somebody reads it.
    with suppress(sqlite3.Error), closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    try:
        os.link(path, aside)
    except OSError:
        with _new_file(aside) as copy:
            shutil.copyfile(path, copy)
    try:
        yield
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def _move_log(path: Path, aside: Path) -> None:
    """Let no log of the database that was there stay behind: the next one would take it for its own."""
    with suppress(FileNotFoundError):
        Path(f"{path}-wal").replace(f"{aside}-wal")
    Path(f"{path}-shm").unlink(missing_ok=True)
