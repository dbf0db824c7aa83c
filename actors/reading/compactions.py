"""Waiting for what becomes of a compaction. Only the store is asked."""

from __future__ import annotations

import asyncio

from actors.domain import records as r
from actors.domain.compaction import Compaction
from actors.errors import CompactionPending
from actors.reading.following import first_of
from actors.reading.turns import error_of_failure, whole
from actors.session.ports import Store

_ENDS = (r.SessionCompacted, r.SessionCompactionFailed)


async def wait_compaction(
    store: Store, tenant: str, session_id: str, journal_id: str, seq: int, *, timeout: float | None
) -> Compaction:
    """Wait for the end of the compaction that was due at record ``seq``.

    Raises:
        CompactionPending: ``timeout`` seconds passed.
        TurnFailed: it did not come about.
        ModelAuthFailed, ModelUnavailable, NoModel: the model was the reason.
    """
    try:
        async with asyncio.timeout(timeout):
            record = await first_of(store, tenant, journal_id, *_ENDS, after=seq)
    except TimeoutError:
        raise CompactionPending(session_id) from None
    if isinstance(record, r.SessionCompactionFailed):
        raise error_of_failure(session_id, record)
    data = record.data
    summary = (await whole(store, tenant, [data.summary]))[0].text if data.summary is not None else None
    return Compaction(
        seq=record.seq,
        reason=data.reason,
        removed_messages=data.removed_messages,
        pruned_messages=len(data.pruned),
        before_messages=data.before_messages,
        after_messages=data.after_messages,
        before_tokens=data.before_tokens,
        after_tokens=data.after_tokens,
        summary=summary,
        error=data.error,
    )
