"""Who is resident where, when seats die, registries restart and several things happen at once."""

from __future__ import annotations

import asyncio
import random
import sys
from collections import Counter

import pytest

from actors.domain.commands import Send
from actors.domain.ids import new_ulid
from actors.domain.journal import Due
from actors.domain.messages import Message
from actors.domain.session import Activity, SessionState
from actors.errors import GreenroomError, InternalError, Overloaded, TransportLost
from actors.policy.warmth import SeatLimits
from actors.residency.bell import Bell
from actors.residency.placement import ResidencyLimits
from actors.residency.residency import MAX_SEATS_LOST, Residency
from actors.residency.supervisor import Supervisor
from actors.session.surroundings import Surroundings
from actors.session_host import SessionHost
from tests.unit.runtime.parts import (
    LIMIT_S,
    TENANT,
    FakeHosts,
    FakeSeat,
    GatedStore,
    NoSeats,
    create,
    failing,
    gated_store,
)


def residency(store: GatedStore, *seats: FakeSeat, term: int = 1, per_seat: int = 1, wait_s: float = 5.0) -> Residency:
    limits = ResidencyLimits(seats=SeatLimits(per_seat=per_seat), wait_s=wait_s)
    made = Residency(store, NoSeats(), term, limits)
    for seat in seats:
        made.add_seat(seat)
    return made


def load(made: Residency) -> dict[str, int]:
    return {seat_id: use.load for seat_id, use in made.seats.known.items()}


async def test_an_assignment_of_an_earlier_registry_is_stale_after_one_activation() -> None:
    async with gated_store() as store:
        before = residency(store, FakeSeat("old"))
        number = 0
        for _ in range(5):
            number = (await before.resolve(TENANT, "a")).assignment_no
            before.forget("a", number)
        seat = FakeSeat("new")
        after = residency(store, seat, term=2)
        placement = await after.resolve(TENANT, "a", stale=number)
        assert seat.assigned == [("a", placement.assignment_no)]
        assert placement.assignment_no > number
        # The end of the former assignment is told late, and does not concern this one.
        after.forget("a", number)
        assert after.where(TENANT, "a") is placement


async def test_of_two_seats_that_have_a_session_the_later_assignment_counts_and_the_other_is_released() -> None:
    async with gated_store() as store:
        for order in ((3, 7), (7, 3)):
            seats = {number: FakeSeat(f"seat-{number}") for number in order}
            made = residency(store, term=1)
            for number in order:
                made.adopt(seats[number], TENANT, "a", number)
                made.add_seat(seats[number])
            placement = await made.resolve(TENANT, "a")
            assert (placement.seat.seat_id, placement.assignment_no) == ("seat-7", 7)
            assert load(made) == {"seat-7": 1, "seat-3": 0}
            assert await made.hibernate("a")
            assert seats[3].released == [("a", 3)]


async def test_a_session_whose_assignment_was_not_confirmed_does_not_stay_where_nobody_looks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("actors.session.patience.SEAT_S", 0.01)
    released = asyncio.Event()

    async def silent(journal_id: str, number: int) -> None:
        if len(seat.assigned) == 1:
            await asyncio.Event().wait()

    async def release(journal_id: str, number: int) -> bool:
        released.set()
        return True

    seat = FakeSeat("seat", assigning=silent, releasing=release)
    async with gated_store() as store:
        made = residency(store, seat)
        placement = await made.resolve(TENANT, "a")
        await released.wait()
        assert seat.released == seat.assigned[:1]
        assert ("a", placement.assignment_no) == seat.assigned[1]
        assert load(made) == {"seat": 1}
        await made.close()


async def test_a_session_that_kills_every_seat_it_is_given_stops_doing_so() -> None:
    async with gated_store() as store:
        seats = [FakeSeat(f"seat-{n}", assigning=failing(TransportLost("seat"))) for n in range(MAX_SEATS_LOST + 2)]
        made = residency(store)
        for seat in seats:

            async def die(journal_id: str, number: int, seat_id: str = seat.seat_id) -> None:
                made.lose_seat(seat_id)
                raise TransportLost(seat_id)

            seat.assigning = die
            made.add_seat(seat)
        with pytest.raises(InternalError):
            await made.resolve(TENANT, "a")
        assert sum(len(seat.assigned) for seat in seats) == MAX_SEATS_LOST
        assert load(made) == {seat.seat_id: 0 for seat in seats if not seat.assigned}


async def test_a_seat_that_never_starts_does_not_keep_idle_sessions_from_making_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("actors.residency.warming.PATIENCE_S", 0.01)

    class Stuck(NoSeats):
        async def grow(self) -> None:
            await asyncio.get_running_loop().create_future()

    async with gated_store() as store:
        seat = FakeSeat("seat")
        made = Residency(store, Stuck(), 1)
        made.add_seat(seat)
        await made.resolve(TENANT, "idle")
        assert (await made.resolve(TENANT, "wanted")).seat is seat
        assert "idle" not in made.placed
        await made.close()


