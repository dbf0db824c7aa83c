"""Where each session lives: found by asking the stores once, in their order, and remembered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final, TypeVar

from actors.domain.journal import Known
from actors.domain.session import SessionInfo
from actors.errors import StoreUnavailable
from actors.storage.service import StoreService
from actors.storage.several.member import Member

KNOWN: Final = 100_000
"""Journals and ids whose store is remembered, some 25 MB at most: more than live at a time."""

T = TypeVar("T")
Key = tuple[str, str]
"""Tenant, and journal or session id."""


class Homes:
    """The stores in their order of precedence, the default one first, and who lives where."""

    def __init__(self, members: Sequence[Member]) -> None:
        self.members = tuple(members)
        self.default = self.members[0]
        self._journals: dict[Key, Member] = {}
        self._names: dict[Key, Member] = {}

    async def everywhere(self, question: Callable[[StoreService], Awaitable[T]]) -> list[T | StoreUnavailable]:
        """What each store answers, or why it does not, in their order."""
        return list(await asyncio.gather(*(member.ask(question) for member in self.members)))

    async def answers(self, question: Callable[[StoreService], Awaitable[T]]) -> list[T]:
        """What the stores answer that can; raises when none can."""
        found = await self.everywhere(question)
        return answered(found)

    async def all_answers(self, question: Callable[[StoreService], Awaitable[T]]) -> list[T]:
        """What all stores answer; raises when one cannot."""
        answers: list[T] = []
        for one in await self.everywhere(question):
            if isinstance(one, StoreUnavailable):
                raise one
            answers.append(one)
        return answers

    async def of(self, tenant: str, journal_id: str) -> Member:
        """The store of a journal; of one that is in none, the default store, which says so.

        Raises:
            StoreUnavailable: it may be in a store that cannot be asked now.
        """
        known = self._journals.get((tenant, journal_id))
        if known is not None:
            return known
        if not journal_id:
            return self.default
        member, _ = await self._search(lambda store: store.legible(tenant, journal_id))
        if member is None:
            return self.default
        self.settle(tenant, journal_id, member)
        return member

    async def known(self, tenant: str, journal_id: str) -> Member | None:
        """The store of a journal; None when it is in none. Raises as ``of``."""
        await self.of(tenant, journal_id)
        return self._journals.get((tenant, journal_id))

    async def is_used_elsewhere(self, tenant: str, command_id: str, home: Member) -> bool:
        """Whether a command is known to another store than the one that it is for, and not to that one.

        A store that cannot be asked now is left out, as when ids are given.
        """
        if await home.service.remembers(tenant, command_id):
            return False
        others = (member for member in self.members if member is not home)
        asked = (member.ask(lambda store: store.remembers(tenant, command_id)) for member in others)
        return any(answer is True for answer in await asyncio.gather(*asked))

    async def find(self, tenant: str, session_id: str) -> SessionInfo | None:
        """The row of a session id, of the first store that has it.

        Raises:
            StoreUnavailable: it may be in a store that cannot be asked now.
        """
        known = self._names.get((tenant, session_id))
        if known is not None:
            row = await known.service.find(tenant, session_id)
            if row is not None:
                return row
            self._names.pop((tenant, session_id), None)
        member, row = await self._search(lambda store: store.find(tenant, session_id))
        if member is not None and row is not None:
            _remember(self._names, (tenant, session_id), member)
            self.settle(tenant, row.journal_id, member)
        return row

    async def named(self, tenant: str, session_id: str) -> Known | None:
        """The session of an id, of the first store that has it; raises as ``find``."""
        member, known = await self._search(lambda store: store.known(tenant, session_id))
        if member is not None and known is not None:
            self.settle(tenant, known.journal_id, member)
        return known

    async def _search(self, question: Callable[[StoreService], Awaitable[T | None]]) -> tuple[Member | None, T | None]:
        missing: StoreUnavailable | None = None
        for member in self.members:
            answer = await member.ask(question)
            if isinstance(answer, StoreUnavailable):
                missing = missing or answer
            elif answer is not None:
                return member, answer
        if missing is not None:
            raise missing
        return None, None

    def settle(self, tenant: str, journal_id: str, member: Member) -> None:
        """A journal lives there."""
        _remember(self._journals, (tenant, journal_id), member)


def answered(found: Iterable[T | StoreUnavailable]) -> list[T]:
    """The answers among what stores answered; raises when there is none."""
    answers: list[T] = []
    missing: StoreUnavailable | None = None
    for one in found:
        if isinstance(one, StoreUnavailable):
            missing = missing or one
        else:
            answers.append(one)
    if not answers and missing is not None:
        raise missing
    return answers


def _remember(known: dict[Key, Member], key: Key, member: Member) -> None:
    known.pop(key, None)
    known[key] = member
    if len(known) > KNOWN:
        del known[next(iter(known))]
