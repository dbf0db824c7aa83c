"""A stretch of a journal, page by page. Only the store is asked."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Final

from actors.domain.journal import StoredRecord
from actors.errors import RowCorrupt
from actors.session.ports import Store

_PAGE: Final = 1000

BEGINNINGS: Final = frozenset({"session.forked", "session.imported"})
"""Types of records that say that what stands before them is another session's."""


async def pages(
    store: Store, tenant: str, journal_id: str, *, upto: int, after: int = 0
) -> AsyncGenerator[tuple[StoredRecord, ...]]:
    """The records behind ``after`` up to ``upto``, which there is.

    Raises:
        SessionNotFound: the session is destroyed meanwhile.
        RowCorrupt: the journal ends before that.
    """
    while after < upto:
        page = await store.records(tenant, journal_id, after=after, limit=min(_PAGE, upto - after))
        if not page:
            raise RowCorrupt("of this session", "records of its journal are missing")
        yield page
        after = page[-1].seq
