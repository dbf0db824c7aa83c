"""What seats tell of their memory, and what follows from it: replacement, or an end at once.

Above is whoever hears the seats' signs of life; ``actors.policy.memory`` says what is too much.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from actors.policy.memory import MB, MemoryLimits, Weight, cause, weighed
from actors.residency.placement import Placement, Pool
from actors.residency.seats import Seats
from actors.residency.suspects import Suspects

log = logging.getLogger(__name__)


class Scales:
    """Weighs the seats.

    Args:
        placed: The residents, by journal id.
    """

    def __init__(
        self,
        seats: Seats,
        pool: Pool,
        limits: MemoryLimits,
        placed: Mapping[str, Placement],
        suspects: Suspects,
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
    ) -> None:
        self._seats = seats
        self._pool = pool
        self._limits = limits
        self._placed = placed
        self._suspects = suspects
        self._spawn = spawn

    def weigh(self, seat_id: str, private_bytes: int, weights: Mapping[str, int]) -> None:
        """A seat tells how much memory it has to itself, and what each of its sessions holds.

        One that has grown is replaced when its sessions have come to rest. One that has grown too far is killed, and
        the session that is taken for the cause has a process to itself from then on.
        """
        weight = weighed(private_bytes, self._limits)
        if weight is Weight.fine or seat_id not in self._seats.known:
            return
        self._seats.wear_out(seat_id)
        if weight is Weight.too_heavy:
            self._spawn(self._kill(seat_id, private_bytes, weights))

    async def _kill(self, seat_id: str, private_bytes: int, weights: Mapping[str, int]) -> None:
        busy = {one.journal_id for one in self._placed.values() if one.seat.seat_id == seat_id and one.busy}
        named = cause(weights, busy)
        allowed = self._limits.hard_bytes // MB
        why = f"its process had grown to {private_bytes // MB} MB of memory, of {allowed} allowed"
        log.error("%s is killed: session %s: %s", seat_id, named, why)
        if named is not None:
            self._suspects.condemn(seat_id, named, why)
        await self._pool.kill(self._seats.known[seat_id].seat)
