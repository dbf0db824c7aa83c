"""The boundary between a SQLite store and the files that it is on disk: its lock and its identity.

Above is ``sqlite_database``, which opens connections.
Beside ``greenroom.db`` lie ``greenroom.lock``, whose lock the kernel releases when the owner dies, and
``greenroom.store_id``, which remembers that a database was here: where it has vanished, no empty one takes its place.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Final
from urllib.parse import quote

from actors.errors import (
    InvalidConfig,
    SnapshotTooNew,
    StoreCorrupt,
    StoreError,
    StoreInUse,
    StoreLost,
    StoreNotWritable,
    StoreUnavailable,
)
from actors.storage.failures import sqlite_failure
from actors.storage.rules import SCHEMA_VERSION

FILE_NAME: Final = "greenroom.db"

_MAGIC: Final = b"SQLite format 3\x00"
"""First bytes of every database. Source: sqlite.org/fileformat.html, section 1.3."""

_LEAST_ROOM: Final = 1024 * 1024
"""Bytes: a few of the largest records. With less, some append or other is refused."""


def sqlite_url(directory: str | os.PathLike[str]) -> str:
    """The URL of the database in a directory; ``~`` is the user's home."""
    return f"sqlite:///{Path(directory).expanduser().absolute() / FILE_NAME}"


class SqliteFiles:
    """One database and the files beside it.

    Args:
        path: Where the database is or will be; ``.lock`` and ``.store_id`` take the place of its suffix.

    Raises:
        InvalidConfig: The path is not a place in the file system.
    """

    def __init__(self, path: str) -> None:
        if not path or path.startswith((":memory:", "file:")):
            raise InvalidConfig("A SQLite store needs a file: sqlite:///path/greenroom.db. In memory it is 'memory:'.")
        self.path = Path(path).expanduser().absolute()
        self.location = str(self.path)
        self._marker = self.path.with_suffix(".store_id")
        self._lock_path = self.path.with_suffix(".lock")
        self._lock: int | None = None
        self._inode: tuple[int, int] | None = None

    def lock(self) -> None:
        """Become the owner; the directory is made (mode 0700) when it is missing.

        Raises:
            StoreInUse: Another process, or another backend of this one, is the owner.
            StoreNotWritable: The directory or the lock file cannot be made.
        """
        made = _make_directory(self.path.parent, self.location)
        try:
            handle = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            if made:
                with suppress(OSError):
                    self.path.parent.rmdir()
            raise _not_writable(self.location, error) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(handle)
            raise StoreInUse(self.location) from error
        self._lock = handle

    def unlock(self) -> None:
        """Stop being the owner; idempotent. The lock file stays: removing it would race with the next owner."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def inspect(self) -> None:
        """Look at what is there without changing it; a missing or empty database is fine where none was before.

        Raises:
            StoreLost: There was a database and it is gone.
            StoreCorrupt: The file is no database, a damaged one, or another program's.
            StoreNotWritable: The file cannot be written.
            SnapshotTooNew: A newer release wrote it.
        """
        seen = self.seen_id()
        found = self._stored_identity()
        if found is None:
            if seen is not None:
                raise StoreLost(self.location)
            return
        store_id, version = found
        if version > SCHEMA_VERSION:
            raise SnapshotTooNew(version, SCHEMA_VERSION)
        if seen not in {None, store_id}:
            raise StoreCorrupt(self.location, f"it is not the database that {self._marker.name} names")

    def prepare(self) -> None:
        """Make the database file (mode 0600) when it is missing, so that SQLite gives its log the same rights."""
        try:
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            status = self.path.stat()
        except OSError as error:
            raise _not_writable(self.location, error) from error
        self._inode = (status.st_dev, status.st_ino)

    def remember(self, store_id: str) -> None:
        """Write down that this store was here."""
        if self.seen_id() == store_id:
            return
        try:
            handle = os.open(self._marker, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(f"{store_id}\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise _not_writable(self.location, error) from error

    def check_present(self) -> None:
        """Raise StoreLost when the open database's file was removed or replaced."""
        try:
            status = self.path.stat()
        except OSError as error:
            raise StoreLost(self.location) from error
        if (status.st_dev, status.st_ino) != self._inode:
            raise StoreLost(self.location)

    def check_room(self) -> None:
        """Raise StoreUnavailable when the disk is full, although a page or two may still fit into what the log has."""
        status = os.statvfs(self.path.parent)
        if status.f_bavail * status.f_frsize < _LEAST_ROOM:
            raise StoreUnavailable("the disk is full")

    def seen_id(self) -> str | None:
        """The id of the store that was here last, as far as anybody wrote it down."""
        try:
            return self._marker.read_text(encoding="ascii").strip() or None
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise StoreCorrupt(self.location, f"{self._marker.name} cannot be read") from error

    def _stored_identity(self) -> tuple[str, int] | None:
        try:
            with self.path.open("r+b") as file:
                header, size = file.read(100), os.fstat(file.fileno()).st_size
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _not_writable(self.location, error) from error
        if not header:
            return None
        if not header.startswith(_MAGIC):
            raise StoreCorrupt(self.location, "it is not a SQLite database")
        if size < _pages(header) and not self._has_log():
            raise StoreCorrupt(self.location, "it is cut short")
        return self._read_identity()

    def _has_log(self) -> bool:
        log = Path(f"{self.path}-wal")
        return log.exists() and log.stat().st_size > 0

    def _read_identity(self) -> tuple[str, int] | None:
        try:
            with closing(sqlite3.connect(f"file:{quote(str(self.path))}?mode=ro", uri=True)) as connection:
                tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
                if not tables:
                    return None
                if "meta" not in tables or "sessions" not in tables:
                    raise StoreCorrupt(self.location, "it is another program's database")
                row = connection.execute("SELECT store_id, schema_version FROM meta WHERE id = 1").fetchone()
        except sqlite3.Error as error:
            raise _unreadable(error, self.location) from error
        match row:
            case (str(store_id), int(version)):
                return store_id, version
            case _:
                raise StoreCorrupt(self.location, "it does not say which store it is")


def _pages(header: bytes) -> int:
    """The size in bytes that a database's header claims (offsets 16 and 28 of the file format)."""
    page = int.from_bytes(header[16:18], "big")
    return (65536 if page == 1 else page) * int.from_bytes(header[28:32], "big")


def _unreadable(error: sqlite3.Error, location: str) -> StoreError:
    meant = sqlite_failure(error, location)
    if isinstance(meant, StoreUnavailable | StoreCorrupt):
        return meant
    return StoreCorrupt(location, "its tables are not those of a store")


def _make_directory(directory: Path, location: str) -> bool:
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        directory.mkdir(mode=0o700)
    except FileExistsError:
        if directory.is_dir():
            return False
        raise StoreNotWritable(location, f"{directory} is not a directory") from None
    except OSError as error:
        raise _not_writable(location, error) from error
    return True


def _not_writable(location: str, error: OSError) -> StoreNotWritable:
    return StoreNotWritable(location, (error.strerror or type(error).__name__).lower())
