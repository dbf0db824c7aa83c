"""Boundary between tools that change a file and the disk: a file is replaced whole, or not at all.

The new content goes to a temporary file beside the old one, is synced, and renamed over it. The hashes of both are
recorded before the rename, so that whoever finds the call unfinished can tell from the file whether it took effect.
"""

from __future__ import annotations

import hashlib
import os
import stat
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

from actors.errors import ToolError
from actors.tools.threads import Stop
from actors.tools.workspace import Place, refused

MAX_FILE_BYTES = 16 * 1024 * 1024
"""Largest file that write and edit handle: it is held in memory a few times over."""

MAX_METADATA_TEXT = 8 * 1024
"""Longest text that goes into metadata as before or after, in characters: metadata is journaled with the record."""

_CHUNK = 1 << 16

_renaming = threading.Lock()
"""Between the last look at the old file and the rename, no other call of this process may rename."""


class _Version(NamedTuple):
    """What changes whenever somebody writes a file."""

    inode: int
    size: int
    modified_ns: int
    changed_ns: int


@dataclass(frozen=True, slots=True)
class OldFile:
    """A file as it was found, and what tells whether it is still the same.

    Attributes:
        data: Its bytes; None when there is no file, or it is larger than ``MAX_FILE_BYTES``.
        digest: Hex SHA-256 of the content; None when there is no file.
    """

    data: bytes | None = None
    digest: str | None = None
    mode: int | None = None
    owner: tuple[int, int] = (-1, -1)
    version: _Version | None = None

    @property
    def exists(self) -> bool:
        """Whether there is a file at all."""
        return self.version is not None


def read_old(place: Place, stop: Stop) -> OldFile:
    """The file that is there; a large one is only hashed.

    Raises:
        ToolError: What is there is no regular file, or may not be read.
    """
    if place.status() is None:
        return OldFile()
    digest = hashlib.sha256()
    chunks: list[bytes] = []
    size = 0
    with place.open_file() as file:
        status = os.fstat(file.fileno())
        while chunk := file.read(_CHUNK):
            stop.check()
            digest.update(chunk)
            size += len(chunk)
            if size <= MAX_FILE_BYTES:
                chunks.append(chunk)
            else:
                chunks.clear()
    data = b"".join(chunks) if size <= MAX_FILE_BYTES else None
    owner = (status.st_uid, status.st_gid)
    return OldFile(data, digest.hexdigest(), stat.S_IMODE(status.st_mode), owner, _version(status))


def replace(
    place: Place,
    old: OldFile,
    data: bytes,
    *,
    stop: Stop,
    record: Callable[[Mapping[str, Any]], None],
    call_id: str,
    only_if_unchanged: bool,
) -> dict[str, Any]:
    """Put ``data`` where ``old`` was, in one step that survives a power cut, and keep the file's mode.

    Args:
        record: Gets the hashes before the rename.
        call_id: Names the temporary file, so that another attempt finds what a lost one has left.

    Returns:
        The metadata: ``file_path``, ``bytes``, ``before_sha256``, ``after_sha256``, and small texts.

    Raises:
        ToolError: The system refuses, or ``only_if_unchanged`` and the file changed since it was read.
    """
    facts: dict[str, Any] = {
        "file_path": place.relative,
        "bytes": len(data),
        "before_sha256": old.digest,
        "after_sha256": hashlib.sha256(data).hexdigest(),
    }
    temporary = _temporary(place, call_id)
    try:
        remove_temporary(place, call_id)
        _write_temporary(place, temporary, old, data)
        stop.check()
        record(facts)
        stop.check()
        _rename(place, temporary, old if only_if_unchanged else None)
    except OSError as error:
        raise refused(place.asked, error) from error
    finally:
        with suppress(OSError):
            os.unlink(temporary, dir_fd=place.directory)
    return facts | _texts(old, data)


def _temporary(place: Place, call_id: str) -> str:
    # A name may have 255 bytes.
    name = os.fsdecode(os.fsencode(place.name)[:100])
    return f".{name}.{hashlib.sha256(call_id.encode()).hexdigest()[:16]}.tmp"


def remove_temporary(place: Place, call_id: str) -> None:
    """Remove what an attempt of this call has left beside the file, if anything."""
    with suppress(OSError):
        os.unlink(_temporary(place, call_id), dir_fd=place.directory)


def _write_temporary(place: Place, temporary: str, old: OldFile, data: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    handle = os.open(temporary, flags, 0o666, dir_fd=place.directory)
    with os.fdopen(handle, "wb") as file:
        if old.mode is not None:
            with suppress(PermissionError):
                os.fchown(handle, *old.owner)
            os.fchmod(handle, old.mode)
        file.write(data)
        file.flush()
        os.fsync(handle)


def _rename(place: Place, temporary: str, expected: OldFile | None) -> None:
    with _renaming:
        status = place.status()
        if expected is not None and (None if status is None else _version(status)) != expected.version:
            raise ToolError(f"{place.asked!r} was changed by somebody else in the meantime. Read it again first.")
        os.rename(temporary, place.name, src_dir_fd=place.directory, dst_dir_fd=place.directory)
    # The rename itself is durable only when its directory is synced.
    handle = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=place.directory)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _version(status: os.stat_result) -> _Version:
    return _Version(status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _texts(old: OldFile, after: bytes) -> dict[str, Any]:
    small = len(after) <= MAX_METADATA_TEXT and len(old.data or b"") <= MAX_METADATA_TEXT
    if not small or (old.exists and old.data is None):
        return {}
    before = None if old.data is None else old.data.decode(errors="replace")
    return {"before": before, "after": after.decode(errors="replace")}
