"""The boundary between a store's URL and the backend that it names."""

from __future__ import annotations

from typing import Final

from actors.errors import InvalidConfig
from actors.storage.backend import Backend
from actors.storage.memory import MemoryBackend

MEMORY_URL: Final = "memory:"
"""The store that lives in one process."""


def open_backend(url: str) -> Backend:
    """Open the store that a URL names; a bare path is the directory of a SQLite store.

    Args:
        url: ``memory:``, ``sqlite:///path/greenroom.db``, or a directory.

    Raises:
        InvalidConfig: The URL is of another kind.
        StoreInUse, StoreNotWritable, StoreCorrupt, StoreLost, SnapshotTooNew: As ``Backend.open``.
    """
    backend = _backend(url)
    backend.open()
    return backend


def _backend(url: str) -> Backend:
    if not url:
        raise InvalidConfig("The store's URL is empty; use memory:, sqlite:///path/greenroom.db, or a directory.")
    if url == MEMORY_URL:
        return MemoryBackend()
    # Imported here, so that a memory store loads no database library.
    from actors.storage.sql import SqlBackend
    from actors.storage.sqlite import sqlite_url

    return SqlBackend(url if "://" in url else sqlite_url(url))
