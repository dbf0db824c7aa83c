"""Folded contexts in an object store, for many readers: each is put there once, however many ask for it.

Above is the store actor, which knows Ray and says how something is put; here is what is kept, and for how long. A place
in a journal never changes, so that what was put for it stays right.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

MAX_OBJECTS: Final = 32
"""Objects that are kept: places from which sessions fan out at the same time."""

MAX_BYTES: Final = 256 * 1024 * 1024
"""Bytes that are kept: far below what Ray reserves for its object store, a third of the machine's memory."""

KEEP_S: Final = 60.0
"""Seconds after which an object that nobody asks for is let go: forks of one call are activated within seconds."""


class Place(NamedTuple):
    """A place in the journal whose own record it is: the same for all sessions that share it."""

    tenant: str
    journal_id: str
    seq: int


@dataclass(slots=True)
class Placed:
    """What is in the object store: a reference, which keeps it there, and its size in bytes."""

    reference: Any
    size: int
    asked_at: float = 0.0


Put = Callable[[], Awaitable[Placed | None]]
"""Folds, and puts the outcome into the object store; None when there is no room for it."""


class Shelf:
    """What one store has put into an object store. Lives on one event loop."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Place, Placed] = OrderedDict()
        self._putting: dict[Place, asyncio.Task[Placed | None]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._puts = 0
        self._given = 0

    async def get(self, place: Place, put: Put) -> Any | None:
        """The reference to what is at a place, put there unless it is; None when it cannot be."""
        placed = self._kept.get(place)
        if placed is None:
            placed = await asyncio.shield(self._putting.get(place) or self._begin(place, put))
        if placed is None:
            return None
        self._given += 1
        placed.asked_at = asyncio.get_running_loop().time()
        if place in self._kept:
            self._kept.move_to_end(place)
        return placed.reference

    def _begin(self, place: Place, put: Put) -> asyncio.Task[Placed | None]:
        # A fresh context: Ray cancels through context variables what a call that is cancelled has started.
        task = asyncio.get_running_loop().create_task(self._put(place, put), context=contextvars.Context())
        self._putting[place] = task
        return task

    async def _put(self, place: Place, put: Put) -> Placed | None:
        try:
            placed = await put()
            wanted = place in self._putting
        finally:
            self._putting.pop(place, None)
        if placed is None:
            return None
        self._puts += 1
        if wanted and placed.size <= MAX_BYTES:
            placed.asked_at = asyncio.get_running_loop().time()
            self._kept[place] = placed
            self._make_room()
            self._wind_up()
        return placed

    def _make_room(self) -> None:
        while len(self._kept) > MAX_OBJECTS or self._bytes > MAX_BYTES:
            self._kept.popitem(last=False)

    @property
    def _bytes(self) -> int:
        return sum(placed.size for placed in self._kept.values())

    def _wind_up(self) -> None:
        """Look again when the object that was asked for least recently will have been kept long enough."""
        oldest = next(iter(self._kept.values()), None)
        if self._timer is None and oldest is not None:
            self._timer = asyncio.get_running_loop().call_at(oldest.asked_at + KEEP_S, self._let_go)

    def _let_go(self) -> None:
        self._timer = None
        horizon = asyncio.get_running_loop().time() - KEEP_S
        while self._kept and next(iter(self._kept.values())).asked_at <= horizon:
            self._kept.popitem(last=False)
        self._wind_up()

    def forget(self, tenant: str, journal_id: str) -> None:
        """The journal was destroyed: keep nothing of it. Forks that share it have it put again when they need it."""
        for place in [one for one in (*self._kept, *self._putting) if one[:2] == (tenant, journal_id)]:
            self._kept.pop(place, None)
            self._putting.pop(place, None)

    def stats(self) -> dict[str, int]:
        """Counts since the store began (``puts``, ``given``), and what is kept now (``objects``, ``bytes``)."""
        return {"puts": self._puts, "given": self._given, "objects": len(self._kept), "bytes": self._bytes}

    def close(self) -> None:
        """Let everything go."""
        if self._timer is not None:
            self._timer.cancel()
        self._kept.clear()
        self._putting.clear()
