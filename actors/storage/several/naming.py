"""One session id in one store: ids that are being given are looked for in the other stores, one birth at a time."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from actors.domain.journal import NewSession
from actors.errors import SessionExists
from actors.storage.rules import occupied, session_key
from actors.storage.several.homes import Homes
from actors.storage.several.member import Member

Key = tuple[str, str]
"""Tenant and session key."""


class Taken:
    """The names of sessions in other stores, by tenant."""

    def __init__(self) -> None:
        self._names: defaultdict[str, set[str]] = defaultdict(set)

    def add(self, tenant: str, names: set[str]) -> None:
        """These are taken."""
        self._names[tenant] |= names

    def refusal(self, sessions: Sequence[NewSession]) -> SessionExists | None:
        """The error that lists those of new sessions, of one tenant, whose names are taken."""
        return occupied(sessions, self._names[sessions[0].row.tenant]) if sessions else None


class Naming:
    """The ids that are being given at this moment."""

    def __init__(self, homes: Homes) -> None:
        self._homes = homes
        self._given: dict[Key, asyncio.Event] = {}

    @asynccontextmanager
    async def giving(self, sessions: Sequence[NewSession], home: Member) -> AsyncGenerator[Taken]:
        """Hold the ids of new sessions, and tell which names among theirs are in use in other stores than theirs.

        A store that cannot be asked now is left out: it does not keep the others from being used. An id that it has
        can be given again meanwhile, and is then that of the session in the store that is asked first.
        """
        keys = [(new.row.tenant, session_key(new.row.session_id)) for new in sessions]
        while busy := next((self._given[key] for key in keys if key in self._given), None):
            await busy.wait()
        done = asyncio.Event()
        self._given |= dict.fromkeys(keys, done)
        try:
            yield await self._taken(sessions, home)
        finally:
            for key in keys:
                self._given.pop(key, None)
            done.set()

    async def _taken(self, sessions: Sequence[NewSession], home: Member) -> Taken:
        of_tenants: defaultdict[str, list[NewSession]] = defaultdict(list)
        for new in sessions:
            of_tenants[new.row.tenant].append(new)
        taken = Taken()
        for tenant, some in of_tenants.items():
            asked = (member for member in self._homes.members if member is not home)
            for names in await asyncio.gather(
                *(member.ask(lambda store, of=tenant, new=some: store.taken(of, new)) for member in asked)
            ):
                if isinstance(names, set):
                    taken.add(tenant, names)
        return taken
