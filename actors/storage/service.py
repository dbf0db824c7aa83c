"""The boundary between a blocking backend and everyone on an event loop: one writer, many readers, and waiting.

It implements ``actors.session.ports.Store``. Above it are session runners in the same process, and the store actor's
handlers for all others (``remote``); below it is one ``Backend``, which nobody else uses.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from hashlib import sha256
from typing import Self

from actors import faults
from actors.domain.journal import (
    Acquired,
    Appended,
    AppendPart,
    NewSession,
    Refused,
    Snapshot,
    StoredResult,
    StoreIdentity,
)
from actors.domain.mcp import KnownServer
from actors.domain.retention import Retention
from actors.domain.session import SessionInfo, SnapshotInfo
from actors.domain.stores import DEFAULT_STORE
from actors.errors import InvalidConfig, SessionNotFound, StoreUnavailable
from actors.faults import Point
from actors.session.ports import Activation
from actors.storage.backend import Backend
from actors.storage.beginning import Beginning, completed
from actors.storage.folding import Fold
from actors.storage.rules import MAX_PAGE, bounded
from actors.storage.service_reads import StoreReads
from actors.storage.watch import MAX_READERS, Hints
from actors.storage.writer import MAX_QUEUED, Writer


class StoreService(StoreReads):
    """A store for one event loop. Open it before use; ``async with`` does, and closes it.

    Args:
        backend: The database; it is opened and closed with the service.
        fold: How records make a state; the sessions' own when None.
        gone: Called with (tenant, journal_id) of a session that was destroyed.
        max_queued: Writes that may wait.
        max_readers: Waits and followers at a time.
        hints: Where commits are announced to the registry; several stores share one.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        fold: Fold | None = None,
        gone: Callable[[str, str], None] | None = None,
        max_queued: int = MAX_QUEUED,
        max_readers: int = MAX_READERS,
        hints: Hints | None = None,
    ) -> None:
        super().__init__(backend, fold, max_readers, hints or Hints())
        self._gone = gone
        self._max_queued = max_queued
        self._writer: Writer | None = None

    # --- life ------------------------------------------------------------------------------------------------------

    async def open(self) -> StoreIdentity:
        """Open the backend and begin to serve; raises what ``Backend.open`` raises."""
        identity = await self._readers.run(self._backend.open)
        if self._writer is None:
            self._writer = Writer(self._backend, self._committed, self._not_committed, self._max_queued)
            self._open = True
        return identity

    async def close(self) -> None:
        """Commit what is queued, end all waits with StoreUnavailable, and release the backend."""
        if self._writer is not None:
            await self._writer.close()
        self._open = False
        self._watchers.close()
        await asyncio.to_thread(self._release)

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _release(self) -> None:
        self._readers.close()
        self._folders.close()
        self._backend.close()

    def _committed(self, parts: Sequence[AppendPart]) -> None:
        for part in parts:
            self._watchers.committed((part.tenant, part.journal_id), part.records)
            mail = (one for row in part.outbox for one in (row.target_journal_id, *row.heirs))
            self._hints.committed(part.row, mail=tuple(dict.fromkeys(mail)))
            self._born(part.creations)

    def _not_committed(self, parts: Sequence[AppendPart], error: StoreUnavailable) -> None:
        for part in parts:
            self._watchers.failed((part.tenant, part.journal_id), error)

    def _born(self, sessions: Sequence[NewSession]) -> None:
        for new in sessions:
            self._hints.committed(new.row)

    def _destroyed(self, tenant: str, journal_id: str) -> None:
        self._folder.forget(tenant, journal_id)
        self._watchers.destroyed((tenant, journal_id))
        if self._gone is not None:
            self._gone(tenant, journal_id)

    # --- writes ----------------------------------------------------------------------------------------------------

    def _write(self) -> Writer:
        if self._writer is None:
            raise StoreUnavailable("it is not open")
        return self._writer

    async def append(self, part: AppendPart) -> Appended:
        """See ``Store.append``. A caller that is cancelled does not take the append back."""
        appended = await self._write().append(part)
        await faults.reach(Point.store_reply)
        return appended

    async def append_all(self, parts: Sequence[AppendPart]) -> list[Appended | Refused]:
        """Append the parts that several sessions of one process have ready, each answered by itself."""
        answers = await self._write().append_all(parts)
        await faults.reach(Point.store_reply)
        return answers

    async def next_term(self) -> int:
        """Begin a registry's term."""
        return await self._write().call(self._backend.next_term)

    async def create(
        self, tenant: str, command_id: str, digest: str, sessions: Sequence[NewSession], *, store: str = DEFAULT_STORE
    ) -> bool:
        """See ``Store.create``."""
        self._is_asked_for(store)
        faults.hit(Point.create_before)
        created = await self._write().call(
            lambda: self._backend.create(tenant, command_id, digest, sessions),
            lambda created: self._born(sessions if created else ()),
        )
        faults.hit(Point.create_after)
        await faults.reach(Point.create_reply)
        return created

    async def destroy(self, tenant: str, journal_id: str, command_id: str, digest: str) -> bool:
        """See ``Backend.destroy``. Readers that follow the journal get SessionNotFound."""
        faults.hit(Point.destroy_before)
        removed = await self._erase(
            tenant, journal_id, lambda: self._backend.destroy(tenant, journal_id, command_id, digest)
        )
        faults.hit(Point.destroy_after)
        await faults.reach(Point.destroy_reply)
        return removed

    async def purge_session(self, tenant: str, journal_id: str, command_id: str, digest: str) -> bool:
        """Destroy a session and remove all of its rows before answering, a little at a time as everybody else writes.

        What forks share stays with them. When this is interrupted, ``purge`` does the rest.
        """
        beginnings = await self._read(lambda: self._backend.beginnings(tenant, journal_id))
        removed = await self.destroy(tenant, journal_id, command_id, digest)
        for name in (journal_id, *(one.journal_id for one in beginnings)):
            while await self._write().call(partial(self._backend.erase, tenant, name)):
                pass
        await self._write().call(self._backend.scrub)
        return removed

    async def _erase(self, tenant: str, journal_id: str, erase: Callable[[], bool]) -> bool:
        def work() -> tuple[bool, SessionInfo | None, bool]:
            row = self._backend.legible(tenant, journal_id)
            removed = erase()
            # A command that is given again removes nothing, and its journal may be that of a newer session.
            return removed, row, self._backend.legible(tenant, journal_id) is None

        def tell(done: tuple[bool, SessionInfo | None, bool]) -> None:
            _, row, is_gone = done
            if is_gone:
                self._destroyed(tenant, journal_id)
            if is_gone and row is not None:
                self._hints.destroyed(row)

        removed, *_ = await self._write().call(work, tell)
        return removed

    async def acquire(self, tenant: str, journal_id: str, term: int, assignment_no: int) -> Acquired:
        """See ``Backend.acquire``."""
        try:
            return await self._write().call(lambda: self._backend.acquire(tenant, journal_id, term, assignment_no))
        except StoreUnavailable as error:
            self._watchers.failed((tenant, journal_id), error)
            raise

    async def begin(
        self, tenant: str, journal_id: str, term: int, assignment_no: int, *, share: bool
    ) -> tuple[Acquired, Beginning]:
        """``acquire``, and ``beginning`` beside it.

        What is read may lack records that another activation wrote until it lost its epoch; ``completed`` adds them.
        """
        return await asyncio.gather(
            self.acquire(tenant, journal_id, term, assignment_no), self.beginning(tenant, journal_id, share=share)
        )

    async def activate(self, tenant: str, journal_id: str, term: int, assignment_no: int) -> Activation:
        """See ``Store.activate``."""
        acquired, begun = await self.begin(tenant, journal_id, term, assignment_no, share=False)
        read = partial(self.records, tenant, journal_id, limit=MAX_PAGE)
        loaded = await completed(begun.loaded, acquired.head_seq, lambda after: read(after=after))
        return Activation(acquired.epoch, loaded)

    async def take_snapshot(self, tenant: str, journal_id: str) -> SnapshotInfo:
        """Keep the fold of all that is committed now, without activating the session.

        Returns:
            The newest snapshot: this one, or a later one that the session itself wrote meanwhile.

        Raises:
            SessionNotFound: No such journal.
        """
        folded = await self.state(tenant, journal_id)

        def keep() -> Snapshot:
            row = self._backend.row(tenant, journal_id)
            if row is None:
                raise SessionNotFound(journal_id)
            # A fold of committed records is right whoever writes next: the store cannot be fenced.
            self._backend.put_snapshot(tenant, journal_id, replace(folded, epoch=row.epoch))
            return self._backend.snapshot(tenant, journal_id) or folded

        kept = await self._write().call(keep)
        return SnapshotInfo(seq=kept.seq, size=len(kept.body), digest=sha256(kept.body).hexdigest())

    async def put_snapshot(self, tenant: str, journal_id: str, snapshot: Snapshot) -> bool:
        """See ``Backend.put_snapshot``."""
        return await self._write().call(lambda: self._backend.put_snapshot(tenant, journal_id, snapshot))

    async def put_result(self, tenant: str, journal_id: str, result: StoredResult) -> None:
        """See ``Backend.put_result``."""
        await self._write().call(lambda: self._backend.put_result(tenant, journal_id, result))

    async def put_server(self, tenant: str, journal_id: str, name: str, server: KnownServer | None) -> None:
        """See ``Backend.put_server``."""
        await self._write().call(lambda: self._backend.put_server(tenant, journal_id, name, server))

    async def delivered(self, letters: Sequence[tuple[str, str, int]]) -> None:
        """See ``Backend.delivered``."""
        await self._write().call(lambda: self._backend.delivered(letters))

    async def expire(self, now: datetime, retention: Retention, *, limit: int = 100) -> tuple[tuple[str, str], ...]:
        """Destroy at most ``limit`` sessions whose time is over, each in a transaction of its own.

        Readers that follow their journals get SessionNotFound.

        Returns:
            (tenant, journal_id) of those that were destroyed.
        """
        found = await self._read(lambda: self._backend.expired(now, retention, limit=bounded(limit)))
        return tuple([key for key in found if await self._expire(key, now, retention)])

    async def _expire(self, key: tuple[str, str], now: datetime, retention: Retention) -> bool:
        return await self._erase(*key, lambda: self._backend.expire(*key, now, retention))

    async def purge(self, now: datetime, *, limit: int = 1000) -> int:
        """See ``Backend.purge``."""
        return await self._write().call(lambda: self._backend.purge(now, limit=bounded(limit)))

    def _is_asked_for(self, store: str) -> None:
        if store != DEFAULT_STORE:
            raise InvalidConfig(f"There is no store {store!r}.")

    async def health(self, store: str = DEFAULT_STORE) -> None:
        """Return when the store can read and write, else raise."""
        self._is_asked_for(store)
        await self._write().call(self._backend.health)
