"""Who is resident where: the registry's mind, without Ray.

Only this changes a session's residency: dormant, assigned, resident, releasing, dormant. Seats (processes that host
sessions) and how they are started belong to whoever owns this; the store says which sessions have work to do.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from actors.errors import GreenroomError, InternalError, NotHere, Overloaded, SessionNotFound, TransportLost
from actors.residency.bell import Bell
from actors.residency.placement import Placement, Pool, ResidencyLimits, Seat
from actors.session.ports import Store

log = logging.getLogger(__name__)

BREATH_S = 0.1
"""Pause before sessions that were all busy are asked again, and before a session that lost its seat gets another."""

PATIENCE_S = 2.0
"""How long a seat may take to start, or a session to be released, before another way is tried as well, and the pause
after a failed start: one takes 0.8 s, and one that the cluster has no memory for never ends."""

MAX_SEATS_LOST = 3
"""Seats that may die under one activation before it fails: the session is likely what kills them."""

NUMBERS_PER_TERM = 1 << 32
"""Assignments of one registry's term: their numbers grow over terms too, as an old number may still be on its way."""

MAX_QUEUE = 10_000
"""Activations that may wait for a free seat; each is one small future, and none waits longer than ``wait_s``."""


@dataclass(slots=True)
class Residency:
    """Assigns sessions to seats. ``freed`` rings when sessions became dormant; the supervisor listens."""

    store: Store
    pool: Pool
    term: int
    limits: ResidencyLimits = field(default_factory=ResidencyLimits)
    seats: dict[str, Seat] = field(default_factory=dict[str, Seat])
    placed: dict[str, Placement] = field(default_factory=dict[str, Placement])
    freed: Bell = field(default_factory=Bell)
    _next_no: int = 0
    _load: dict[str, int] = field(default_factory=dict[str, int])
    _freed: asyncio.Condition = field(default_factory=asyncio.Condition)
    _waiting: int = 0
    _growing: bool = False
    _tasks: set[asyncio.Task[Any]] = field(default_factory=set[asyncio.Task[Any]])

    def __post_init__(self) -> None:
        """No number of an earlier term is given again."""
        self._next_no = max(self._next_no, self.term * NUMBERS_PER_TERM)

    # --- asking ----------------------------------------------------------------------------------------------------

    async def resolve(self, tenant: str, journal_id: str, *, stale: int = 0) -> Placement:
        """Where a session is resident, after activating it when it is dormant.

        Args:
            stale: An assignment that turned out not to work.

        Raises:
            SessionNotFound: there is no such session.
            Overloaded: no seat became free in time.
            InternalError: each seat that it was given died under it.
        """
        died = 0
        while True:
            placement = self.placed.get(journal_id)
            if placement is None:
                await self._place(tenant, journal_id)
                continue
            if placement.releasing is not None:
                await asyncio.wait([placement.releasing])
                continue
            try:
                await asyncio.shield(placement.ready)
            except NotHere:
                # Its seat died under the activation: another one takes it, unless the session is what kills them.
                await asyncio.sleep(BREATH_S)
                died += placement.seat.seat_id not in self.seats
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
            self._unload(placement.seat.seat_id)

    # --- seats -----------------------------------------------------------------------------------------------------

    def add_seat(self, seat: Seat) -> None:
        """A seat is ready."""
        self.seats[seat.seat_id] = seat
        self._load.setdefault(seat.seat_id, 0)
        self._spawn(self._notify())

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
        self._load[seat.seat_id] = self._load.get(seat.seat_id, 0) + 1
        self._next_no = max(self._next_no, assignment_no)

    async def _let_go(self, seat: Seat, journal_id: str, assignment_no: int) -> None:
        """End what is left of an older assignment. One that is busy is fenced at its next append."""
        with suppress(GreenroomError):
            await seat.release(journal_id, assignment_no)

    def lose_seat(self, seat_id: str) -> None:
        """A seat is dead: its sessions are dormant, and those with work to do are activated at once."""
        self.seats.pop(seat_id, None)
        self._load.pop(seat_id, None)
        lost = [one for one in self.placed.values() if one.seat.seat_id == seat_id]
        for placement in lost:
            self.placed.pop(placement.journal_id, None)
            if not placement.ready.done():
                placement.ready.set_exception(NotHere(placement.journal_id, placement.assignment_no))
                placement.ready.exception()
        self.freed.set()

    # --- placing ---------------------------------------------------------------------------------------------------

    async def _place(self, tenant: str, journal_id: str) -> None:
        seat = await self._free_seat()
        if journal_id in self.placed:
            self._unload(seat.seat_id)
            return
        number = self.next_number()
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        ready.add_done_callback(lambda done: done.exception())
        placement = Placement(tenant, journal_id, seat, number, ready)
        self.placed[journal_id] = placement
        self._spawn(self._assign(placement))

    async def _assign(self, placement: Placement) -> None:
        try:
            await placement.seat.assign(placement.tenant, placement.journal_id, self.term, placement.assignment_no)
        except Exception as exc:
            self.forget(placement.journal_id, placement.assignment_no)
            lost = isinstance(exc, TransportLost) or not isinstance(exc, GreenroomError)
            error = NotHere(placement.journal_id, placement.assignment_no) if lost else exc
            if not placement.ready.done():
                placement.ready.set_exception(error)
            if not isinstance(exc, SessionNotFound):
                log.warning("session %s could not be activated: %s", placement.journal_id, exc)
        else:
            placement.used = asyncio.get_running_loop().time()
            if not placement.ready.done():
                placement.ready.set_result(None)

    async def _free_seat(self) -> Seat:
        """A seat with room, which counts as taken from here; first come, first served."""
        if self._waiting == 0:
            seat = self._take()
            if seat is not None:
                return seat
        if self._waiting >= MAX_QUEUE:
            raise Overloaded("too many sessions wait for a session actor", 5.0)
        self._waiting += 1
        try:
            async with asyncio.timeout(self.limits.wait_s), self._freed:
                while (seat := self._take()) is None:
                    self._make_room()
                    await self._freed.wait()
                return seat
        except TimeoutError:
            raise Overloaded("all session actors are busy", 5.0) from None
        finally:
            self._waiting -= 1

    def _take(self) -> Seat | None:
        free = [seat_id for seat_id in self.seats if self._load[seat_id] < self.limits.per_seat]
        if not free:
            return None
        chosen = min(free, key=lambda seat_id: self._load[seat_id])
        self._load[chosen] += 1
        return self.seats[chosen]

    def _unload(self, seat_id: str) -> None:
        if seat_id in self._load:
            self._load[seat_id] -= 1
            self._spawn(self._notify())

    async def _notify(self) -> None:
        async with self._freed:
            self._freed.notify_all()

    def _make_room(self) -> None:
        """Start a seat, and ask the sessions that were used least recently to hibernate."""
        if not self._growing:
            self._growing = True
            self._spawn(self._grow())

    async def _grow(self) -> None:
        try:
            growing = self._spawn(self.pool.grow())
            while not (await asyncio.wait([growing], timeout=PATIENCE_S))[0]:
                await self._evict()
            seat = growing.result()
            if seat is not None:
                self.add_seat(seat)
            else:
                await self._evict()
        except Exception as exc:
            log.warning("no further session actor: %s", exc)
            await self._evict()
            await asyncio.sleep(PATIENCE_S)
        finally:
            self._growing = False
            await self._notify()

    async def _evict(self) -> None:
        for placement in sorted(self.placed.values(), key=lambda one: one.used):
            if not self._waiting:
                return
            try:
                async with asyncio.timeout(PATIENCE_S):
                    if placement.ready.done() and await self.hibernate(placement.journal_id):
                        return
            except TimeoutError:
                # It may be frozen; the release goes on, and others are asked meanwhile.
                continue
        await asyncio.sleep(BREATH_S)

    async def _release(self, placement: Placement, idle_s: float) -> bool:
        done = False
        try:
            await asyncio.wait([placement.ready])
            done = await placement.seat.release(placement.journal_id, placement.assignment_no, idle_s=idle_s)
        except Exception as exc:
            # The seat is dying; whoever watches it says so.
            log.info("session %s was not released: %s", placement.journal_id, exc)
        if done:
            self.forget(placement.journal_id, placement.assignment_no)
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
