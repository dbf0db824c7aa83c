"""The reading half of the store service: pages, folds, and waiting for what is not there yet.

Above is ``service``, which adds the writes and announces them here; below are a backend and the threads that ask it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Final, TypeVar

from actors.domain.actions import Action
from actors.domain.journal import (
    Due,
    Filter,
    FirstOutcome,
    Known,
    Letter,
    NewSession,
    Snapshot,
    StoredRecord,
    StoredResult,
    StoreIdentity,
)
from actors.domain.mcp import KnownServer
from actors.domain.session import SessionInfo
from actors.domain.usage import SpentOn
from actors.errors import SessionNotFound, StoreUnavailable
from actors.storage.backend import Backend
from actors.storage.beginning import Beginning, beginning
from actors.storage.folding import Fold, Folder
from actors.storage.rules import MAX_DUE, bounded, is_last, pieces
from actors.storage.sendable import sendable
from actors.storage.shelf import Place
from actors.storage.threads import Threads
from actors.storage.watch import Hint, Hints, Subscription, Watchers

MAX_WAIT_S: Final = 30.0
"""Longest single wait in seconds; callers ask again, so that a caller that is gone is noticed."""

_READ_THREADS: Final = 4
"""Reads at a time: enough that one long page delays no other, few enough for the interpreter they share."""

_FOLD_THREADS: Final = 1
"""Folding is bound by the interpreter: more threads would only slow each other."""

_FOLLOW_PAGE: Final = 256
"""Records of one batch that a follower gets when it has to catch up."""

T = TypeVar("T")


class StoreReads:
    """Reads of a store.

    Args:
        backend: The database.
        fold: How records make a state; the sessions' own when None.
        max_readers: Waits and followers at a time.
        hints: Where commits are announced to the registry.
    """

    def __init__(self, backend: Backend, fold: Fold | None, max_readers: int, hints: Hints) -> None:
        self._backend = backend
        self._open = False
        self._watchers = Watchers(max_readers)
        self._hints = hints
        self._folder = Folder(backend, fold)
        self._readers = Threads(_READ_THREADS, "store-reader", inline=not backend.blocks)
        self._folders = Threads(_FOLD_THREADS, "store-fold")

    async def _read(self, work: Callable[[], T], threads: Threads | None = None) -> T:
        if not self._open:
            raise StoreUnavailable("it is not open")
        return await (threads or self._readers).run(work)

    async def identity(self) -> StoreIdentity:
        """Who this store is."""
        return self._backend.identity

    async def find(self, tenant: str, session_id: str) -> SessionInfo | None:
        """The projection row by session id."""
        return await self._read(lambda: self._backend.find(tenant, session_id))

    async def known(self, tenant: str, session_id: str) -> Known | None:
        """See ``Backend.known``."""
        return await self._read(lambda: self._backend.known(tenant, session_id))

    async def remembers(self, tenant: str, command_id: str) -> bool:
        """See ``Backend.remembers``."""
        return await self._read(lambda: self._backend.remembers(tenant, command_id))

    async def legible(self, tenant: str, journal_id: str) -> SessionInfo | None:
        """See ``Backend.legible``."""
        return await self._read(lambda: self._backend.legible(tenant, journal_id))

    async def below(self, tenant: str, journal_id: str, *, limit: int = 1000) -> tuple[Known, ...]:
        """See ``Backend.below``."""
        return await self._read(lambda: self._backend.below(tenant, journal_id, limit=bounded(limit)))

    async def waiting_tenants(self, kind: str, *, after: str = "", limit: int = 1000) -> tuple[str, ...]:
        """See ``Backend.waiting_tenants``."""
        return await self._read(lambda: self._backend.waiting_tenants(kind, after=after, limit=bounded(limit)))

    async def taken(self, tenant: str, sessions: Sequence[NewSession]) -> set[str]:
        """See ``Backend.taken``."""
        return await self._read(lambda: self._backend.taken(tenant, sessions))

    async def unavailable(self) -> tuple[str, ...]:
        """See ``Store.unavailable``: one that does not answer says so itself."""
        return ()

    async def row(self, tenant: str, journal_id: str) -> SessionInfo | None:
        """The projection row by journal id."""
        return await self._read(lambda: self._backend.row(tenant, journal_id))

    async def rows(
        self, tenant: str, wanted: Filter, *, after: str | None = None, limit: int = 100
    ) -> tuple[tuple[SessionInfo, ...], str | None]:
        """A page of rows and the cursor of the next."""
        return await self._read(lambda: self._backend.rows(tenant, wanted, after=after, limit=bounded(limit)))

    async def count(self, tenant: str, wanted: Filter) -> int:
        """How many sessions match."""
        return await self._read(lambda: self._backend.count(tenant, wanted))

    async def beginning(self, tenant: str, journal_id: str, *, share: bool = False) -> Beginning:
        """What an activation needs, but for the records that do not fit into one page.

        Args:
            tenant: Whose.
            journal_id: The session's.
            share: Leave out what a fork shares with its source, when it is large: see ``Beginning.shared``.
        """
        return await self._read(lambda: beginning(self._backend, tenant, journal_id, share=share))

    async def folded(self, tenant: str, journal_id: str, upto: int) -> Any:
        """``state`` as it is in memory, which nobody may change."""
        return (await self._read(lambda: self._folder.folded(tenant, journal_id, upto), self._folders)).state

    async def place(self, tenant: str, journal_id: str, seq: int) -> Place:
        """Whose own record the one at this place is; the session's own, unless it is a fork and shares it."""
        beginnings = await self._read(lambda: self._backend.beginnings(tenant, journal_id))
        holders = (one.journal_id for one in beginnings if seq <= one.upto)
        return Place(tenant, next(holders, journal_id), seq)

    async def state(self, tenant: str, journal_id: str, *, upto: int | None = None) -> Snapshot:
        """The fold at a seq (the head when None, or when there is no such seq yet), without activating anything.

        Raises:
            SessionNotFound: No such journal.
            InvalidRequest: ``upto`` is less than 1.
        """
        return await self._read(lambda: self._folder.at(tenant, journal_id, upto), self._folders)

    async def snapshot(self, tenant: str, journal_id: str) -> Snapshot | None:
        """The newest snapshot."""
        return await self._read(lambda: self._backend.snapshot(tenant, journal_id))

    async def records(
        self, tenant: str, journal_id: str, *, after: int = 0, limit: int = 1000
    ) -> tuple[StoredRecord, ...]:
        """A page of records."""
        return await self._read(lambda: self._backend.records(tenant, journal_id, after=after, limit=bounded(limit)))

    async def first_outcome(self, tenant: str, journal_id: str, command_id: str) -> FirstOutcome | None:
        """What a command led to when it was first sent."""
        return await self._read(lambda: self._backend.first_outcome(tenant, journal_id, command_id))

    async def blobs(self, tenant: str, digests: Sequence[str]) -> dict[str, bytes]:
        """The blobs that exist among these."""
        return await self._read(lambda: self._backend.blobs(tenant, digests))

    async def actions(
        self,
        tenant: str,
        *,
        journal_id: str | None = None,
        tree: bool = False,
        pending: bool = True,
        kind: str | None = None,
        action_id: str | None = None,
        after: str | None = None,
        limit: int = 100,
    ) -> tuple[tuple[Action, ...], str | None]:
        """A page of actions, oldest first."""
        return await self._read(
            lambda: self._backend.actions(
                tenant,
                journal_id=journal_id,
                tree=tree,
                pending=pending,
                kind=kind,
                action_id=action_id,
                after=after,
                limit=bounded(limit),
            )
        )

    async def spent(
        self,
        tenant: str,
        *,
        journal_id: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> tuple[SpentOn, ...]:
        """What model calls took, by day and model."""
        return await self._read(lambda: self._backend.spent(tenant, journal_id=journal_id, since=since, until=until))

    async def receivers(
        self, *, after: tuple[str, str] | None = None, limit: int = 1000
    ) -> tuple[tuple[str, str], ...]:
        """Over all tenants: (tenant, journal_id) of those for whom messages wait."""
        return await self._read(lambda: self._backend.receivers(after=after, limit=bounded(limit)))

    async def letters(self, tenant: str, target_journal_id: str, *, limit: int = 100) -> tuple[Letter, ...]:
        """What waits for a receiver, each sender's messages in their order."""
        return await self._read(lambda: self._backend.letters(tenant, target_journal_id, limit=bounded(limit)))

    async def results(self, tenant: str, journal_id: str, call_id: str | None = None) -> tuple[StoredResult, ...]:
        """What hosts wrote down of a journal's attempts, or of one call's; see ``KeptBeside.results``."""
        return await self._read(lambda: sendable(self._backend.results(tenant, journal_id), call_id))

    async def servers(self) -> tuple[tuple[str, str, KnownServer], ...]:
        """See ``Backend.servers``."""
        return await self._read(self._backend.servers)

    async def due(self, now: datetime, *, limit: int = 1000) -> tuple[Due, ...]:
        """Sessions of all tenants that should live in an actor now."""
        return await self._read(lambda: self._backend.due(now, limit=bounded(limit, MAX_DUE)))

    async def next_wake(self) -> datetime | None:
        """The nearest timer of any session."""
        return await self._read(self._backend.next_wake)

    async def stats(self) -> dict[str, Any]:
        """Sizes and counts, for people."""
        return {**await self._read(self._backend.stats), "readers_waiting": self._watchers.count}

    # --- waiting ---------------------------------------------------------------------------------------------------

    async def wait(self, tenant: str, journal_id: str, *, after: int, wait_s: float) -> int:
        """Return the head as soon as it is greater than ``after``, or after ``wait_s`` (at most 30) seconds.

        Raises:
            SessionNotFound: No such journal, or destroyed while waiting.
            Overloaded: Too many wait.
        """
        with self._watchers.subscribed((tenant, journal_id)) as news:
            head = await self._head(tenant, journal_id)
            with suppress(TimeoutError):
                async with asyncio.timeout(min(max(wait_s, 0.0), MAX_WAIT_S)):
                    while head <= after:
                        head = await self._next_head(tenant, journal_id, head, news)
            return head

    async def _next_head(self, tenant: str, journal_id: str, head: int, news: Subscription) -> int:
        records = await news.next(head)
        return records[-1].seq if records else await self._head(tenant, journal_id)

    async def _head(self, tenant: str, journal_id: str) -> int:
        row = await self.row(tenant, journal_id)
        if row is None:
            raise SessionNotFound(journal_id)
        return row.head_seq

    async def follow(self, tenant: str, journal_id: str, *, after: int = 0) -> AsyncGenerator[tuple[StoredRecord, ...]]:
        """Records as they are committed, in order, without an end; close the iterator to stop.

        Raises:
            SessionNotFound: No such journal, or destroyed.
            StoreUnavailable: A record of the journal could not be written; follow again from the last one that came.
            Overloaded: Too many follow.
        """
        with self._watchers.subscribed((tenant, journal_id), outages=True) as news:
            while True:
                page = await self.records(tenant, journal_id, after=after, limit=_FOLLOW_PAGE)
                live = is_last(page, _FOLLOW_PAGE)
                while page or live:
                    for piece in pieces(page):
                        yield piece
                        after = piece[-1].seq
                    page = await news.next(after) if live else ()
                    live = live and bool(page)

    async def hints(self) -> AsyncGenerator[tuple[Hint, ...]]:
        """What commits from now on mean for the registry, at most one hint per journal at a time; no end."""
        with self._hints.subscribed() as feed:
            while True:
                yield await feed.next()
