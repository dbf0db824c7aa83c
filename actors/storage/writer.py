"""The boundary between many callers on an event loop and the one thread that writes: group commit.

Above is ``service``; below is a backend's blocking half. While one commit is on its way, appends gather, and the next
commit takes them all: the more callers, the fewer commits each of them pays for.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import Context
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from actors import faults
from actors.domain.journal import Appended, AppendPart, Refused
from actors.errors import GreenroomError, InternalError, RowCorrupt, StoreError, StoreUnavailable
from actors.faults import Point
from actors.storage.backend import Backend
from actors.storage.rules import part_bytes
from actors.storage.threads import Threads

log = logging.getLogger(__name__)

MAX_QUEUED: Final = 4096
"""Writes that may wait: half a second's work, after which callers had better slow down."""

MAX_QUEUED_BYTES: Final = 128 * 1024 * 1024
"""Bytes of records and blobs that may wait: a few large images beside the usual kilobytes."""

MAX_BATCH: Final = 256
"""Parts of one commit: some 20 ms, so that no caller waits long behind others."""

MAX_BATCH_BYTES: Final = 16 * 1024 * 1024
"""Bytes of one commit, for the same reason; a single larger part is a commit of its own."""

LATE_S: Final = 10.0
"""A commit that takes longer hangs, and readers are told: as long as sessions wait before they tell their callers."""

PATIENCE_S: Final = 20.0
"""Longest wait for work between commits. The largest, ten thousand sessions born at once, takes a second or two."""

_RETRY_AFTER_S: Final = 0.5
"""Seconds in which a full queue is worked off."""

T = TypeVar("T")
Committed = Callable[[list[AppendPart]], None]
Failed = Callable[[list[AppendPart], StoreUnavailable], None]


@dataclass(frozen=True, slots=True)
class _Append:
    part: AppendPart
    size: int
    answer: asyncio.Future[Appended]


@dataclass(frozen=True, slots=True)
class _Call:
    work: Callable[[], Any]
    after: Callable[[Any], None] | None
    answer: asyncio.Future[Any]
    size: int = 0


