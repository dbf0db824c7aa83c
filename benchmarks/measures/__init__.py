"""Everything that is measured."""

from __future__ import annotations

from benchmarks.figures import Measure, Place
from benchmarks.measures import crowds, families, sessions, sizes, streams, turns


def measures(dormant: int) -> tuple[Measure, ...]:
    """What there is to measure.

    Args:
        dormant: Sessions of a full store, beside one that has 1,000.
    """
    return (
        Measure("memory", sizes.memory),
        Measure("turns", turns.single),
        Measure("long", turns.long),
        Measure("rounds", turns.tool_rounds),
        Measure("create", sessions.creations),
        Measure("reactivation", sessions.reactivation),
        Measure("forks", families.forks),
        Measure("journal", sizes.journal),
        Measure("dormant", lambda manager: sizes.dormant(manager, dormant)),
        Measure("rate", turns.rate, Place.dense),
        Measure("deltas", streams.deltas, Place.dense),
        Measure("children", families.children, Place.dense),
        Measure("crowd", crowds.resident, Place.dense),
        Measure("rate-alone", turns.rate, Place.each),
        Measure("wake", crowds.from_dormant, Place.wide),
    )
