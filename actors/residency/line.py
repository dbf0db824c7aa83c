"""The line of those who wait for a place: first come, first served, and those who cannot be served are told when."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from actors.errors import Overloaded
from actors.residency.placement import Seat

MAX_WAITING: Final = 10_000
"""Activations that may wait for a place; each is one small future, and none waits longer than ``wait_s``."""

_REMEMBERED: Final = 32
"""Places given lately that the rate is estimated from: a few seconds of a busy pool."""

_UNKNOWN_S, _SOONEST_S, _LATEST_S = 5.0, 0.5, 60.0
"""The estimate before anything is known, and its bounds: below, trying again costs more than waiting; above, it would
be a guess about another time."""

Turn = asyncio.Future[Seat]
"""Somebody's turn: done with the seat that has a place."""


class Line:
    """Those who wait for a place.

    Args:
        most: How many may wait.
        clock: Seconds from anywhere, never backwards; the loop's time when None.
    """

    def __init__(self, most: int = MAX_WAITING, clock: Callable[[], float] | None = None) -> None:
        self._most = most
        self._clock = clock
        self._turns: dict[int, Turn] = {}
        self._alone: dict[int, Turn] = {}
        self._last = 0
        self._given: deque[float] = deque(maxlen=_REMEMBERED)

    def __len__(self) -> int:
        return len(self._turns) + len(self._alone)

    @property
    def alone(self) -> int:
        """Those who wait for a seat to themselves."""
        return len(self._alone)

    def has(self, *, alone: bool) -> bool:
        """Whether somebody waits for a place, or for a seat alone."""
        return bool(self._alone if alone else self._turns)

    def join(self, *, alone: bool = False) -> int:
        """Take the last place in the line; returns the number to wait with.

        Args:
            alone: Only a seat with nobody in it will do.

        Raises:
            Overloaded: the line is too long.
        """
        if len(self) >= self._most:
            raise Overloaded("too many sessions wait for a session actor", self.estimate())
        self._last += 1
        (self._alone if alone else self._turns)[self._last] = asyncio.get_running_loop().create_future()
        return self._last

    async def wait(self, number: int, wait_s: float, give_back: Callable[[Seat], None]) -> Seat:
        """Wait for one's turn, and leave the line in any case.

        Args:
            number: From ``join``.
            wait_s: Seconds at most.
            give_back: Takes a place that came at the moment at which the caller was cancelled.

        Raises:
            Overloaded: it did not come in time; says when it may be worth trying again.
        """
        turn = self._turns.get(number) or self._alone[number]
        try:
            await asyncio.wait([turn], timeout=wait_s)
        except asyncio.CancelledError:
            if turn.done():
                give_back(turn.result())
            raise
        finally:
            self._turns.pop(number, None)
            self._alone.pop(number, None)
        if not turn.done():
            raise Overloaded("all session actors are busy", self.estimate())
        return turn.result()

    def serve(self, seat: Seat, *, alone: bool = False) -> None:
        """Give a place in a seat to whoever has waited longest for one, or for a seat alone: there is somebody."""
        turns = self._alone if alone else self._turns
        turns.pop(next(iter(turns))).set_result(seat)
        self.count()

    def count(self) -> None:
        """A place was given."""
        self._given.append(self._now())

    def estimate(self) -> float:
        """Seconds until whoever comes now would have a place, from how fast places were given lately."""
        if len(self._given) < 2:
            return _UNKNOWN_S
        pace = (self._now() - self._given[0]) / len(self._given)
        return round(min(max(pace * (len(self) + 1), _SOONEST_S), _LATEST_S), 1)

    def _now(self) -> float:
        return self._clock() if self._clock else asyncio.get_running_loop().time()
