"""Several stores as one: ``actors.session.ports.Store`` over the services of each, in one process.

A session is written to one store and stays there, with its forks, its children and all messages between them, so that
what has to be one transaction is one. Each store has a writer and readers of its own: one that hangs or fails delays
nobody in the others. What belongs to no session is in the default store.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Self

from actors.domain.journal import Acquired, Appended, AppendPart, NewSession, Refused, Snapshot, StoredResult
from actors.domain.mcp import KnownServer
from actors.domain.retention import Retention
from actors.domain.session import SnapshotInfo
from actors.domain.stores import DEFAULT_STORE
from actors.errors import CommandConflict, InvalidConfig, StoreUnavailable
from actors.session.ports import Activation
from actors.storage.beginning import Beginning
from actors.storage.service import StoreService
from actors.storage.several.homes import Homes
from actors.storage.several.member import Member
from actors.storage.several.naming import Naming
from actors.storage.several.reads import SeveralReads
from actors.storage.watch import Hints


class SeveralStores(SeveralReads):
    """Stores for one event loop. Open them before use; ``async with`` does, and closes them.

    Args:
        members: In their order of precedence, the default one first.
        hints: What all of them announce their commits to.
    """

    def __init__(self, members: Sequence[Member], hints: Hints) -> None:
        super().__init__(Homes(members), hints)
        self._naming = Naming(self._homes)
        self._term = 0

    # --- life ------------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Open all stores; those that cannot be reached now, but for the default one, later.

        Raises:
            StoreError: one cannot work as it is. None is left open then.
        """
        try:
            for member in self._homes.members:
                await member.open()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Commit what is queued everywhere, and release all stores."""
        await asyncio.gather(*(member.close() for member in self._homes.members))

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def health(self, store: str = DEFAULT_STORE) -> None:
        """Return when the store of this name can read and write, else raise."""
        await self._named(store).service.health()

    def _named(self, store: str) -> Member:
        for member in self._homes.members:
            if member.place.name == store:
                return member
        raise InvalidConfig(f"There is no store {store!r}.")

    # --- births and ends -------------------------------------------------------------------------------------------

    async def create(
        self, tenant: str, command_id: str, digest: str, sessions: Sequence[NewSession], *, store: str = DEFAULT_STORE
    ) -> bool:
        """See ``Store.create``. Forks are born where their source lives, whatever is asked for."""
        origin = next((new.origin for new in sessions if new.origin is not None), None)
        home = self._named(store) if origin is None else await self._homes.of(tenant, origin.journal_id)
        await self._check_new(tenant, command_id, home)
        async with self._naming.giving(sessions, home) as taken:
            if (error := taken.refusal(sessions)) is not None:
                raise error
            created = await home.service.create(tenant, command_id, digest, sessions)
        if created:
            self._settle_births(tenant, sessions, home)
        return created

    async def _check_new(self, tenant: str, command_id: str, home: Member) -> None:
        """Raise CommandConflict when the command was given before, about sessions of another store."""
        if await self._homes.is_used_elsewhere(tenant, command_id, home):
            raise CommandConflict(command_id)

    def _settle_births(self, tenant: str, sessions: Sequence[NewSession], home: Member) -> None:
        for new in sessions:
            self._homes.settle(tenant, new.row.journal_id, home)

    async def destroy(self, tenant: str, journal_id: str, command_id: str, digest: str) -> bool:
        """See ``Backend.destroy``."""
        home = await self._homes.known(tenant, journal_id) if journal_id else None
        if home is not None:
            await self._check_new(tenant, command_id, home)
            return await home.service.destroy(tenant, journal_id, command_id, digest)
        # The session is gone: the store that it was in knows the command, and what it led to.
        return any(await self._homes.answers(lambda one: one.destroy(tenant, journal_id, command_id, digest)))

    async def purge_session(self, tenant: str, journal_id: str, command_id: str, digest: str) -> bool:
        """See ``StoreService.purge_session``."""
        home = await self._homes.known(tenant, journal_id) if journal_id else None
        if home is not None:
            await self._check_new(tenant, command_id, home)
            return await home.service.purge_session(tenant, journal_id, command_id, digest)
        return any(await self._homes.answers(lambda one: one.purge_session(tenant, journal_id, command_id, digest)))

    async def expire(self, now: datetime, retention: Retention, *, limit: int = 100) -> tuple[tuple[str, str], ...]:
        """See ``StoreService.expire``; at most ``limit`` of each store."""
        gone = await self._homes.answers(lambda one: one.expire(now, retention, limit=limit))
        return tuple(key for keys in gone for key in keys)

    async def purge(self, now: datetime, *, limit: int = 1000) -> int:
        """See ``Backend.purge``; at most ``limit`` rows of each kind of each store."""
        return sum(await self._homes.answers(lambda one: one.purge(now, limit=limit)))

    # --- terms and activations -------------------------------------------------------------------------------------

    async def next_term(self) -> int:
        """Begin a registry's term, counted by the default store."""
        self._term = await self._homes.default.service.next_term()
        return self._term

    async def _taking_over(self, tenant: str, journal_id: str, term: int) -> tuple[StoreService, int]:
        """The store of a journal, and what a registry's term is there: each other store counts terms of its own."""
        member = await self._homes.of(tenant, journal_id)
        if member is self._homes.default:
            return member.service, term
        return member.service, await member.own_term(term, self._term)

    async def acquire(self, tenant: str, journal_id: str, term: int, assignment_no: int) -> Acquired:
        """See ``Backend.acquire``."""
        store, own = await self._taking_over(tenant, journal_id, term)
        return await store.acquire(tenant, journal_id, own, assignment_no)

    async def begin(
        self, tenant: str, journal_id: str, term: int, assignment_no: int, *, share: bool
    ) -> tuple[Acquired, Beginning]:
        """See ``StoreService.begin``."""
        store, own = await self._taking_over(tenant, journal_id, term)
        return await store.begin(tenant, journal_id, own, assignment_no, share=share)

    async def activate(self, tenant: str, journal_id: str, term: int, assignment_no: int) -> Activation:
        """See ``Store.activate``."""
        store, own = await self._taking_over(tenant, journal_id, term)
        return await store.activate(tenant, journal_id, own, assignment_no)

    # --- writes of a session ---------------------------------------------------------------------------------------

    async def append(self, part: AppendPart) -> Appended:
        """See ``Store.append``."""
        (answer,) = await self.append_all([part])
        if isinstance(answer, Refused):
            raise answer.error
        return answer

    async def append_all(self, parts: Sequence[AppendPart]) -> list[Appended | Refused]:
        """See ``StoreService.append_all``; the stores write side by side."""
        answers: dict[int, Appended | Refused] = {}
        groups: defaultdict[Member, list[int]] = defaultdict(list)
        for place, part in enumerate(parts):
            try:
                groups[await self._homes.of(part.tenant, part.journal_id)].append(place)
            except StoreUnavailable as error:
                answers[place] = Refused(error)
        if len(groups) == 1 and not answers:
            # By far the most frequent: a process that appends for one session.
            return await self._append_in(next(iter(groups)), parts)
        done = await asyncio.gather(
            *(self._append_in(home, [parts[place] for place in places]) for home, places in groups.items())
        )
        for places, found in zip(groups.values(), done, strict=True):
            answers |= zip(places, found, strict=True)
        return [answers[place] for place in range(len(parts))]

    async def _append_in(self, home: Member, parts: Sequence[AppendPart]) -> list[Appended | Refused]:
        births = [new for part in parts for new in part.creations]
        if not births:
            return await home.service.append_all(parts)
        async with self._naming.giving(births, home) as taken:
            errors = [taken.refusal(part.creations) for part in parts]
            fit = [part for part, error in zip(parts, errors, strict=True) if error is None]
            written = iter(await home.service.append_all(fit))
        return [next(written) if error is None else Refused(error) for error in errors]

    async def take_snapshot(self, tenant: str, journal_id: str) -> SnapshotInfo:
        """See ``StoreService.take_snapshot``."""
        return await (await self._in(tenant, journal_id)).take_snapshot(tenant, journal_id)

    async def put_snapshot(self, tenant: str, journal_id: str, snapshot: Snapshot) -> bool:
        """See ``Backend.put_snapshot``."""
        return await (await self._in(tenant, journal_id)).put_snapshot(tenant, journal_id, snapshot)

    async def put_result(self, tenant: str, journal_id: str, result: StoredResult) -> None:
        """See ``Backend.put_result``."""
        await (await self._in(tenant, journal_id)).put_result(tenant, journal_id, result)

    async def put_server(self, tenant: str, journal_id: str, name: str, server: KnownServer | None) -> None:
        """See ``Backend.put_server``; those that sessions share are in the default store."""
        await (await self._in(tenant, journal_id)).put_server(tenant, journal_id, name, server)

    async def delivered(self, letters: Sequence[tuple[str, str, int]]) -> None:
        """See ``Backend.delivered``; the letters of senders that are gone may be anywhere."""
        groups: defaultdict[Member, list[tuple[str, str, int]]] = defaultdict(list)
        for letter in letters:
            home = await self._homes.known(*letter[:2])
            for member in self._homes.members if home is None else (home,):
                groups[member].append(letter)
        await asyncio.gather(*(member.service.delivered(some) for member, some in groups.items()))
