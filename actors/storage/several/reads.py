"""The reading half of several stores: of one session from the store it lives in, of all from each."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from datetime import datetime
from itertools import zip_longest
from operator import itemgetter
from typing import Any, TypeVar

from actors.domain.actions import Action
from actors.domain.journal import (
    Due,
    Filter,
    FirstOutcome,
    Known,
    Letter,
    Snapshot,
    StoredRecord,
    StoredResult,
    StoreIdentity,
)
from actors.domain.mcp import KnownServer
from actors.domain.session import SessionInfo
from actors.domain.usage import SpentOn
from actors.errors import StoreUnavailable
from actors.storage.beginning import Beginning
from actors.storage.moments import micros
from actors.storage.rules import MAX_DUE, bounded
from actors.storage.service import StoreService
from actors.storage.several.homes import Homes, answered
from actors.storage.several.member import Member
from actors.storage.several.merging import Found, added, merged
from actors.storage.shelf import Place
from actors.storage.watch import Hint, Hints

T = TypeVar("T")


class SeveralReads:
    """Reads of several stores.

    Lists over all of them, and their counts, are of those that can answer, and ``unavailable`` names the others.
    What was spent is of all or of none.

    Args:
        homes: The stores, and who lives where.
        hints: Where all of them announce their commits.
    """

    def __init__(self, homes: Homes, hints: Hints) -> None:
        self._homes = homes
        self._hints = hints

    async def _in(self, tenant: str, journal_id: str) -> StoreService:
        return (await self._homes.of(tenant, journal_id)).service

    async def identity(self) -> StoreIdentity:
        """Who the default store is."""
        return await self._homes.default.service.identity()

    async def unavailable(self) -> tuple[str, ...]:
        """See ``Store.unavailable``."""
        return tuple(member.place.name for member in self._homes.members if member.is_away)

    # --- of one session --------------------------------------------------------------------------------------------

    async def find(self, tenant: str, session_id: str) -> SessionInfo | None:
        """See ``Homes.find``."""
        return await self._homes.find(tenant, session_id)

    async def row(self, tenant: str, journal_id: str) -> SessionInfo | None:
        """The projection row by journal id."""
        return await (await self._in(tenant, journal_id)).row(tenant, journal_id)

    async def beginning(self, tenant: str, journal_id: str, *, share: bool = False) -> Beginning:
        """See ``StoreService.beginning``."""
        return await (await self._in(tenant, journal_id)).beginning(tenant, journal_id, share=share)

    async def folded(self, tenant: str, journal_id: str, upto: int) -> Any:
        """See ``StoreService.folded``."""
        return await (await self._in(tenant, journal_id)).folded(tenant, journal_id, upto)

    async def place(self, tenant: str, journal_id: str, seq: int) -> Place:
        """See ``StoreService.place``."""
        return await (await self._in(tenant, journal_id)).place(tenant, journal_id, seq)

    async def state(self, tenant: str, journal_id: str, *, upto: int | None = None) -> Snapshot:
        """See ``StoreService.state``."""
        return await (await self._in(tenant, journal_id)).state(tenant, journal_id, upto=upto)

    async def records(
        self, tenant: str, journal_id: str, *, after: int = 0, limit: int = 1000
    ) -> tuple[StoredRecord, ...]:
        """A page of records."""
        return await (await self._in(tenant, journal_id)).records(tenant, journal_id, after=after, limit=limit)

    async def first_outcome(self, tenant: str, journal_id: str, command_id: str) -> FirstOutcome | None:
        """What a command led to when it was first sent."""
        return await (await self._in(tenant, journal_id)).first_outcome(tenant, journal_id, command_id)

    async def results(self, tenant: str, journal_id: str, call_id: str | None = None) -> tuple[StoredResult, ...]:
        """See ``StoreService.results``."""
        return await (await self._in(tenant, journal_id)).results(tenant, journal_id, call_id)

    async def wait(self, tenant: str, journal_id: str, *, after: int, wait_s: float) -> int:
        """See ``StoreService.wait``."""
        return await (await self._in(tenant, journal_id)).wait(tenant, journal_id, after=after, wait_s=wait_s)

    async def follow(self, tenant: str, journal_id: str, *, after: int = 0) -> AsyncGenerator[tuple[StoredRecord, ...]]:
        """See ``StoreService.follow``."""
        store = await self._in(tenant, journal_id)
        async with aclosing(store.follow(tenant, journal_id, after=after)) as pages:
            async for page in pages:
                yield page

    # --- of many ---------------------------------------------------------------------------------------------------

    async def known(self, tenant: str, session_id: str) -> Known | None:
        """See ``Store.known``."""
        return await self._homes.named(tenant, session_id)

    async def below(self, tenant: str, journal_id: str, *, limit: int = 1000) -> tuple[Known, ...]:
        """See ``Store.below``; families live in one store."""
        return await (await self._in(tenant, journal_id)).below(tenant, journal_id, limit=limit)

    async def waiting_tenants(self, kind: str, *, after: str = "", limit: int = 1000) -> tuple[str, ...]:
        """See ``Store.waiting_tenants``."""
        pages = await self._homes.answers(lambda store: store.waiting_tenants(kind, after=after, limit=limit))
        return tuple(sorted({one for page in pages for one in page})[: bounded(limit)])

    async def _of(
        self, tenant: str, journal_id: str | None, question: Callable[[StoreService], Awaitable[T]]
    ) -> list[T]:
        """What the store of one session answers, or what all do when there is none."""
        home = None if journal_id is None else await self._homes.known(tenant, journal_id)
        return await self._homes.answers(question) if home is None else [await question(home.service)]

    async def _of_all(
        self, tenant: str, journal_id: str | None, question: Callable[[StoreService], Awaitable[T]]
    ) -> list[T]:
        """The same, for what would be wrong without a part. Raises StoreUnavailable when a store does not answer."""
        home = None if journal_id is None else await self._homes.known(tenant, journal_id)
        return await self._homes.all_answers(question) if home is None else [await question(home.service)]

    async def rows(
        self, tenant: str, wanted: Filter, *, after: str | None = None, limit: int = 100
    ) -> Found[SessionInfo]:
        """A page of rows, newest update first, and the cursor of the next."""
        most = bounded(limit)
        pages = await self._of(
            tenant, wanted.parent_journal_id, lambda store: store.rows(tenant, wanted, after=after, limit=most)
        )
        return merged(pages, lambda row: (micros(row.updated_at), row.journal_id), most, newest=True)

    async def count(self, tenant: str, wanted: Filter) -> int:
        """How many sessions match."""
        return sum(await self._of(tenant, wanted.parent_journal_id, lambda store: store.count(tenant, wanted)))

    async def actions(
        self, tenant: str, *, journal_id: str | None = None, after: str | None = None, limit: int = 100, **wanted: Any
    ) -> Found[Action]:
        """A page of actions, oldest first."""
        most = bounded(limit)
        pages = await self._of(
            tenant,
            journal_id,
            lambda store: store.actions(tenant, journal_id=journal_id, after=after, limit=most, **wanted),
        )
        return merged(pages, lambda one: (micros(one.requested_at), one.action_id), most, newest=False)

    async def spent(
        self,
        tenant: str,
        *,
        journal_id: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> tuple[SpentOn, ...]:
        """What model calls took, by day and model."""
        return added(
            await self._of_all(
                tenant,
                journal_id,
                lambda store: store.spent(tenant, journal_id=journal_id, since=since, until=until),
            )
        )

    async def blobs(self, tenant: str, digests: Sequence[str]) -> dict[str, bytes]:
        """The blobs that exist among these, wherever they are.

        Raises:
            StoreUnavailable: some may be in a store that cannot be asked now.
        """
        found: dict[str, bytes] = {}
        missing: StoreUnavailable | None = None
        for member in self._homes.members:
            rest = [digest for digest in digests if digest not in found]
            if not rest:
                return found
            answer = await member.ask(lambda store, rest=rest: store.blobs(tenant, rest))
            if isinstance(answer, StoreUnavailable):
                missing = missing or answer
            else:
                found |= answer
        if missing is not None and any(digest not in found for digest in digests):
            raise missing
        return found

    # --- for the registry ------------------------------------------------------------------------------------------

    async def receivers(
        self, *, after: tuple[str, str] | None = None, limit: int = 1000
    ) -> tuple[tuple[str, str], ...]:
        """Over all tenants: (tenant, journal_id) of those for whom messages wait, in order, behind ``after``."""
        most = bounded(limit)
        pages = await self._homes.answers(lambda store: store.receivers(after=after, limit=most))
        return tuple(sorted({one for page in pages for one in page})[:most])

    async def letters(self, tenant: str, target_journal_id: str, *, limit: int = 100) -> tuple[Letter, ...]:
        """What waits for a receiver. Families live in one store: nobody has letters in two."""
        pages = await self._of(
            tenant, target_journal_id, lambda store: store.letters(tenant, target_journal_id, limit=limit)
        )
        return tuple(letter for page in pages for letter in page)

    async def servers(self) -> tuple[tuple[str, str, KnownServer], ...]:
        """See ``Backend.servers``."""
        return tuple(
            sorted((one for found in await self._homes.answers(_servers) for one in found), key=itemgetter(0, 1))
        )

    async def due(self, now: datetime, *, limit: int = 1000) -> tuple[Due, ...]:
        """Sessions of all tenants that should live in an actor now; of each store as many as of any other."""
        most = bounded(limit, MAX_DUE)
        found = await self._homes.everywhere(lambda store: store.due(now, limit=most))
        for member, rows in zip(self._homes.members, found, strict=True):
            self._settle(member, rows if not isinstance(rows, StoreUnavailable) else ())
        in_turn = zip_longest(*answered(found))
        return tuple(row for some in in_turn for row in some if row is not None)[:most]

    def _settle(self, member: Member, rows: Sequence[Due]) -> None:
        for row in rows:
            self._homes.settle(row.tenant, row.journal_id, member)

    async def next_wake(self) -> datetime | None:
        """The nearest timer of any session."""
        return min((one for one in await self._homes.answers(_next_wake) if one is not None), default=None)

    async def stats(self) -> dict[str, Any]:
        """Sizes and counts of the default store, and of each other one by its name."""
        found = await self._homes.everywhere(_stats)
        first, *rest = ({"error": one.message} if isinstance(one, StoreUnavailable) else one for one in found)
        names = (member.place.name for member in self._homes.members[1:])
        return {**first, "stores": dict(zip(names, rest, strict=True))}

    async def hints(self) -> AsyncGenerator[tuple[Hint, ...]]:
        """What commits in any store mean for the registry from now on; no end."""
        with self._hints.subscribed() as feed:
            while True:
                yield await feed.next()


async def _servers(store: StoreService) -> tuple[tuple[str, str, KnownServer], ...]:
    return await store.servers()


async def _next_wake(store: StoreService) -> datetime | None:
    return await store.next_wake()


async def _stats(store: StoreService) -> dict[str, Any]:
    return await store.stats()
