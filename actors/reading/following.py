"""Reading a journal as it grows, over whatever happens to the store's process or the connection to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import TypeVar, cast

from actors.domain.journal import StoredRecord
from actors.domain.records import RecordBase, decode_record
from actors.errors import GreenroomError, InternalError, Overloaded, StoreUnavailable, TransportLost
from actors.session.ports import Store

RETRY_FIRST_S, RETRY_MAX_S = 0.05, 2.0
"""Bounds of the back-off while the store cannot be reached."""

R = TypeVar("R", bound=RecordBase)

Lost = Callable[[GreenroomError], Awaitable[None]]


async def followed(
    store: Store, tenant: str, journal_id: str, *, after: int, lost: Lost | None = None
) -> AsyncIterator[tuple[StoredRecord, ...]]:
    """As ``Store.follow``, but it begins again where it stopped when the store went away.

    Args:
        lost: Told once of each outage.
    """
    delay = RETRY_FIRST_S
    while True:
        try:
            stream = cast("AsyncGenerator[tuple[StoredRecord, ...]]", store.follow(tenant, journal_id, after=after))
            async with aclosing(stream):
                async for batch in stream:
                    delay = RETRY_FIRST_S
                    yield batch
                    after = batch[-1].seq
        except (StoreUnavailable, TransportLost, Overloaded) as exc:
            if lost is not None and delay == RETRY_FIRST_S:
                await lost(exc)
            await asyncio.sleep(delay)
            delay = min(delay * 2, RETRY_MAX_S)


async def first_of(store: Store, tenant: str, journal_id: str, *kinds: type[R], after: int) -> R:
    """The first record of one of these kinds after a seq, once there is one."""
    types = {kind.model_fields["type"].default for kind in kinds}
    async for batch in followed(store, tenant, journal_id, after=after):
        for stored in batch:
            if stored.type in types:
                record = decode_record(stored.body)
                assert isinstance(record, kinds)
                return record
    raise InternalError("a journal ended under its reader")
