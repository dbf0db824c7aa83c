"""Forgets what nobody uses any more: sessions whose time is over, and what nothing refers to.

Above is the supervisor, which runs it beside its other watches. It asks the store for a little at a time, and between
two requests everybody else gets their turn. A session that is resident when its time is over learns of it by its next
append.
"""

from __future__ import annotations

import asyncio
import logging

from actors.domain.ids import utc_now
from actors.domain.retention import Retention
from actors.errors import GreenroomError
from actors.session.ports import Store

log = logging.getLogger(__name__)

EVERY_S = 60.0
"""Pause between two rounds: what is measured in days need not be forgotten within a minute."""

AT_ONCE = 100
"""Sessions of one request, each a commit of its own."""

ROWS_AT_ONCE = 1000
"""Rows of each kind that nothing refers to: some 10 ms of the writer's time."""

BREATH_S = 0.05
"""Pause between two requests of one round: the writer spends most of its time on those who wait for it."""


class Housekeeper:
    """Rounds through the store, without an end."""

    def __init__(self, store: Store, retention: Retention) -> None:
        self._store = store
        self._retention = retention

    async def go_round(self) -> None:
        """Clean up every minute."""
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                await self.clean()
            except GreenroomError as exc:
                log.info("housekeeping waits for the store: %s", exc)
            except Exception:
                log.exception("housekeeping failed in its own code and goes on")

    async def clean(self) -> None:
        """One round: until there is nothing left to forget."""
        while True:
            now = utc_now()
            gone = await self._store.expire(now, self._retention, limit=AT_ONCE)
            if gone:
                log.info("%d sessions were not used for as long as they are kept, and are destroyed", len(gone))
            if not gone and not await self._store.purge(now, limit=ROWS_AT_ONCE):
                return
            await asyncio.sleep(BREATH_S)
