"""What an activation reads first of a journal: a snapshot and the records behind it, or what a fork shares by name.

Above is ``service``; below is a backend.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final

from actors.domain.journal import Snapshot, StoredRecord
from actors.errors import RowCorrupt
from actors.session.ports import Loaded
from actors.storage.backend import Backend
from actors.storage.rules import MAX_PAGE
from actors.storage.sendable import sendable

SHARED_BYTES: Final = 512 * 1024
"""Bytes from which on reading what forks share from Ray's object store is faster than reading it from the store."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """The first answer to an activation.

    Attributes:
        loaded: What an activation needs, with no more than the first page of the records.
        shared: Of a fork, the last record that it shares, when all up to there is to be read from an object store:
            there is no snapshot then, and the records begin behind it.
    """

    loaded: Loaded
    shared: int | None = None


async def completed(
    loaded: Loaded, head: int, page_after: Callable[[int], Awaitable[tuple[StoredRecord, ...]]]
) -> Loaded:
    """With all records up to ``head``, where the journal stood when its epoch was taken.

    Raises:
        RowCorrupt: it ends before that.
    """
    while loaded.head < head:
        page = await page_after(loaded.head)
        if not page:
            raise RowCorrupt("of this session", "records of its journal are missing")
        loaded = replace(loaded, records=(*loaded.records, *page))
    return loaded


def beginning(backend: Backend, tenant: str, journal_id: str, *, share: bool) -> Beginning:
    """Read it.

    Raises:
        SessionNotFound: no such journal.
    """
    snapshot = backend.snapshot(tenant, journal_id)
    kept = 0 if snapshot is None else snapshot.seq
    page = backend.records(tenant, journal_id, after=kept, limit=MAX_PAGE)
    beginnings = backend.beginnings(tenant, journal_id) if share else ()
    upto = beginnings[-1].upto if beginnings else 0
    results = sendable(backend.results(tenant, journal_id))
    if kept <= upto and _size(snapshot, page, upto) >= SHARED_BYTES:
        own = backend.records(tenant, journal_id, after=upto, limit=MAX_PAGE)
        return Beginning(Loaded(None, own, results, kept), upto)
    return Beginning(Loaded(snapshot, page, results, kept))


def _size(snapshot: Snapshot | None, page: tuple[StoredRecord, ...], upto: int) -> int:
    """Bytes of what is shared, as far as they are in the first answer."""
    body = 0 if snapshot is None else len(snapshot.body)
    return body + sum(len(record.body) for record in page if record.seq <= upto)
