"""What seats tell of their memory, and what follows from it: replacement, or an end at once.

Above is whoever hears the seats' signs of life; ``actors.policy.memory`` says what is too much.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any

from actors.errors import Superseded
from actors.policy.memory import MB, MemoryLimits, Weight, cause, weighed
from actors.residency.placement import Placement, Pool, Seat
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
        weight, use = weighed(private_bytes, self._limits), self._seats.known.get(seat_id)
        if weight is Weight.fine or use is None:
            return
        self._seats.wear_out(seat_id)
        if weight is Weight.too_heavy:
            self._spawn(self._kill(use.seat, private_bytes, weights))

    async def _kill(self, seat: Seat, private_bytes: int, weights: Mapping[str, int]) -> None:
        busy = {one.journal_id for one in self._placed.values() if one.seat is seat and one.busy}
        named = cause(weights, busy)
        allowed = self._limits.hard_bytes // MB
        why = f"its process had grown to {private_bytes // MB} MB of memory, of {allowed} allowed"
        log.error("%s is killed: session %s: %s", seat.seat_id, named, why)
        if named is not None:
            self._suspects.condemn(seat.seat_id, named, why)
        with suppress(Superseded):  # Then it is another registry's to weigh.
            await self._pool.kill(seat)
