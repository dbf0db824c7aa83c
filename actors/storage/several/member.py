"""The boundary between one store of several and the others: what goes wrong in it stays in it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from actors.domain.stores import DEFAULT_STORE, StorePlace
from actors.errors import GreenroomError, RowCorrupt, StoreError, StoreUnavailable, Superseded
from actors.storage.service import StoreService

log = logging.getLogger(__name__)

PATIENCE_S: Final = 5.0
"""Longest wait for one store in a question to all of them: as long as a database waits for its own locks."""

PAUSE_S: Final = 1.0
"""A store that failed is left out of questions to all for so long, so that one that hangs does not make each of them
hang; and so often a store that could not be opened is tried again."""

T = TypeVar("T")


class Member:
    """One of several stores."""

    def __init__(self, place: StorePlace, service: StoreService) -> None:
        self.place = place
        self.service = service
        self._terms = (0, 0)
        self._counting = asyncio.Lock()
        self._away_until = 0.0
        self._opening: asyncio.Task[None] | None = None

    @property
    def is_away(self) -> bool:
        """Whether it failed just now."""
        return asyncio.get_running_loop().time() < self._away_until

    async def open(self) -> None:
        """Open the store; one that cannot be reached now is tried again until it can.

        Raises:
            StoreError: it cannot work as it is. The default store also when it cannot be reached.
        """
        try:
            await self.service.open()
        except StoreUnavailable as error:
            if self.place.name == DEFAULT_STORE:
                raise
            log.warning("store %s is opened again in a second: %s", self.place.name, error)
            self._opening = asyncio.get_running_loop().create_task(self._reopen())

    async def _reopen(self) -> None:
        while True:
            await asyncio.sleep(PAUSE_S)
            try:
                await self.service.open()
            except GreenroomError as error:
                log.warning("store %s is opened again in a second: %s", self.place.name, error)
            else:
                return

    async def close(self) -> None:
        """Stop trying, and close the store."""
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait([self._opening])
        await self.service.close()

    async def own_term(self, term: int, newest: int) -> int:
        """What a registry's term is in this store: a term of its own, begun when that registry first takes something.

        Args:
            term: The registry's, counted by the default store.
            newest: The newest that began here; 0 when none did yet.

        Raises:
            Superseded: a newer registry is known.
        """
        async with self._counting:
            known, own = self._terms
            if term < max(known, newest):
                raise Superseded(term, max(known, newest))
            if term > known:
                own = await self.service.next_term()
                self._terms = (term, own)
            return own

    def named(self, error: StoreError) -> StoreUnavailable:
        """What is wrong, with the store's name in it."""
        detail = error.detail if isinstance(error, StoreUnavailable) else error.message
        return StoreUnavailable(f"store {self.place.name}: {detail}")

    async def ask(self, question: Callable[[StoreService], Awaitable[T]]) -> T | StoreUnavailable:
        """Its answer to a question that others are asked as well; an error when it has none in time.

        Raises:
            RowCorrupt: what it has of the session that was asked for cannot be read.
        """
        if self.is_away:
            return StoreUnavailable(f"store {self.place.name}: it failed a moment ago", PAUSE_S)
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await question(self.service)
        except TimeoutError:
            error = self.named(StoreUnavailable("it does not answer"))
        except RowCorrupt:
            # It has answered; what is wrong is one session's.
            raise
        except StoreError as failed:
            error = self.named(failed)
        self._away_until = asyncio.get_running_loop().time() + PAUSE_S
        return error
