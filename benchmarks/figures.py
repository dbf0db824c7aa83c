"""What a measure gives: plain numbers with their bounds. What they are compared with is ``rounds``' to say."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from itertools import count

from actors import SessionHandle, SessionManager


class Unit(StrEnum):
    """What a number is, and so what it is compared with: a call's time, the rate of calls, or nothing."""

    seconds = "s"
    per_second = "/s"
    ratio = "x"
    megabytes = "MB"
    bytes = "B"
    number = "n"


@dataclass(frozen=True, slots=True)
class Figure:
    """One number.

    Attributes:
        most, least: Bounds of its ratio to the calibration; of the number itself where it is neither a time nor a rate.
            None where there is none.
    """

    name: str
    value: float
    unit: Unit
    most: float | None = None
    least: float | None = None


class Place(StrEnum):
    """How sessions lie in actors while something is measured: see ``rounds.layouts``."""

    alone = "alone"
    dense = "dense"
    each = "each"
    wide = "wide"


@dataclass(frozen=True, slots=True)
class Measure:
    """Something to measure."""

    name: str
    run: Callable[[SessionManager], Awaitable[list[Figure]]]
    place: Place = Place.alone


_numbers = count()


def new_id(kind: str) -> str:
    """A session id that was not used before."""
    return f"{kind}-{next(_numbers)}"


async def gone(manager: SessionManager, sessions: Iterable[SessionHandle]) -> None:
    """Remove sessions."""
    for session in sessions:
        await manager.destroy_session(session.session_id)
