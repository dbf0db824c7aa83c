"""What a runtime does without being asked: supervision and delivery, both told of commits by the store.

Above is whoever owns the residency (the registry, or a local runtime).
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Protocol

from actors.errors import GreenroomError
from actors.residency.delivery import Delivery
from actors.residency.residency import Residency
from actors.residency.supervisor import Supervisor
from actors.session.ports import Store
from actors.storage.watch import Hint

log = logging.getLogger(__name__)

RETRY_S = 1.0
"""Pause before the store is listened to again, which was restarted or whose connection was lost; and so long after
listening began everything is looked at once more, for what was committed just before."""


class TellingStore(Store, Protocol):
    """A store that tells of commits."""

    def hints(self) -> AsyncIterator[tuple[Hint, ...]]:
        """What each commit may mean for the runtime, without an end."""
        ...


class Upkeep:
    """Sees to it that what has to go on goes on."""

    def __init__(self, store: TellingStore, residency: Residency) -> None:
        self._store = store
        self._supervisor = Supervisor(store, residency)
        self._delivery = Delivery(store, residency)

    def start(self) -> None:
        """Begin with what is left from before."""
        self._supervisor.start()
        self._delivery.start()
        self._listening = asyncio.get_running_loop().create_task(self._listen(), context=contextvars.Context())

    def hint(self) -> None:
        """Some session may need an actor."""
        self._supervisor.hint()

    async def close(self) -> None:
        """Stop."""
        self._listening.cancel()
        with suppress(asyncio.CancelledError):
            await self._listening
        await self._delivery.close()
        await self._supervisor.close()

    async def _listen(self) -> None:
        while True:
            looking = asyncio.get_running_loop().call_later(RETRY_S, self._look)
            try:
                async for hints in self._store.hints():
                    self._supervisor.hear(hints)
                    self._delivery.hear(hints)
            except GreenroomError as exc:
                log.info("hints of the store stopped: %s", exc)
            finally:
                looking.cancel()
            await asyncio.sleep(RETRY_S)
            self._look()

    def _look(self) -> None:
        self._supervisor.hint()
        self._delivery.look()
