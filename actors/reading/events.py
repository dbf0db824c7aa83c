"""Readers of a session: committed records from its store, and between them the deltas of running calls from hosts.

Neither activates the session nor keeps it resident. A delta is shown only for a call whose started record is
committed, and always before the record that closes the call.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Any, cast

from actors.domain import records as r
from actors.domain.calls import CallKey
from actors.domain.events import Event, MessageDelta, PersistenceFailed, ToolOutputDelta
from actors.domain.ids import utc_now
from actors.domain.records import Record, decode_record
from actors.errors import GreenroomError
from actors.reading.following import followed
from actors.reading.stretches import pages
from actors.reading.turns import whole
from actors.session.own_tools import OWN
from actors.session.runtime import Runtime

MAX_BUFFERED = 1000
"""Events that wait for a slow reader; the sources are not read on while it is full."""

Started = r.ModelCallStarted | r.ToolCallStarted
Closed = (
    r.ModelCallCompleted
    | r.ModelCallFailed
    | r.ToolCallCompleted
    | r.ToolCallInDoubt
    | r.ToolCallInputRequired
    | r.ToolCallHeld
    | r.CommandRetried
)


@dataclass(slots=True)
class _Watch:
    """A running call that is shown. ``text``: what of the model's answer was shown; ``index``: of the next delta."""

    started: Started
    task: asyncio.Task[None]
    text: str = ""
    index: int = 0


class EventReader:
    """One reader's merge of both sources.

    Args:
        head: End of what counts as past: a call that was started and closed up to there is shown by its records only,
            one that is still open there is shown as it goes on.
    """

    def __init__(
        self, runtime: Runtime, tenant: str, session_id: str, journal_id: str, *, deltas: bool, head: int
    ) -> None:
        self._runtime = runtime
        self._tenant = tenant
        self._session_id = session_id
        self._journal_id = journal_id
        self._deltas = deltas
        self._head = head
        self._old: dict[CallKey, Started] = {}
        self._queue: asyncio.Queue[Event | BaseException] = asyncio.Queue(MAX_BUFFERED)
        self._watches: dict[CallKey, _Watch] = {}

    async def events(self, after: int) -> AsyncGenerator[Event]:
        """Everything after a seq, without an end."""
        pump = self._task(self._pump(after))
        try:
            while True:
                item = await self._queue.get()
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            pump.cancel()
            for watch in self._watches.values():
                watch.task.cancel()

    async def _pump(self, after: int) -> None:
        try:
            store, lost = self._runtime.store, self._tell_lost
            async for batch in followed(store, self._tenant, self._journal_id, after=after, lost=lost):
                for stored in batch:
                    await self._show(decode_record(stored.body))
        except Exception as exc:
            await self._queue.put(exc)

    async def _tell_lost(self, exc: GreenroomError) -> None:
        await self._queue.put(PersistenceFailed(session_id=self._session_id, at=utc_now(), error=exc.message))

    async def _show(self, record: Record) -> None:
        if isinstance(record, Closed):
            await self._close(record)
        await self._queue.put(record)
        if not self._deltas:
            return
        if isinstance(record, Started) and _has_readers(record):
            self._old[CallKey(call_id=record.data.call_id, attempt=record.data.attempt)] = record
        if record.seq >= self._head:
            for key, started in self._old.items():
                self._watches[key] = _Watch(started, self._task(self._watch(key, started)))
            self._old.clear()

    async def _close(self, record: Closed) -> None:
        """Show what of an answer had not been shown when its record was committed."""
        key = CallKey(call_id=record.data.call_id, attempt=record.data.attempt)
        self._old.pop(key, None)
        watch = self._watches.pop(key, None)
        if watch is None:
            return
        watch.task.cancel()
        if isinstance(record, r.ModelCallCompleted):
            (message,) = await whole(self._runtime.store, self._tenant, [record.data.message])
            if message.text.startswith(watch.text) and len(message.text) > len(watch.text):
                await self._queue.put(_message_delta(watch, "text", message.text[len(watch.text) :]))

    async def _watch(self, key: CallKey, record: Started) -> None:
        watch = None
        try:
            async for delta in self._runtime.deltas(record.data.host, key):
                watch = self._watches.get(key)
                if watch is None:
                    return
                watch.index = delta.index
                if isinstance(record, r.ToolCallStarted):
                    await self._queue.put(_tool_delta(record, delta.index, delta.text))
                    continue
                await self._queue.put(_message_delta(watch, delta.channel, delta.text))
                watch.index += 1
                if delta.channel == "text":
                    watch.text += delta.text
        except GreenroomError:
            # The host is gone or does not know the call: the records tell the rest.
            return

    def _task(self, work: Any) -> asyncio.Task[None]:
        return asyncio.get_running_loop().create_task(work, context=contextvars.Context())


def _has_readers(record: Started) -> bool:
    """Whether a call puts out anything, and for others than the session itself."""
    if isinstance(record, r.ToolCallStarted):
        return record.data.host != OWN
    return record.data.summary_of is None and record.data.sampling is None


def _message_delta(watch: _Watch, channel: str, text: str) -> MessageDelta:
    record = watch.started
    return MessageDelta(
        session_id=record.session_id,
        turn_id=record.turn_id,
        call_id=record.data.call_id,
        attempt=record.data.attempt,
        seq=record.seq,
        index=watch.index,
        channel=cast("Any", channel),
        text=text,
    )


def _tool_delta(record: r.ToolCallStarted, index: int, text: str) -> ToolOutputDelta:
    return ToolOutputDelta(
        session_id=record.session_id,
        turn_id=record.turn_id,
        call_id=record.data.call_id,
        attempt=record.data.attempt,
        seq=record.seq,
        index=index,
        name=record.data.name,
        text=text,
    )


async def read_records(
    runtime: Runtime, tenant: str, journal_id: str, *, after: int, upto: int
) -> AsyncIterator[Record]:
    """The records of a stretch of the journal, page by page."""
    async for page in pages(runtime.store, tenant, journal_id, after=after, upto=upto):
        for stored in page:
            yield decode_record(stored.body)
