"""Waiting for a title. Only the store is asked."""

from __future__ import annotations

import asyncio

from actors.domain import records as r
from actors.domain.records import decode_record
from actors.domain.turns import TurnEnd, TurnStatus
from actors.errors import InternalError, NoModel, TitlePending
from actors.reading.following import followed
from actors.reading.turns import error_of
from actors.session.ports import Store
from actors.session.turn import NO_TITLE

_ENDS = frozenset({"session.renamed", "session.title_failed"})

_NO_TITLE = frozenset({NO_TITLE.code, NoModel.__name__})
"""Where there is nothing to name or nobody to ask, there is no title, and that is no failure."""


async def wait_title(
    store: Store, tenant: str, session_id: str, journal_id: str, seq: int, *, timeout: float | None
) -> str | None:
    """Wait for the title that was asked for at record ``seq``; None when there is none to be had.

    Raises:
        TitlePending: ``timeout`` seconds passed.
        TurnFailed: it was cancelled, or the session ended.
        ModelAuthFailed, ModelUnavailable: the model was the reason.
    """
    try:
        async with asyncio.timeout(timeout):
            record = await _end(store, tenant, journal_id, seq)
    except TimeoutError:
        raise TitlePending(session_id) from None
    if isinstance(record, r.SessionRenamed):
        return record.data.name
    data = record.data
    if data.code in _NO_TITLE:
        return None
    end = TurnEnd(
        turn_id=record.turn_id or "",
        status=TurnStatus.failed,
        seq=record.seq,
        code=data.code,
        message=data.message,
        error_args=data.error_args,
    )
    raise error_of(session_id, end)


async def _end(store: Store, tenant: str, journal_id: str, seq: int) -> r.SessionRenamed | r.SessionTitleFailed:
    async for batch in followed(store, tenant, journal_id, after=seq):
        for stored in batch:
            if stored.type in _ENDS:
                record = decode_record(stored.body)
                assert isinstance(record, r.SessionRenamed | r.SessionTitleFailed)
                return record
    raise InternalError("a journal ended under its reader")