async def test_a_frozen_seat_does_not_keep_other_seats_from_making_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.residency.eviction.PATIENCE_S", 0.01)

    async def frozen(journal_id: str, number: int) -> bool:
        return await asyncio.get_running_loop().create_future()

    async with gated_store() as store:
        made = residency(store, FakeSeat("frozen", releasing=frozen))
        await made.resolve(TENANT, "a")
        made.add_seat(FakeSeat("well"))
        await made.resolve(TENANT, "b")
        assert (await made.resolve(TENANT, "c")).seat.seat_id == "well"
        await made.close()


def disturb(made: Residency, dice: random.Random, tasks: list[asyncio.Task[object]], seat: FakeSeat) -> None:
    """One thing that may happen at any time."""
    journal = dice.choice("abcd")
    seats = sorted(made.seats.known)
    kind = dice.randrange(6)
    if kind == 0 or not seats:
        made.add_seat(seat)
    elif kind == 1 and len(seats) > 1:
        made.lose_seat(dice.choice(seats))
    elif kind == 2:
        tasks.append(asyncio.ensure_future(made.hibernate(journal)))
    elif kind == 3:
        made.forget(journal, made.next_number() - dice.randrange(3))
    elif kind == 4 and tasks:
        dice.choice(tasks).cancel()
    else:
        stale = dice.choice([0, made.next_number()])
        tasks.append(asyncio.ensure_future(made.resolve(TENANT, journal, stale=stale)))


@pytest.mark.parametrize("seed", range(40))
async def test_the_load_of_each_seat_is_the_number_of_its_sessions_whatever_happens(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.residency.residency.BREATH_S", 0.0)
    monkeypatch.setattr("actors.residency.warming.PATIENCE_S", 0.01)
    dice = random.Random(seed)

    async def perhaps(journal_id: str, number: int) -> bool:
        for _ in range(dice.randrange(4)):
            await asyncio.sleep(0)
        if dice.random() < 0.2:
            raise TransportLost("seat")
        return dice.random() < 0.7

    async with gated_store() as store:
        made = residency(store, per_seat=2, wait_s=0.05)
        tasks: list[asyncio.Task[object]] = []
        for step in range(60):
            disturb(made, dice, tasks, FakeSeat(f"seat-{step}", assigning=perhaps, releasing=perhaps))
            await asyncio.sleep(0)
            assert all(0 <= count <= 2 for count in load(made).values())
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(
            isinstance(end, GreenroomError | asyncio.CancelledError) for end in ends if isinstance(end, BaseException)
        )
        for placement in list(made.placed.values()):
            await asyncio.wait([placement.ready])
        held = Counter(placement.seat.seat_id for placement in made.placed.values())
        assert load(made) == {seat_id: held[seat_id] for seat_id in made.seats.known}
        await made.close()


async def test_a_session_that_only_waited_for_a_seat_is_not_taken_out_of_service(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("actors.residency.warming.PATIENCE_S", 0.0)
    enough = asyncio.Event()

    class Full(NoSeats):
        asked = 0

        async def grow(self) -> None:
            self.asked += 1
            if self.asked > 8:
                enough.set()

    async with gated_store() as store:
        await create(store, "a")
        hosts = FakeHosts()
        host = SessionHost(store, hosts, Surroundings())
        await host.assign(TENANT, "a", 0, 1)
        send = Send(command_id=new_ulid(), message=Message.user("hello"))
        await host.submit("a", 1, send)
        await hosts.asked.get()
        await host.close()
        made = Residency(store, Full(), 1, ResidencyLimits(wait_s=0.001))
        supervisor = Supervisor(store, made)
        supervisor.start()
        await enough.wait()
        row = await store.row(TENANT, "a")
        await supervisor.close()
        await made.close()
        assert row is not None
        assert (row.state, row.activity) == (SessionState.active, Activity.running)
        with pytest.raises(Overloaded):
            await made.resolve(TENANT, "a")


async def test_a_session_that_cannot_be_activated_is_tried_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.residency.supervisor.SWEEP_S", 0.0)
    monkeypatch.setattr("actors.residency.supervisor.MAX_ACTIVATIONS", 10**6)
    tried, enough = 0, asyncio.Event()

    async def resolve(*_: object, **__: object) -> None:
        nonlocal tried
        tried += 1
        if tried > sys.float_info.max_exp + 1:
            enough.set()
        raise InternalError("damaged")

    async with gated_store() as store:
        await create(store, "a")
        made = Residency(store, NoSeats(), 1, ResidencyLimits())
        monkeypatch.setattr(made, "resolve", resolve)
        row = await store.row(TENANT, "a")
        assert row is not None
        due = Due(TENANT, row.journal_id, row.session_id, row.head_seq)
        supervisor = Supervisor(store, made)
        async with asyncio.timeout(LIMIT_S):
            while not enough.is_set():
                await supervisor._activate(due)  # pyright: ignore[reportPrivateUsage]
        await supervisor.close()
        await made.close()


async def test_one_look_is_enough_for_all_sessions_that_go_to_sleep_within_a_breath() -> None:
    bell = Bell()
    bell.ring_within(0.0)
    bell.ring_within(3600.0)
    assert not bell.is_set()
    async with asyncio.timeout(LIMIT_S):
        await bell.wait()
    bell.clear()
    bell.ring_within(0.0)
    async with asyncio.timeout(LIMIT_S):
        await bell.wait()
