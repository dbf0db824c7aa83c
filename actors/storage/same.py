"""The boundary between a client of a store and whatever answers in that store's name.

A store in memory that dies comes back empty under the same name. Its clients are told so once, instead of finding that
their sessions have never been.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from actors.caller import Caller
from actors.domain.journal import StoreIdentity
from actors.errors import StoreLost, TransportLost
from actors.storage import wire


class SameStore:
    """A caller that notices, after a connection was lost, whether the store behind the next one is still the same."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._known: StoreIdentity | None = None
        self._doubtful = True

    async def call(self, method: str, /, **args: Any) -> Any:
        """Call a method of the store.

        Raises:
            StoreLost: another store answers; from the next call on it is the one that is meant.
        """
        try:
            if self._doubtful:
                await self._look()
            return await self._caller.call(method, **args)
        except TransportLost:
            self._doubtful = True
            raise

    async def _look(self) -> None:
        found = wire.identity_in(await self._caller.call("identity"))
        known, self._known, self._doubtful = self._known, found, False
        if known is not None and known.store_id != found.store_id:
            raise StoreLost(known.location)

    def stream(self, method: str, /, **args: Any) -> AsyncIterator[Any]:
        """As the caller's: a reader's place in a journal that is gone is none in any other."""
        return self._caller.stream(method, **args)
