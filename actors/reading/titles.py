"""Waiting for a title. Only the store is asked."""

from __future__ import annotations

import asyncio

from actors.domain import records as r
from actors.errors import NoModel, TitlePending
from actors.reading.following import first_of
from actors.reading.turns import error_of_failure
from actors.session.failure import NO_TITLE
from actors.session.ports import Store

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
            record = await first_of(store, tenant, journal_id, r.SessionRenamed, r.SessionTitleFailed, after=seq)
    except TimeoutError:
        raise TitlePending(session_id) from None
    if isinstance(record, r.SessionRenamed):
        return record.data.name
    if record.data.code in _NO_TITLE:
        return None
    raise error_of_failure(session_id, record)
