"""Somebody who reads a session's events and comes back by cursor whenever the way breaks."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress

from actors import SessionHandle
from actors.domain.records import RecordBase
from actors.errors import GreenroomError
from tests.chaos.asking import AGAIN_S

CATCH_UP_S = 60.0
"""Longest wait for what was read along to be complete."""


class Reader:
    """Reads along.

    Attributes:
        seen: Sequence numbers of the records that came, in their order.
        returned: How often the way broke.
    """

    def __init__(self, session: SessionHandle) -> None:
        self.seen: list[int] = []
        self.returned = 0
        self._session = session

    async def read(self) -> None:
        """Read until cancelled."""
        while True:
            try:
                async with aclosing(self._session.events(after=self._cursor, follow=True)) as events:
                    async for event in events:
                        if isinstance(event, RecordBase):
                            self.seen.append(event.seq)
            except GreenroomError:
                self.returned += 1
            await asyncio.sleep(AGAIN_S)

    async def caught_up(self, head: int) -> bool:
        """Whether it comes to see a record within a minute."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CATCH_UP_S):
                while self._cursor < head:  # noqa: ASYNC110 - nobody announces it
                    await asyncio.sleep(AGAIN_S)
        return self._cursor >= head

    @property
    def _cursor(self) -> int:
        return self.seen[-1] if self.seen else 0
