"""The way to the registry, over its restarts, and to whoever has taken its place."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from actors.cluster.links import actor_named, awaited
from actors.errors import GreenroomError, Superseded, TransportLost
from actors.peers import RuntimeInfo

ASK_S: Final = 60.0
"""How long a question to the registry is repeated: Ray starts a dead one again in about two seconds."""

RETRY_FIRST_S, RETRY_MAX_S = 0.05, 1.0
"""Bounds of the back-off between two questions."""

FIND_S: Final = 2.0
"""Longest wait for the store's word of who the registry is; it says so in milliseconds, unless it is what is broken."""


class RegistryLink:
    """One process's way to the registry."""

    def __init__(self, info: RuntimeInfo) -> None:
        self._store = info.store.name
        self.follow(info)

    def follow(self, info: RuntimeInfo) -> None:
        """A registry has presented itself."""
        self._name = info.registry.name
        self._handle = actor_named(self._name)

    async def ask(self, method: str, *args: Any) -> Any:
        """Ask the registry; every question of this kind may be asked twice.

        Raises:
            TransportLost: there was none within a minute.
            GreenroomError: its answer.
        """
        deadline = asyncio.get_running_loop().time() + ASK_S
        delay = RETRY_FIRST_S
        while True:
            try:
                return await awaited(getattr(await self._found(), method).remote(*args), "the registry")
            except (TransportLost, Superseded):
                self._handle = None
                if asyncio.get_running_loop().time() > deadline:
                    raise
            await asyncio.sleep(delay)
            delay = min(delay * 2, RETRY_MAX_S)

    def tell(self, method: str, *args: Any) -> None:
        """Tell the registry something that it would also learn without."""
        if self._handle is not None:
            getattr(self._handle, method).remote(*args)

    async def _found(self) -> Any:
        if self._handle is None:
            self._name = await self._as_the_store_says() or self._name
            self._handle = await asyncio.to_thread(actor_named, self._name)
        if self._handle is None:
            raise TransportLost("the registry")
        return self._handle

    async def _as_the_store_says(self) -> str:
        store = await asyncio.to_thread(actor_named, self._store)
        try:
            async with asyncio.timeout(FIND_S):
                return await awaited(store.registry.remote(), self._store) if store is not None else ""
        except (TimeoutError, GreenroomError):
            return ""
