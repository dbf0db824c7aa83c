"""The seats there are: how full each is, which are worn, and who gets the next place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from actors.policy.warmth import Crowd
from actors.residency.line import Line
from actors.residency.placement import ResidencyLimits, Seat


@dataclass(slots=True)
class Use:
    """How a seat is used.

    Attributes:
        load: Sessions that are in it or on their way.
        activations: Sessions it has taken so far.
        blank_bytes: Its private memory when its first session came.
        worn: It is to be replaced.
        retiring: It takes no further session, and is ended when the last has left.
    """

    seat: Seat
    load: int = 0
    activations: int = 0
    blank_bytes: int = 0
    worn: bool = False
    retiring: bool = False


class Seats:
    """All seats of a runtime.

    Args:
        changed: Called when a place was taken or left, a seat came or went, or somebody began to wait.
    """

    def __init__(self, limits: ResidencyLimits, changed: Callable[[], None]) -> None:
        self.line = Line()
        self.known: dict[str, Use] = {}
        self._limits = limits
        self._changed = changed

    def add(self, seat: Seat) -> None:
        """A seat is ready."""
        self.known.setdefault(seat.seat_id, Use(seat))
        self._serve()
        self._changed()

    def lose(self, seat_id: str) -> None:
        """A seat is gone."""
        if self.known.pop(seat_id, None) is not None:
            self._changed()

    def adopt(self, seat: Seat) -> None:
        """Somebody was found in a seat that may not be known yet."""
        self.known.setdefault(seat.seat_id, Use(seat)).load += 1

    # --- places ----------------------------------------------------------------------------------------------------

    @property
    def several_nodes(self) -> bool:
        """Whether it matters where a place is."""
        return len({use.seat.node_id for use in self.known.values()}) > 1

    async def claim(self, *, alone: bool = False, near: str | None = None) -> Seat:
        """A place, which counts as taken from here; first come, first served.

        Args:
            near: Name of a node that is preferred; who has to wait takes what comes.
            alone: In a seat with nobody in it, which takes nobody else, and is ended afterwards.

        Raises:
            Overloaded: too many wait, or none was free in time.
        """
        use = None if self.line.has(alone=alone) else self._best(alone=alone, near=near)
        if use is not None:
            self._take(use, alone=alone)
            self.line.count()
            self._changed()
            return use.seat
        number = self.line.join(alone=alone)
        self._changed()
        return await self.line.wait(number, self._limits.wait_s, self.leave)

    def leave(self, seat: Seat) -> None:
        """A place is free again."""
        use = self.known.get(seat.seat_id)
        if use is not None:
            use.load -= 1
            self._serve()
            self._changed()

    def _serve(self) -> None:
        """Give the free places to those who have waited longest; empty seats first to those who need one."""
        for alone in (True, False):
            while self.line.has(alone=alone) and (use := self._best(alone=alone)) is not None:
                self._take(use, alone=alone)
                self.line.serve(use.seat, alone=alone)

    @staticmethod
    def _take(use: Use, *, alone: bool) -> None:
        use.load += 1
        use.retiring |= alone

    def _best(self, *, alone: bool = False, near: str | None = None) -> Use | None:
        """The emptiest seat with a free place, on the node that is preferred, else on that with the fewest sessions.

        A full node is not worth waiting for, but a fuller one is taken: each tool call would cross over to it, and when
        it is lost, so are the session's files.
        """
        free = [use for use in self.known.values() if self._has_room(use) and not (alone and use.load)]
        if len(free) <= 1:
            return free[0] if free else None
        on_node: Counter[str] = Counter()
        for use in self.known.values():
            on_node[use.seat.node_id] += use.load
        return min(free, key=lambda use: (use.seat.node != near, use.load, on_node[use.seat.node_id]))

    def _has_room(self, use: Use) -> bool:
        return not use.retiring and use.load < self._limits.seats.per_seat

    # --- wear ------------------------------------------------------------------------------------------------------

    def wear_out(self, seat_id: str) -> None:
        """A seat is to be replaced as soon as its sessions may leave it."""
        use = self.known.get(seat_id)
        if use is not None and not use.worn:
            use.worn = True
            self._changed()

    def wear(self, seat_id: str, private_bytes: int) -> None:
        """A seat took a session.

        Args:
            private_bytes: Its memory before, that is, what it keeps of the sessions that have left.
        """
        use, limits = self.known.get(seat_id), self._limits
        if use is None:
            return
        use.activations += 1
        if use.activations == 1:
            use.blank_bytes = private_bytes
        grown = private_bytes - use.blank_bytes if use.load == 1 else 0
        if 0 < limits.activations <= use.activations or 0 < limits.growth_bytes <= grown:
            use.worn = True
            self._changed()

    def crowd(self, *, starting: int, rising: bool) -> Crowd:
        """How full they are."""
        uses = self.known.values()
        return Crowd(
            seats=len(uses),
            retiring=sum(use.retiring for use in uses),
            blank=sum(use.load == 0 and not use.retiring for use in uses),
            free=sum(self._limits.seats.per_seat - use.load for use in uses if self._has_room(use)),
            starting=starting,
            waiting=len(self.line),
            alone=self.line.alone,
            rising=rising,
        )
