"""Seats are started ahead of demand, ended after a quiet time, and replaced when they are worn."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from actors.policy.warmth import to_end, to_start
from actors.residency.placement import Pool, ResidencyLimits
from actors.residency.seats import Seats, Use

log = logging.getLogger(__name__)

PATIENCE_S = 2.0
"""How long a seat may take to start before its place is looked for elsewhere as well, and the pause after a failed
start: one takes 0.8 s, and one that the cluster has no memory for never ends."""

RISING_S = 10.0
"""So long after an activation more are expected: a few times what a start takes."""

LOOK_S = 1.0
"""How often worn and idle seats are looked at."""

Spawn = Callable[[Coroutine[Any, Any, Any]], asyncio.Task[Any]]


class Warming:
    """Keeps the number of seats right.

    Args:
        vacate: Asks the sessions of a seat to leave it as soon as they may.
    """

    def __init__(
        self, seats: Seats, pool: Pool, limits: ResidencyLimits, vacate: Callable[[str], Coroutine[Any, Any, None]],
        spawn: Spawn,
    ) -> None:  # fmt: skip
        self._seats = seats
        self._pool = pool
        self._limits = limits
        self._vacate = vacate
        self._spawn = spawn
        self._starts: dict[int, float] = {}
        self._last_start = 0
        self._activated = float("-inf")
        self._resting_until = float("-inf")

    def activated(self) -> None:
        """A session was given a place: others may follow."""
        self._activated = self._now()
        self.consider()

    def covered(self) -> int:
        """Places that seats on their way will have soon; a start that takes long is not counted on."""
        young = sum(self._now() - since < PATIENCE_S for since in self._starts.values())
        return young * self._limits.seats.per_seat

    # --- more ------------------------------------------------------------------------------------------------------

    def consider(self) -> None:
        """Start what is missing; to be called when anything has changed."""
        if self._now() < self._resting_until:
            return
        for _ in range(to_start(self._crowd(min(RISING_S, self._limits.quiet_s)), self._limits.seats)):
            self._last_start += 1
            self._starts[self._last_start] = self._now()
            self._spawn(self._start(self._last_start))

    async def _start(self, number: int) -> None:
        try:
            seat = await self._pool.grow()
        except Exception as exc:
            log.warning("no further session actor: %s", exc)
            seat = None
        finally:
            del self._starts[number]
        if seat is None:
            self._resting_until = self._now() + PATIENCE_S
        else:
            self._seats.add(seat)

    # --- fewer -----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Look after the seats for as long as the runtime lives."""
        while True:
            self.consider()
            self._retire_worn()
            blank = [use for use in self._seats.known.values() if use.load == 0]
            surplus = to_end(self._crowd(self._limits.quiet_s), self._limits.seats)
            for use in [use for use in blank if not use.retiring][:surplus]:
                use.retiring = True
            for use in blank:
                if use.retiring:
                    await self._end(use)
            await asyncio.sleep(min(LOOK_S, self._limits.quiet_s))

    def _retire_worn(self) -> None:
        """Let one worn seat at a time take no more sessions; its place is another's first."""
        uses = list(self._seats.known.values())
        if any(use.retiring for use in uses):
            for use in uses:
                if use.retiring and use.load:
                    self._spawn(self._vacate(use.seat.seat_id))
            return
        for use in uses:
            if use.worn:
                log.info("%s has served %s sessions and is replaced", use.seat.seat_id, use.activations)
                use.retiring = True
                self.consider()
                return

    async def _end(self, use: Use) -> None:
        self._seats.lose(use.seat.seat_id)
        try:
            await self._pool.end(use.seat)
        except Exception as exc:
            log.info("%s did not end in good order: %s", use.seat.seat_id, exc)

    def _crowd(self, within_s: float) -> Any:
        rising = self._now() - self._activated < within_s
        return self._seats.crowd(starting=len(self._starts), rising=rising)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
