"""A session as a document, read from its store. Nothing is woken."""

from __future__ import annotations

import base64
import json
from typing import Any

from actors.domain.archive import MAX_ARCHIVE_BYTES, SessionArchive, portable
from actors.domain.records import decode_record
from actors.domain.session import SessionInfo
from actors.errors import InvalidRequest
from actors.reading.stretches import pages
from actors.session.ports import Store
from actors.session.projection import blobs_of

_BLOBS_AT_ONCE = 64
"""Blobs of one question to the store; each is at most some megabytes."""


async def archive_of(store: Store, info: SessionInfo) -> SessionArchive:
    """The session as it is at its row's head.

    Raises:
        InvalidRequest: it is larger than a document may be.
        SessionNotFound: it is destroyed meanwhile.
        RowCorrupt: records of it are missing.
    """
    records: list[dict[str, Any]] = []
    digests: dict[str, None] = {}
    size = 0
    async for page in pages(store, info.tenant, info.journal_id, upto=info.head_seq):
        for record in page:
            size += len(record.body)
            records.append(portable(json.loads(record.body)))
            digests |= dict.fromkeys(sorted(blobs_of(decode_record(record.body))))
        _bounded(size, info)
    blobs: dict[str, str] = {}
    wanted = list(digests)
    for start in range(0, len(wanted), _BLOBS_AT_ONCE):
        found = await store.blobs(info.tenant, wanted[start : start + _BLOBS_AT_ONCE])
        size += sum(map(len, found.values()))
        _bounded(size, info)
        blobs |= {digest: base64.b64encode(content).decode() for digest, content in found.items()}
    return SessionArchive(session_id=info.session_id, records=tuple(records), blobs=dict(sorted(blobs.items())))


def _bounded(size: int, info: SessionInfo) -> None:
    if size > MAX_ARCHIVE_BYTES:
        raise InvalidRequest(
            f"Session {info.session_id!r} has more than {MAX_ARCHIVE_BYTES // 2**20} MiB, too much for one document. "
            "Use greenroom backup."
        )
