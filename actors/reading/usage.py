"""What model calls took, over one session, its tree, or all sessions. Only the store is asked."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta

from actors.domain.journal import Filter
from actors.domain.session import SessionInfo
from actors.domain.usage import SpentOn
from actors.errors import InvalidRequest
from actors.session.ports import Store

Within = tuple[datetime | None, datetime | None]
"""From the first moment up to, but not including, the second."""


def days(since: date | None, until: date | None) -> Within:
    """Whole days in UTC, both included.

    Raises:
        InvalidRequest: they are in the wrong order.
    """
    if since is not None and until is not None and until < since:
        raise InvalidRequest("The last day is before the first.")
    first = _begin(since) if since is not None else None
    return first, _begin(until) + timedelta(days=1) if until is not None and until < date.max else None


def _begin(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def of_model(spent: Iterable[SpentOn], model: str | None) -> tuple[SpentOn, ...]:
    """Of it what one model took; None: all."""
    return tuple(one for one in spent if model in {None, one.model})


async def of_session(store: Store, info: SessionInfo, within: Within) -> tuple[SpentOn, ...]:
    """What one session took."""
    since, until = within
    return await store.spent(info.tenant, journal_id=info.journal_id, since=since, until=until)


async def of_tree(store: Store, info: SessionInfo, within: Within) -> tuple[SpentOn, ...]:
    """What a session and all that descends from it took."""
    found: list[SpentOn] = []
    level = [info]
    while level:
        for one in level:
            found += await of_session(store, one, within)
        level = [child for one in level for child in await _children(store, one)]
    return tuple(found)


async def _children(store: Store, parent: SessionInfo) -> list[SessionInfo]:
    wanted = Filter(parent_journal_id=parent.journal_id)
    found: list[SessionInfo] = []
    cursor: str | None = None
    while True:
        rows, cursor = await store.rows(parent.tenant, wanted, after=cursor, limit=1000)
        found += rows
        if cursor is None:
            return found
