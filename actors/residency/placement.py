"""What residency is about: seats, where they come from, and a session's place in one.

Between ``actors.residency.residency``, which decides, and whoever starts and reaches the processes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from actors.domain.retention import Retention
from actors.errors import GreenroomError
from actors.policy.memory import MemoryLimits
from actors.policy.warmth import SeatLimits


class Seat(Protocol):
    """A process that hosts sessions."""

    @property
    def seat_id(self) -> str:
        """Its name."""
        ...

    @property
    def node_id(self) -> str:
        """The node it runs on."""
        ...

    @property
    def node(self) -> str:
        """The name of that node, as it stands in sessions' ``workspace_node``."""
        ...

    async def assign(self, tenant: str, journal_id: str, term: int, assignment_no: int) -> int:
        """See ``SessionHost.assign``.

        Returns:
            The private memory of the process in bytes, before the session came; 0 when it is not known.
        """
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
    """Where seats come from, and where they go."""

    async def grow(self) -> Seat | None:
        """Start one more seat, ready to use; None when there is none to be had."""
        ...

    async def end(self, seat: Seat) -> None:
        """End a seat that hosts nobody."""
        ...

    async def kill(self, seat: Seat) -> None:
        """Kill a seat whoever is in it; its sessions learn of it as of any death."""
        ...


@dataclass(slots=True)
class Placement:
    """One session's residency.

    Attributes:
        ready: Done when the seat has it.
        releasing: Under way when the seat is asked to give it up.
        used: When it was used last, by the loop's clock, as far as is known here.
        busy: It is at work, as far as is known here.
    """

    tenant: str
    journal_id: str
    seat: Seat
    assignment_no: int
    ready: asyncio.Future[None]
    releasing: asyncio.Task[bool] | None = None
    used: float = 0.0
    busy: bool = False


@dataclass(frozen=True, slots=True)
class ResidencyLimits:
    """Bounds.

    Attributes:
        seats: How many seats there may be, and how full.
        idle_s: A session that was not used for so long hibernates.
        wait_s: Longest wait for a place.
        retention: Unused for so long, a session is destroyed.
        quiet_s: After so long without an activation, blank seats beyond the least are ended.
        activations: A seat is replaced after so many; 0: never.
        growth_bytes: A seat is replaced when the sessions before left so much memory behind; 0: never.
        memory: How much a seat may take, whoever is in it.
    """

    seats: SeatLimits = field(default_factory=SeatLimits)
    idle_s: float = 60.0
    wait_s: float = 20.0
    retention: Retention = Retention()
    quiet_s: float = 60.0
    activations: int = 0
    growth_bytes: int = 0
    memory: MemoryLimits = MemoryLimits()
