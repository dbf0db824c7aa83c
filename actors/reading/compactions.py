"""Waiting for what becomes of a compaction. Only the store is asked."""

from __future__ import annotations

import asyncio

from actors.domain import records as r
from actors.domain.compaction import Compaction
from actors.domain.records import decode_record
from actors.domain.turns import TurnEnd, TurnStatus
from actors.errors import CompactionPending, InternalError
from actors.reading.following import followed
from actors.reading.turns import error_of, whole
from actors.session.ports import Store

_ENDS = frozenset({"session.compacted", "session.compaction_failed"})


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
            record = await _end(store, tenant, journal_id, seq)
    except TimeoutError:
        raise CompactionPending(session_id) from None
    if isinstance(record, r.SessionCompactionFailed):
        raise error_of(session_id, _as_end(record))
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


async def _end(store: Store, tenant: str, journal_id: str, seq: int) -> r.SessionCompacted | r.SessionCompactionFailed:
    async for batch in followed(store, tenant, journal_id, after=seq):
        for stored in batch:
            if stored.type in _ENDS:
                record = decode_record(stored.body)
                assert isinstance(record, r.SessionCompacted | r.SessionCompactionFailed)
                return record
    raise InternalError("a journal ended under its reader")


def _as_end(record: r.SessionCompactionFailed) -> TurnEnd:
    """The failure as a turn of its own would have ended with it."""
    data = record.data
    return TurnEnd(
        turn_id=record.turn_id or "",
        status=TurnStatus.failed,
        seq=record.seq,
        code=data.code,
        message=data.message,
        error_args=data.error_args,
    )
