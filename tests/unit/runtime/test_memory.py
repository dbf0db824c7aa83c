"""A process that grows is replaced, one that grows too far is killed, and only the session that did it pays."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime

import pytest

from actors.domain import records as r
from actors.domain.journal import Due
from actors.domain.session import SessionState
from actors.policy.memory import MB, MemoryLimits
from actors.policy.warmth import SeatLimits
from actors.residency.placement import ResidencyLimits, Seat
from actors.residency.residency import Residency
from actors.residency.supervisor import MAX_ACTIVATIONS, Supervisor
from tests.unit.runtime.parts import TENANT, FakeSeat, GatedStore, create, until

SOFT, HARD = 200 * MB, 400 * MB


@dataclass
class Processes:
    """Seats that are started and killed like processes."""

    residency: Residency = field(init=False)
    alive: dict[str, FakeSeat] = field(default_factory=dict[str, FakeSeat])
    busy: set[str] = field(default_factory=set[str])
    started: int = 0
    killed: int = 0

    async def grow(self) -> FakeSeat:
        self.started += 1
        seat = FakeSeat(f"seat-{self.started}", releasing=self._release)
        self.alive[seat.seat_id] = seat
        return seat

    async def end(self, seat: Seat) -> None:
        del self.alive[seat.seat_id]

    async def kill(self, seat: Seat) -> None:
        self.die(seat.seat_id)

    def die(self, seat_id: str) -> None:
        self.killed += 1
        if self.alive.pop(seat_id, None) is not None:
            self.residency.lose_seat(seat_id)

    async def _release(self, journal_id: str, number: int) -> bool:
        return journal_id not in self.busy


class DueStore(GatedStore):
    """Says of some sessions that they have work to do."""

    def __init__(self, due: set[str]) -> None:
        super().__init__()
        self._due = due

    async def due(self, now: datetime, *, limit: int = 1000) -> tuple[Due, ...]:
        rows = [await self.row(TENANT, one) for one in sorted(self._due)]
        return tuple(
            Due(row.tenant, row.journal_id, row.session_id, row.head_seq)
            for row in rows
            if row is not None and row.state is SessionState.active
        )


@asynccontextmanager
async def pooled(*journals: str, per_seat: int, most: int = 1) -> AsyncGenerator[tuple[Processes, Residency, DueStore]]:
    processes = Processes()
    async with asyncio.timeout(10.0), DueStore(processes.busy) as store:
        await create(store, *journals)
        seats = SeatLimits(least=1, most=most, per_seat=per_seat)
        limits = ResidencyLimits(seats=seats, memory=MemoryLimits(SOFT, HARD), quiet_s=0.01)
        residency = processes.residency = Residency(store, processes, 1, limits)
        residency.start()
        yield processes, residency, store
        await residency.close()


def seat_of(residency: Residency, journal_id: str) -> str:
    placement = residency.where(TENANT, journal_id)
    return placement.seat.seat_id if placement is not None else ""


async def test_a_process_that_has_grown_is_replaced_when_its_sessions_have_come_to_rest() -> None:
    async with pooled("idle", "working", per_seat=2) as (processes, residency, _):
        processes.busy.add("working")
        for one in ("idle", "working"):
            await residency.resolve(TENANT, one)
        residency.scales.weigh("seat-1", SOFT, {"idle": 1, "working": 2})
        assert residency.where(TENANT, "idle") is not None, "at its bound it is left alone"

        residency.scales.weigh("seat-1", SOFT + 1, {"idle": 1, "working": 2})

        await until(lambda: residency.where(TENANT, "idle") is None)
        assert seat_of(residency, "working") == "seat-1"
        assert (await residency.resolve(TENANT, "idle")).seat.seat_id == "seat-2"
        processes.busy.clear()
        await until(lambda: "seat-1" not in processes.alive)
        assert processes.killed == 0


async def test_a_process_that_has_grown_too_far_is_killed_and_the_one_that_did_it_is_alone_from_then_on() -> None:
    async with pooled("big", "small", per_seat=4) as (processes, residency, _):
        for one in ("big", "small"):
            await residency.resolve(TENANT, one)
            residency.heard(one, busy=True)
        residency.scales.weigh("seat-1", HARD + 1, {"big": 900, "small": 10})
        await until(lambda: "seat-1" not in processes.alive)
        homes = {one: (await residency.resolve(TENANT, one)).seat.seat_id for one in ("big", "small")}
        assert len(set(homes.values())) == 2
        assert residency.suspects.excuse("small")
        assert not residency.suspects.excuse("big")

        # Once it has come to rest, nothing is held against it, and the process that was its own goes.
        residency.heard("big", busy=False)
        await until(lambda: homes["big"] not in processes.alive)
        assert (await residency.resolve(TENANT, "big")).seat.seat_id == homes["small"]


@pytest.mark.parametrize("by_memory", [True, False], ids=["grows", "crashes"])
async def test_a_session_that_takes_every_process_with_it_is_taken_out_of_service_and_no_other(
    monkeypatch: pytest.MonkeyPatch, by_memory: bool
) -> None:
    monkeypatch.setattr("actors.residency.supervisor.RETRY_S", 0.001)
    async with pooled("poison", "other", "third", per_seat=4) as (processes, residency, store):
        processes.busy |= {"poison", "other", "third"}
        supervisor = Supervisor(store, residency)
        supervisor.start()

        async def poisoned() -> None:
            while True:
                await until(lambda: bool(seat_of(residency, "poison")))
                seat_id = seat_of(residency, "poison")
                if by_memory:
                    # The others hold more, so that they are taken for the cause first.
                    held = {"poison": 1, "other": 2, "third": 3}
                    here = {one: held[one] for one in held if seat_of(residency, one) == seat_id}
                    residency.scales.weigh(seat_id, HARD + MB, here)
                    await until(lambda gone=seat_id: gone not in processes.alive)
                else:
                    processes.die(seat_id)

        harm = asyncio.create_task(poisoned())
        for _ in range(10_000):
            if await _out_of_service(store, "poison"):
                break
            await asyncio.sleep(0.001)
        harm.cancel()
        with suppress(asyncio.CancelledError):
            await harm
        (last,) = [one for one in await store.records(TENANT, "poison") if one.type == "session.error"]
        message = r.decode_record(last.body)
        assert isinstance(message, r.SessionError)
        assert message.data.code == "crash_loop"
        assert ("its process had grown to 401 MB of memory, of 400 allowed" in message.data.message) == by_memory
        await until(lambda: bool(seat_of(residency, "other") and seat_of(residency, "third")))
        assert not await _out_of_service(store, "other")
        assert not await _out_of_service(store, "third")
        assert processes.killed >= MAX_ACTIVATIONS
        await supervisor.close()


async def _out_of_service(store: DueStore, journal_id: str) -> bool:
    row = await store.row(TENANT, journal_id)
    return row is not None and row.state is SessionState.error
