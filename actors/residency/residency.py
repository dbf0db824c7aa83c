"""Who is resident where: the registry's mind, without Ray.

Only this changes a session's residency: dormant, assigned, resident, releasing, dormant. Seats (processes that host
sessions) and how they are started belong to whoever owns this; the store says which sessions have work to do.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from actors.errors import GreenroomError, InternalError, NotHere, SessionNotFound, Superseded, TransportLost
from actors.residency.bell import Bell
from actors.residency.eviction import BREATH_S, Eviction
from actors.residency.placement import Placement, Pool, ResidencyLimits, Seat
from actors.residency.scales import Scales
from actors.residency.seats import Seats
from actors.residency.suspects import Suspects
from actors.residency.warming import Warming
from actors.session import patience
from actors.session.patience import answer_of
from actors.session.ports import Store

log = logging.getLogger(__name__)

MAX_SEATS_LOST = 3
"""Seats that may die under one activation before it fails: the session is likely what kills them."""

NUMBERS_PER_TERM = 1 << 32
"""Assignments of one registry's term: their numbers grow over terms too, as an old number may still be on its way."""


class Residency:
    """Assigns sessions to seats.

    Args:
        term: The registry's.
        superseded: Called when the store refuses the term: another registry has taken over.

    Attributes:
        placed: The residents, by journal id.
        freed: Rings when sessions became dormant; the supervisor listens.
        scales: Takes what seats tell of their memory.
        suspects: Who may be what kills processes, and who is not to be blamed.
    """

    def __init__(
        self,
        store: Store,
        pool: Pool,
        term: int,
        limits: ResidencyLimits | None = None,
        superseded: Callable[[Superseded], None] = lambda _: None,
    ) -> None:
        self.term = term
        self.superseded = superseded
        self.limits = limits or ResidencyLimits()
        self.placed: dict[str, Placement] = {}
        self.freed = Bell()
        self.seats = Seats(self.limits, self._seats_changed)
        self.suspects = Suspects()
        # No number of an earlier term is given again.
        self._next_no = term * NUMBERS_PER_TERM
        self._store = store
        self._tasks: set[asyncio.Task[Any]] = set()
        self._warming = Warming(self.seats, pool, self.limits, self._vacate, self._spawn)
        self._eviction = Eviction(self.seats.line, self.placed, self._warming.covered, self.hibernate)
        self.scales = Scales(self.seats, pool, self.limits.memory, self.placed, self.suspects, self._spawn)
        self._evicting: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to keep seats warm."""
        self._spawn(self._warming.run())

    # --- asking ----------------------------------------------------------------------------------------------------

    async def resolve(self, tenant: str, journal_id: str, *, stale: int = 0, busy: bool = False) -> Placement:
        """Where a session is resident, after activating it when it is dormant.

        Args:
            stale: An assignment that turned out not to work.
            busy: It is known to have work to do.

        Raises:
            SessionNotFound: there is no such session.
            Overloaded: no seat became free in time.
            InternalError: each seat that it was given died under it.
        """
        died = 0
        while True:
            placement = self.placed.get(journal_id)
            if placement is None:
                await self._place(tenant, journal_id, busy)
                continue
            if placement.releasing is not None:
                await asyncio.wait([placement.releasing])
                continue
            try:
                await asyncio.shield(placement.ready)
            except NotHere:
                # Its seat died under the activation: another one takes it, unless the session is what kills them.
                await asyncio.sleep(BREATH_S)
                died += placement.seat.seat_id not in self.seats.known
                if died >= MAX_SEATS_LOST:
                    raise InternalError("SessionActorDied") from None
                continue
            if placement.assignment_no <= stale:
                self.forget(journal_id, placement.assignment_no)
                continue
            if placement.tenant != tenant:
                raise SessionNotFound(journal_id)
            placement.used = asyncio.get_running_loop().time()
            return placement

    def where(self, tenant: str, journal_id: str) -> Placement | None:
        """Where a session is resident now, if it is."""
        placement = self.placed.get(journal_id)
        if placement is None or placement.tenant != tenant or not placement.ready.done() or placement.releasing:
            return None
        return placement

    async def hibernate(self, journal_id: str, *, idle_s: float = 0.0) -> bool:
        """Release a session; True when it is dormant afterwards."""
        placement = self.placed.get(journal_id)
        if placement is None:
            return True
        if placement.releasing is None:
            placement.releasing = self._spawn(self._release(placement, idle_s))
        return await asyncio.shield(placement.releasing)

    def next_number(self) -> int:
        """A number for an assignment, greater than any before."""
        self._next_no += 1
        return self._next_no

    def forget(self, journal_id: str, assignment_no: int) -> None:
        """An assignment is over; a later one stays."""
        placement = self.placed.get(journal_id)
        if placement is not None and placement.assignment_no <= assignment_no:
            del self.placed[journal_id]
            self.seats.leave(placement.seat)

    def ended(self, journal_id: str, assignment_no: int, why: str) -> None:
        """A session stopped by itself. ``why``: what failed in it, "" when it was only told to stop."""
        if why:
            self.suspects.failed(journal_id, why)
        self.forget(journal_id, assignment_no)

    def heard(self, journal_id: str, *, busy: bool) -> None:
        """A session was used, or has come to rest: from what the store tells of commits."""
        placement = self.placed.get(journal_id)
        if placement is not None:
            placement.used = asyncio.get_running_loop().time()
            placement.busy = busy
            if not busy:
                self.suspects.clear(journal_id)
                self._eviction.stir()

    # --- seats -----------------------------------------------------------------------------------------------------

    def add_seat(self, seat: Seat) -> None:
        """A seat is ready."""
        self.seats.add(seat)

    def adopt(self, seat: Seat, tenant: str, journal_id: str, assignment_no: int) -> None:
        """A session was found resident in a seat, by a registry that has just started; the later assignment counts."""
        known = self.placed.get(journal_id)
        if known is not None and known.assignment_no >= assignment_no:
            self._spawn(self._let_go(seat, journal_id, assignment_no))
            return
        if known is not None:
            self.forget(journal_id, known.assignment_no)
            self._spawn(self._let_go(known.seat, journal_id, known.assignment_no))
        ready = asyncio.get_running_loop().create_future()
        ready.set_result(None)
        self.placed[journal_id] = Placement(tenant, journal_id, seat, assignment_no, ready)
        self.seats.adopt(seat)
        self._next_no = max(self._next_no, assignment_no)

    async def _let_go(self, seat: Seat, journal_id: str, assignment_no: int) -> None:
        """End what is left of an older assignment. One that is busy is fenced at its next append."""
        with suppress(GreenroomError):
            await answer_of(seat.release(journal_id, assignment_no), seat.seat_id, within_s=patience.SEAT_S)

    def lose_seat(self, seat_id: str) -> None:
        """A seat is dead: its sessions are dormant, and those with work to do are activated at once."""
        self.seats.lose(seat_id)
        lost = [one for one in self.placed.values() if one.seat.seat_id == seat_id]
        self.suspects.died(seat_id, [one.journal_id for one in lost if one.busy or not one.ready.done()])
        for placement in lost:
            self.placed.pop(placement.journal_id, None)
            if not placement.ready.done():
                placement.ready.set_exception(NotHere(placement.journal_id, placement.assignment_no))
                placement.ready.exception()
        self.freed.set()

    # --- placing ---------------------------------------------------------------------------------------------------

    async def _place(self, tenant: str, journal_id: str, busy: bool) -> None:
        near = await self._home(tenant, journal_id) if self.seats.several_nodes else None
        seat = await self.seats.claim(alone=self.suspects.is_one(journal_id), near=near)
        if journal_id in self.placed or seat.seat_id not in self.seats.known:
            # Somebody else was faster, or the seat died on the way here.
            self.seats.leave(seat)
            return
        self._warming.activated()
        number = self.next_number()
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        ready.add_done_callback(lambda done: done.exception())
        placement = Placement(tenant, journal_id, seat, number, ready, busy=busy)
        self.placed[journal_id] = placement
        self._spawn(self._assign(placement))

    async def _home(self, tenant: str, journal_id: str) -> str | None:
        """The node where a session's files are; None when it is not known, which is no reason not to place it."""
        with suppress(GreenroomError):
            row = await self._store.row(tenant, journal_id)
            return row.workspace_node if row is not None else None
        return None

    async def _assign(self, placement: Placement) -> None:
        seat = placement.seat
        try:
            asked = seat.assign(placement.tenant, placement.journal_id, self.term, placement.assignment_no)
            private = await answer_of(asked, seat.seat_id, within_s=patience.SEAT_S)
        except Exception as exc:
            self.forget(placement.journal_id, placement.assignment_no)
            lost = isinstance(exc, TransportLost) or not isinstance(exc, GreenroomError)
            if lost and seat.seat_id in self.seats.known:
                # It may be there all the same, where nobody would look for it.
                self._spawn(self._let_go(seat, placement.journal_id, placement.assignment_no))
            error = NotHere(placement.journal_id, placement.assignment_no) if lost else exc
            if not placement.ready.done():
                placement.ready.set_exception(error)
            if isinstance(exc, Superseded):
                self.superseded(exc)
            if not isinstance(exc, SessionNotFound):
                log.warning("session %s could not be activated: %s", placement.journal_id, exc)
        else:
            self.seats.wear(seat.seat_id, private)
            placement.used = asyncio.get_running_loop().time()
            if not placement.ready.done():
                placement.ready.set_result(None)

    def _seats_changed(self) -> None:
        self._warming.consider()
        if self.seats.line and (self._evicting is None or self._evicting.done()):
            self._evicting = self._spawn(self._eviction.run())

    async def _vacate(self, seat_id: str) -> None:
        for placement in [one for one in self.placed.values() if one.seat.seat_id == seat_id]:
            await self.hibernate(placement.journal_id)

    async def _release(self, placement: Placement, idle_s: float) -> bool:
        done = False
        try:
            await asyncio.wait([placement.ready])
            asked = placement.seat.release(placement.journal_id, placement.assignment_no, idle_s=idle_s)
            done = await answer_of(asked, placement.seat.seat_id, within_s=patience.SEAT_S)
        except Exception as exc:
            # The seat is dying; whoever watches it says so.
            log.info("session %s was not released: %s", placement.journal_id, exc)
        if done:
            self.forget(placement.journal_id, placement.assignment_no)
            self.suspects.clear(placement.journal_id)
            # It had nothing to do when it went; only its timers are anybody's business now.
            self.freed.ring_within(BREATH_S)
        else:
            placement.releasing = None
        return done

    async def close(self) -> None:
        """Stop what is under way."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work, context=contextvars.Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