class Writer:
    """Takes writes in order, one commit at a time. A caller that goes away does not take its write back.

    Args:
        backend: Where they go.
        committed: Called on the loop after a commit, before its callers go on, with the parts that are new.
        failed: Called on the loop when a commit did not succeed, or hangs, with its parts.
        max_queued: Writes that may wait.
    """

    def __init__(self, backend: Backend, committed: Committed, failed: Failed, max_queued: int = MAX_QUEUED) -> None:
        self._backend = backend
        self._committed = committed
        self._failed = failed
        self._max_queued = max_queued
        self._queue: deque[_Append | _Call] = deque()
        self._bytes = 0
        self._doubtful: deque[str] = deque(maxlen=MAX_QUEUED)
        self._wake = asyncio.Event()
        self._closing = False
        self._threads = Threads(1, "store-writer", inline=not backend.blocks)
        # An empty context: the writer outlives whoever opened the store.
        self._task = asyncio.get_running_loop().create_task(self._run(), context=Context())

    @property
    def queued(self) -> int:
        """Writes that wait."""
        return len(self._queue)

    async def append(self, part: AppendPart) -> Appended:
        """Append with the next commit.

        Raises:
            GreenroomError: The part was refused.
            StoreUnavailable: The queue is full, or the commit failed.
        """
        return await self._queued(part)

    async def append_all(self, parts: Sequence[AppendPart]) -> list[Appended | Refused]:
        """Append several parts, each with an answer of its own, with the next commit as far as it has room for them."""
        answers: list[asyncio.Future[Appended] | Refused] = []
        for part in parts:
            try:
                answer = self._queued(part)
                answer.add_done_callback(_retrieve)
                answers.append(answer)
            except StoreUnavailable as full:
                answers.append(Refused(full))
        return [answer if isinstance(answer, Refused) else await _answered(answer) for answer in answers]

    def _queued(self, part: AppendPart) -> asyncio.Future[Appended]:
        answer: asyncio.Future[Appended] = asyncio.get_running_loop().create_future()
        self._put(_Append(part, part_bytes(part), answer))
        return answer

    async def call(self, work: Callable[[], T], after: Callable[[T], None] | None = None) -> T:
        """Run blocking work of the backend between two commits.

        Args:
            work: Runs in the writing thread.
            after: Called on the loop with what it returned, also when the caller is gone.

        Raises:
            StoreUnavailable: There was no answer for ``PATIENCE_S`` seconds; the work may be carried out still.
        """
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        answer.add_done_callback(_retrieve)
        self._put(_Call(work, after, answer))
        done, _ = await asyncio.wait({answer}, timeout=PATIENCE_S)
        if not done:
            raise StoreUnavailable("it does not answer")
        return answer.result()

    async def close(self) -> None:
        """Carry out what is queued, and end; later writes get StoreUnavailable."""
        self._closing = True
        self._wake.set()
        # Whoever closes may be cancelled; the queue is still worked off.
        await asyncio.shield(self._task)
        self._threads.close()

    def _put(self, job: _Append | _Call) -> None:
        if self._closing:
            raise StoreUnavailable("it is being closed")
        if len(self._queue) >= self._max_queued or self._bytes + job.size > MAX_QUEUED_BYTES:
            raise StoreUnavailable("too many writes are waiting", _RETRY_AFTER_S)
        self._bytes += job.size
        self._queue.append(job)
        self._wake.set()

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue:
                try:
                    await self._step()
                except Exception:
                    # Whoever is told of commits failed. The commit stands, and so must the writer.
                    log.exception("somebody could not be told of a commit")
            if self._closing:
                return

    async def _step(self) -> None:
        batch = self._next_batch()
        if batch:
            await self._commit(batch)
            return
        job = self._queue.popleft()
        if isinstance(job, _Call):
            await self._carry_out(job)

    def _next_batch(self) -> list[_Append]:
        batch: list[_Append] = []
        size = 0
        while self._queue and len(batch) < MAX_BATCH:
            job = self._queue[0]
            if not isinstance(job, _Append) or (batch and size + job.size > MAX_BATCH_BYTES):
                break
            self._queue.popleft()
            self._bytes -= job.size
            size += job.size
            batch.append(job)
        return batch

    async def _commit(self, batch: list[_Append]) -> None:
        parts = [job.part for job in batch]
        hangs = StoreUnavailable("it does not answer")
        late = asyncio.get_running_loop().call_later(LATE_S, self._failed, parts, hangs)
        try:
            faults.hit(Point.store_before)
            answers = await self._threads.run(lambda: self._backend.append(parts))
            faults.hit(Point.store_after)
        except Exception as error:
            # It may be durable all the same; nobody was told, so that its repetition is news.
            self._doubtful.extend(part.batch_id for part in parts)
            if len(batch) > 1 and (not isinstance(error, StoreError) or isinstance(error, RowCorrupt)):
                # One of them cannot be written; the others are not to suffer for it.
                for job in batch:
                    await self._commit([job])
                return
            for job in batch:
                _fail(job.answer, error)
            if isinstance(error, StoreUnavailable):
                self._refuse_queued(error)
                self._failed(parts, error)
            return
        finally:
            late.cancel()
        new: list[AppendPart] = []
        for job, got in zip(batch, answers, strict=True):
            _settle(job.answer, got)
            if isinstance(got, Appended) and (not got.replayed or self._was_doubtful(job.part)):
                new.append(job.part)
        self._committed(new)

    def _was_doubtful(self, part: AppendPart) -> bool:
        """Whether a part that was durable before was never announced; from now on it is."""
        if part.batch_id not in self._doubtful:
            return False
        self._doubtful = deque((one for one in self._doubtful if one != part.batch_id), MAX_QUEUED)
        return True

    async def _carry_out(self, job: _Call) -> None:
        try:
            answer = await self._threads.run(job.work)
        except Exception as error:
            _fail(job.answer, error)
            if isinstance(error, StoreUnavailable):
                self._refuse_queued(error)
            return
        if not job.answer.done():
            job.answer.set_result(answer)
        if job.after is not None:
            job.after(answer)

    def _refuse_queued(self, error: StoreUnavailable) -> None:
        """What waits behind a write that failed would fail as well, each after a wait of its own for the same lock."""
        queued, self._bytes = list(self._queue), 0
        self._queue.clear()
        for job in queued:
            _fail(job.answer, error)
        parts = [job.part for job in queued if isinstance(job, _Append)]
        if parts:
            self._failed(parts, error)


async def _answered(answer: asyncio.Future[Appended]) -> Appended | Refused:
    try:
        return await answer
    except GreenroomError as error:
        return Refused(error)
    except Exception as error:
        log.exception("an append failed")
        return Refused(InternalError(type(error).__name__))


def _retrieve(answer: asyncio.Future[Any]) -> None:
    """Mark a failure as seen, in case whoever asked is gone."""
    if not answer.cancelled():
        answer.exception()


def _settle(answer: asyncio.Future[Appended], got: Appended | Refused) -> None:
    if isinstance(got, Refused):
        _fail(answer, got.error)
    elif not answer.done():
        answer.set_result(got)


def _fail(answer: asyncio.Future[Any], error: Exception) -> None:
    if not answer.done():
        answer.set_exception(error)
