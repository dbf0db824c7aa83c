"""Places in session actors: in turn, ahead of demand, given back by those who need them least, and renewed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from actors.domain.session import SessionInfo
from actors.errors import Overloaded
from actors.policy.warmth import SeatLimits
from actors.residency.line import Line
from actors.residency.placement import ResidencyLimits, Seat
from actors.residency.residency import Residency
from tests.unit.runtime.parts import LIMIT_S, TENANT, FakeSeat, GatedStore, NoSeats, create, gated_store


async def settle() -> None:
    """Let every task run until it waits for something else than its turn."""
    for _ in range(20):
        await asyncio.sleep(0)


class Factory:
    """A pool that makes seats, at most so many, and remembers those it ended."""

    def __init__(self, most: int = 100) -> None:
        self.made: list[FakeSeat] = []
        self.ended: list[str] = []
        self.ends = asyncio.Event()
        self.again = asyncio.Event()
        self.private = 0
        self._most = most

    async def grow(self) -> FakeSeat | None:
        if len(self.made) >= self._most:
            return None
        self.made.append(FakeSeat(f"seat-{len(self.made) + 1}", private=self.private))
        if len(self.made) > 1:
            self.again.set()
        return self.made[-1]

    async def end(self, seat: Seat) -> None:
        self.ended.append(seat.seat_id)
        self.ends.set()

    async def kill(self, seat: Seat) -> None:
        raise AssertionError(f"{seat.seat_id} is light")


@asynccontextmanager
async def residency(pool: Factory | NoSeats, limits: ResidencyLimits, *seats: FakeSeat) -> AsyncGenerator[Residency]:
    async with gated_store() as store:
        made = Residency(store, pool, 1, limits)
        for seat in seats:
            made.add_seat(seat)
        yield made
        await made.close()


# --- the line -------------------------------------------------------------------------------------------------------


async def test_those_who_wait_are_served_in_the_order_in_which_they_came() -> None:
    async def busy(journal_id: str, number: int) -> bool:
        return False

    seat = FakeSeat("seat", releasing=busy)
    async with residency(NoSeats(), ResidencyLimits(), seat) as made:
        await made.resolve(TENANT, "first")
        waiting: list[asyncio.Task[object]] = []
        for number in range(20):
            waiting.append(asyncio.ensure_future(made.resolve(TENANT, f"s-{number}")))
            await settle()
        # One who came late does not push in when a place becomes free in the same moment.
        for number in range(20):
            holder = next(iter(made.placed.values()))
            made.forget(holder.journal_id, holder.assignment_no)
            late = asyncio.ensure_future(made.resolve(TENANT, f"late-{number}"))
            await settle()
            late.cancel()
        assert [journal_id for journal_id, _ in seat.assigned] == ["first", *(f"s-{number}" for number in range(20))]
        await asyncio.gather(*waiting)


class BoundStore(GatedStore):
    """All sessions but one have their files on one node."""

    async def row(self, tenant: str, journal_id: str) -> SessionInfo | None:
        row = await super().row(tenant, journal_id)
        return row.model_copy(update={"workspace_node": "there"}) if row is not None and journal_id != "any" else row


async def test_a_session_is_placed_on_the_node_of_its_files_while_there_is_room() -> None:
    names = ("a", "b", "c", "any")
    limits = ResidencyLimits(seats=SeatLimits(per_seat=2))
    async with asyncio.timeout(LIMIT_S), BoundStore() as store:
        await create(store, *names)
        made = Residency(store, NoSeats(), 1, limits)
        for seat in (FakeSeat("here", node_id="1", node="here"), FakeSeat("there", node_id="2", node="there")):
            made.add_seat(seat)
        placed = [(await made.resolve(TENANT, name)).seat.seat_id for name in names]
        assert placed == ["there", "there", "here", "here"], "a fuller node is preferred, a full one is not waited for"
        await made.close()


async def test_a_place_that_comes_to_one_who_has_just_left_goes_to_the_next() -> None:
    line = Line()
    seat, returned = FakeSeat("seat"), list[Seat]()
    number = line.join()
    waiting = asyncio.ensure_future(line.wait(number, 5.0, returned.append))
    await settle()
    line.serve(seat)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert returned == [seat]
    assert not line


async def test_a_full_line_says_when_it_may_be_worth_trying_again() -> None:
    now = [0.0]
    line = Line(most=4, clock=lambda: now[0])
    seat = FakeSeat("seat")
    for _ in range(10):
        now[0] += 2.0
        line.count()
    for _ in range(4):
        line.join()
    with pytest.raises(Overloaded) as refused:
        line.join()
    # Ten places in 18 s, and four are before me.
    assert refused.value.retry_after_s == 9.0
    for _ in range(4):
        line.serve(seat)
    assert line.estimate() < 9.0


# --- room -----------------------------------------------------------------------------------------------------------


async def test_the_session_that_was_used_least_recently_gives_its_place() -> None:
    seats = [FakeSeat(f"seat-{number}") for number in range(3)]
    async with residency(NoSeats(), ResidencyLimits(), *seats) as made:
        for journal_id in "abc":
            await made.resolve(TENANT, journal_id)
        # It was used without anybody asking here where it is: the store's word of its commit tells.
        made.heard("a", busy=False)
        await made.resolve(TENANT, "d")
        assert sorted(made.placed) == ["a", "c", "d"]


async def test_a_session_at_work_is_not_even_asked_while_another_is_idle() -> None:
    seats = [FakeSeat(f"seat-{number}") for number in range(2)]
    async with residency(NoSeats(), ResidencyLimits(), *seats) as made:
        await made.resolve(TENANT, "working")
        await made.resolve(TENANT, "idle")
        made.heard("working", busy=True)
        made.heard("idle", busy=False)
        await made.resolve(TENANT, "new")
        assert [seat.released for seat in seats if ("working", 1 << 32 | 1) in seat.assigned] == [[]]
        assert sorted(made.placed) == ["new", "working"]


async def test_a_session_that_comes_to_rest_gives_its_place_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.residency.eviction.BREATH_S", 3600.0)
    resting = asyncio.Event()

    async def when_at_rest(journal_id: str, number: int) -> bool:
        return resting.is_set()

    async with residency(NoSeats(), ResidencyLimits(), FakeSeat("seat", releasing=when_at_rest)) as made:
        await made.resolve(TENANT, "working")
        made.heard("working", busy=True)
        waiting = asyncio.ensure_future(made.resolve(TENANT, "waiting"))
        await settle()
        assert "working" in made.placed
        resting.set()
        made.heard("working", busy=False)
        assert (await waiting).journal_id == "waiting"


# --- growth ---------------------------------------------------------------------------------------------------------


async def test_seats_are_started_ahead_of_those_who_will_need_them() -> None:
    pool = Factory()
    limits = ResidencyLimits(seats=SeatLimits(least=1, most=10, spare=2))
    async with residency(pool, limits) as made:
        made.start()
        await settle()
        assert len(pool.made) == 1
        for number in range(4):
            await made.resolve(TENANT, f"s-{number}")
            await settle()
            assert len(pool.made) - len(made.placed) == 2, "two blank seats wait for the next"
        assert [len(seat.assigned) for seat in pool.made] == [1, 1, 1, 1, 0, 0]


async def test_seats_that_nobody_uses_are_ended_after_a_quiet_time() -> None:
    pool = Factory()
    limits = ResidencyLimits(seats=SeatLimits(least=1, most=10, spare=2), quiet_s=0.01)
    async with residency(pool, limits) as made:
        made.start()
        await made.resolve(TENANT, "a")
        await made.hibernate("a")
        while len(made.seats.known) > 1:
            pool.ends.clear()
            await pool.ends.wait()
        assert len(pool.ended) == len(pool.made) - 1


# --- wear -----------------------------------------------------------------------------------------------------------


async def test_a_seat_is_replaced_after_so_many_activations_and_never_under_a_session(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("actors.residency.warming.LOOK_S", 0.001)
    pool = Factory()
    limits = ResidencyLimits(seats=SeatLimits(least=1, most=1), activations=3)
    working = asyncio.Event()

    async def unless_at_work(journal_id: str, number: int) -> bool:
        return not working.is_set()

    async with residency(pool, limits) as made:
        made.start()
        for journal_id in "abc":
            await made.resolve(TENANT, journal_id)
            pool.made[0].releasing = unless_at_work
            if journal_id != "c":
                assert await made.hibernate(journal_id)
        working.set()
        # Its place is another's before it ends.
        assert (await made.resolve(TENANT, "d")).seat is pool.made[1]
        assert pool.ended == []
        assert "c" in made.placed
        working.clear()
        await pool.ends.wait()
        assert pool.ended == ["seat-1"]
        assert sorted(made.placed) == ["d"]


async def test_a_seat_that_keeps_too_much_of_former_sessions_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.residency.warming.LOOK_S", 0.001)
    pool = Factory()
    pool.private = 1000
    limits = ResidencyLimits(seats=SeatLimits(least=1, most=1), growth_bytes=100)
    async with residency(pool, limits) as made:
        made.start()
        for journal_id, private in (("a", 5000), ("b", 1099), ("c", 1100)):
            if pool.made:
                pool.made[0].private = private
            await made.resolve(TENANT, journal_id)
            await made.hibernate(journal_id)
        await pool.ends.wait()
        await pool.again.wait()
        assert pool.ended == ["seat-1"]
        assert [len(seat.assigned) for seat in pool.made] == [3, 0]
