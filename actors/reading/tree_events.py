"""Readers of a family: the events of a session and of all below it, as they come, in one stream.

Between sessions there is no order but that a child's events follow its ``child.started``. Where each session is read
from is told by ``tree.joined``, so whoever keeps the last seq of each session of the stream can go on exactly there.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from actors.checks import checked_seq
from actors.domain import records as r
from actors.domain.events import Event, TreeJoined
from actors.domain.session import SessionInfo
from actors.errors import InvalidRequest, SessionNotFound
from actors.reading.events import MAX_BUFFERED, EventReader, read_records
from actors.reading.families import children_of
from actors.session.runtime import Runtime

MAX_FOLLOWED = 64
"""Sessions of one stream: a cursor that names them all still fits into a header of HTTP."""

After = int | Mapping[str, int]
"""The seq of the first session to read after, or that of each session by its id."""


def checked_after(after: After) -> After:
    """Places to read after.

    Raises:
        InvalidRequest: they are no seqs, or too many.
    """
    places = after.values() if isinstance(after, Mapping) else (after,)
    if len(places) > MAX_FOLLOWED:
        raise InvalidRequest(f"A stream follows at most {MAX_FOLLOWED} sessions.")
    for place in places:
        checked_seq(place)
    return after


class TreeReader:
    """One reader's merge of the streams of a family."""

    def __init__(self, runtime: Runtime, *, deltas: bool) -> None:
        self._runtime = runtime
        self._deltas = deltas
        self._queue: asyncio.Queue[Event | BaseException] = asyncio.Queue(MAX_BUFFERED)
        self._joined: set[str] = set()
        self._following: list[asyncio.Task[None]] = []

    async def events(self, top: SessionInfo, after: After) -> AsyncGenerator[Event]:
        """Everything after a place, without an end; raises SessionNotFound when the first session is destroyed."""
        joining = self._task(self._join_all(top, after))
        try:
            while True:
                item = await self._queue.get()
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            for task in (joining, *self._following):
                task.cancel()

    async def _join_all(self, top: SessionInfo, after: After) -> None:
        """Join those who are there. A number tells nothing of a child: it is read from its start or from now on."""
        try:
            places = after if isinstance(after, Mapping) else {top.session_id: after}
            rows = [top]
            for row in rows:
                place = places.get(row.session_id, 0 if isinstance(after, Mapping) else row.head_seq)
                children = [child async for child in children_of(self._runtime.store, row)]
                # Those who are born behind the place join when the stream comes to that.
                unborn = await self._born_after(row, place)
                rows += [child for child in children if child.journal_id not in unborn]
                await self._join(row, place, is_top=row is top)
        except Exception as exc:
            await self._queue.put(exc)

    async def _born_after(self, row: SessionInfo, place: int) -> frozenset[str]:
        now = await self._runtime.store.row(row.tenant, row.journal_id)
        upto = now.head_seq if now is not None else 0
        records = read_records(self._runtime, row.tenant, row.journal_id, after=place, upto=upto)
        return frozenset([one.data.child_journal_id async for one in records if isinstance(one, r.ChildStarted)])

    async def _join(self, row: SessionInfo, place: int, *, is_top: bool = False) -> None:
        if row.journal_id in self._joined:
            return
        if len(self._joined) == MAX_FOLLOWED:
            raise InvalidRequest(f"A stream follows at most {MAX_FOLLOWED} sessions. Follow some of them on their own.")
        self._joined.add(row.journal_id)
        await self._queue.put(TreeJoined(session_id=row.session_id, parent_id=row.parent_id, seq=place))
        self._following.append(self._task(self._follow(row, place, is_top=is_top)))

    async def _follow(self, row: SessionInfo, place: int, *, is_top: bool) -> None:
        ids = (row.tenant, row.session_id, row.journal_id)
        reader = EventReader(self._runtime, *ids, deltas=self._deltas, head=row.head_seq)
        try:
            async with aclosing(reader.events(place)) as events:
                async for event in events:
                    await self._queue.put(event)
                    if isinstance(event, r.ChildStarted):
                        await self._born(row, event)
        except SessionNotFound as exc:
            if is_top:
                await self._queue.put(exc)
        except Exception as exc:
            await self._queue.put(exc)

    async def _born(self, parent: SessionInfo, record: r.ChildStarted) -> None:
        """A fork's records begin with those of its source, whose children are none of its own."""
        child = await self._runtime.store.row(parent.tenant, record.data.child_journal_id)
        if child is not None and child.parent_journal_id == parent.journal_id:
            await self._join(child, 0)

    def _task(self, work: Any) -> asyncio.Task[None]:
        return asyncio.get_running_loop().create_task(work, context=contextvars.Context())
