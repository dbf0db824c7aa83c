"""Boundary between lists of measured seconds and the few numbers that say something about them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from time import perf_counter


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which this share (0 to 1) of the values lies; of the values themselves, never between two."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def p50(values: Sequence[float]) -> float:
    return percentile(values, 0.5)


async def timed(work: Awaitable[object]) -> float:
    """Seconds that it takes."""
    started = perf_counter()
    await work
    return perf_counter() - started


async def each_timed(calls: Iterable[Callable[[], Awaitable[object]]]) -> list[float]:
    """Seconds of each call, one after the other."""
    return [await timed(call()) for call in calls]
