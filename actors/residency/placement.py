"""What residency is about: seats, where they come from, and a session's place in one.

Between ``actors.residency.residency``, which decides, and whoever starts and reaches the processes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from actors.domain.retention import Retention
from actors.errors import GreenroomError


class Seat(Protocol):
    """A process that hosts sessions."""

    @property
    def seat_id(self) -> str:
        """Its name."""
        ...

    async def assign(self, tenant: str, journal_id: str, term: int, assignment_no: int) -> None:
        """See ``SessionHost.assign``."""
        ...

    async def release(self, journal_id: str, assignment_no: int, *, idle_s: float = 0.0) -> bool:
        """See ``SessionHost.release``."""
        ...

    async def deliver(
        self, journal_id: str, assignment_no: int, letters: Sequence[bytes]
    ) -> Sequence[GreenroomError | None]:
        """See ``SessionHost.deliver``."""
        ...


class Pool(Protocol):
    """Where seats come from."""

    async def grow(self) -> Seat | None:
        """Start one more seat, ready to use; None when there are as many as there may be."""
        ...


@dataclass(slots=True)
class Placement:
    """One session's residency. ``ready`` is done when the seat has it; ``gone`` when it has given it up."""

    tenant: str
    journal_id: str
    seat: Seat
    assignment_no: int
    ready: asyncio.Future[None]
    releasing: asyncio.Task[bool] | None = None
    used: float = 0.0


@dataclass(frozen=True, slots=True)
class ResidencyLimits:
    """Bounds.

    Attributes:
        per_seat: Sessions of one seat.
        idle_s: Unused for so long, a session hibernates.
        wait_s: Longest wait for a seat.
        retention: Unused for so long, a session is destroyed.
    """

    per_seat: int = 1
    idle_s: float = 60.0
    wait_s: float = 20.0
    retention: Retention = Retention()
