"""What an empty call to a Ray actor costs on this machine now: the unit of every figure."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.stats import each_timed, p50, timed

WARM_CALLS = 100
SINGLE_CALLS = 400
"""One after the other: half a second, enough for a median."""

WORKERS = 32
"""Coroutines of the one driver that call at the same time."""

CALLS_EACH = 100
"""3,200 calls: two to three seconds."""

STEADY = 0.2
"""A round counts when the two calibrations around it differ by no more than this share."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Costs of a call that does nothing, to one warm async actor.

    Attributes:
        call_s: Median seconds of a call, one at a time.
        per_s: Calls per second of one driver with 32 coroutines.
    """

    call_s: float
    per_s: float

    def agrees_with(self, other: Calibration) -> bool:
        """Whether the machine did not change in between."""
        pairs = ((self.call_s, other.call_s), (self.per_s, other.per_s))
        return all(abs(one - two) <= STEADY * min(one, two) for one, two in pairs)

    def mean(self, other: Calibration) -> Calibration:
        """What to compare with a figure that was measured between the two."""
        return Calibration((self.call_s + other.call_s) / 2, (self.per_s + other.per_s) / 2)


async def calibrate(actor: Any) -> Calibration:
    """Measure.

    Args:
        actor: A session actor, whose ``ping`` does nothing.
    """
    await each_timed(actor.ping.remote for _ in range(WARM_CALLS))
    singles = await each_timed(actor.ping.remote for _ in range(SINGLE_CALLS))
    left = iter(range(WORKERS * CALLS_EACH))
    together = await timed(asyncio.gather(*(_work(actor, left) for _ in range(WORKERS))))
    return Calibration(call_s=p50(singles), per_s=WORKERS * CALLS_EACH / together)


async def _work(actor: Any, left: Iterator[int]) -> None:
    for _ in left:
        await actor.ping.remote()
