"""An older registry that goes on beside a newer one: whatever it does, it is told that it is not the registry."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from actors.domain.commands import Send
from actors.domain.ids import new_ulid
from actors.domain.messages import Message
from actors.errors import InternalError, Superseded
from actors.residency.residency import Residency
from actors.residency.supervisor import Supervisor
from actors.residency.vigil import RegistryWarden
from actors.session.surroundings import Surroundings
from actors.session_host import SessionHost
from tests.unit.runtime.parts import TENANT, FakeHosts, FakeSeat, GatedStore, NoSeats, create, failing, gated_store

SILENCE_S = 60.0
"""Nobody falls silent here."""


async def _nobody(registry: str) -> None:
    raise AssertionError(f"{registry} is well")


async def test_a_sign_of_life_of_an_older_registry_is_refused_and_does_not_count_for_the_newer() -> None:
    warden = RegistryWarden(_nobody)
    try:
        warden.hear("older", 1, SILENCE_S)
        warden.hear("newer", 2, SILENCE_S)

        with pytest.raises(Superseded) as told:
            warden.hear("older", 1, SILENCE_S)

        assert (told.value.term, told.value.newest) == (1, 2)
        assert warden.registry == "newer"
    finally:
        warden.close()


class TakingSeat(FakeSeat):
    """A seat that takes the epoch, as session actors do first."""

    store: GatedStore

    async def assign(self, tenant: str, journal_id: str, term: int, assignment_no: int) -> int:
        await self.store.acquire(tenant, journal_id, term, assignment_no)
        return 0


def _residency(store: GatedStore, term: int, superseded: Callable[[Superseded], None]) -> Residency:
    residency = Residency(store, NoSeats(), term, superseded=superseded)
    seat = TakingSeat(f"seat of {term}")
    seat.store = store
    residency.add_seat(seat)
    return residency


async def test_an_older_registry_that_activates_a_session_is_told_and_sends_its_caller_away() -> None:
    async with gated_store() as store:
        await create(store, "a", "b")
        told: list[Superseded] = []
        older = _residency(store, await store.next_term(), told.append)
        await older.resolve(TENANT, "a")
        newer = _residency(store, await store.next_term(), told.append)
        await newer.resolve(TENANT, "a")
        assert told == []

        with pytest.raises(Superseded):
            await older.resolve(TENANT, "b")

        assert [(one.term, one.newest) for one in told] == [(1, 2)]
        assert (await newer.resolve(TENANT, "b")).seat.seat_id == "seat of 2"
        await older.close()
        await newer.close()


async def test_an_older_registry_does_not_take_a_session_out_of_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.residency.supervisor.RETRY_S", 0.0)
    told: asyncio.Queue[Superseded] = asyncio.Queue()
    async with gated_store() as store:
        await create(store, "a")
        hosts = FakeHosts()
        host = SessionHost(store, hosts, Surroundings())
        await host.assign(TENANT, "a", 0, 1)
        await host.submit("a", 1, Send(command_id=new_ulid(), message=Message.user("hello")))
        await hosts.asked.get()
        await host.close()
        before = await store.row(TENANT, "a")
        older = Residency(store, NoSeats(), await store.next_term(), superseded=told.put_nowait)
        older.add_seat(FakeSeat("broken", assigning=failing(InternalError("Broken"))))
        await store.next_term()
        supervisor = Supervisor(store, older)
        supervisor.start()

        assert (await told.get()).newest == 2

        await supervisor.close()
        await older.close()
        assert await store.row(TENANT, "a") == before
