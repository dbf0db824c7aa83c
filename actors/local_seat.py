"""Where the sessions of a runtime in one process live: the one seat there is."""

from __future__ import annotations

from collections.abc import Sequence

from actors.errors import GreenroomError
from actors.residency.placement import Seat
from actors.session_host import SessionHost

PER_SEAT = 1_000_000
"""One process hosts as many sessions as it has memory for."""


class LocalSeat:
    """The one seat there is."""

    seat_id = "local"
    node_id = "local"
    node = "local"

    def __init__(self, host: SessionHost) -> None:
        self._host = host

    async def assign(self, tenant: str, journal_id: str, term: int, assignment_no: int) -> int:
        """Take a session."""
        await self._host.assign(tenant, journal_id, term, assignment_no)
        return 0

    async def release(self, journal_id: str, assignment_no: int, *, idle_s: float = 0.0) -> bool:
        """Let go of a session."""
        return await self._host.release(journal_id, assignment_no, idle_s=idle_s)

    async def deliver(
        self, journal_id: str, assignment_no: int, letters: Sequence[bytes]
    ) -> Sequence[GreenroomError | None]:
        """Give a session its messages."""
        return await self._host.deliver(journal_id, assignment_no, letters)


class NoMoreSeats:
    """Nobody else is started, or ended."""

    async def grow(self) -> None:
        """There is one seat."""
        return None

    async def end(self, seat: Seat) -> None:
        """It never ends before the process."""
        raise AssertionError("the one seat lasts as long as the process")

    async def kill(self, seat: Seat) -> None:
        """As ``end``."""
        raise AssertionError("the one seat is this process")
