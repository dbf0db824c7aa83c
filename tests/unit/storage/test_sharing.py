"""Forks that read what they share as an Arrow table, and not from the store."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from hypothesis import given

from actors import SessionManager
from actors.domain.records import ToolCallStarted
from actors.errors import InvalidRequest
from actors.handle import SessionHandle
from actors.session.loading import recover
from actors.session.state import State
from actors.storage import beginning
from actors.storage.arrow import state_of, table_of
from actors.storage.handlers import store_handlers
from actors.storage.remote import RemoteStore
from actors.storage.service import StoreService
from tests.unit.local.runtimes import calls, config, record_of, runtime, says
from tests.unit.session.steps import worlds
from tests.unit.session.world import World
from tests.unit.storage.loopback import Loopback


@given(worlds())
def test_a_table_says_all_that_a_state_says(world: World) -> None:
    table = table_of(world.state)

    assert state_of(table) == world.state
    assert table["seq"].to_pylist() == [entry.seq for entry in world.state.context]
    assert [json.loads(message) for message in table["message"].to_pylist()] == [
        json.loads(entry.message) for entry in world.state.context
    ]


@dataclass
class Shared:
    """An object store in this process; ``lost`` is one whose owner is dead."""

    service: StoreService
    lost: bool = False
    asked: list[int] = field(default_factory=list[int])

    async def state(self, tenant: str, journal_id: str, upto: int) -> State | None:
        self.asked.append(upto)
        return None if self.lost else state_of(table_of(await self.service.folded(tenant, journal_id, upto)))


@dataclass
class Rig:
    manager: SessionManager
    service: StoreService
    shared: Shared
    store: RemoteStore

    async def same(self, session: SessionHandle) -> None:
        """Whichever way it is read, the state is the same."""
        key = (self.manager.tenant, session.journal_id)
        begun = await self.store.activate(*key, 9, 1)
        again = await self.service.activate(*key, 9, 1)
        shared, plain = await recover(self.store, *key, begun.loaded), await recover(self.service, *key, again.loaded)
        assert shared == plain


@asynccontextmanager
async def rig() -> AsyncGenerator[Rig]:
    async with runtime() as manager:
        service = manager._runtime.store  # pyright: ignore[reportPrivateUsage] - what its sessions have written is here
        assert isinstance(service, StoreService)
        shared = Shared(service)
        yield Rig(manager, service, shared, RemoteStore(Loopback(store_handlers(service)), shared))


@pytest.fixture
def everything_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beginning, "SHARED_BYTES", 1)


@pytest.mark.usefixtures("everything_is_large")
async def test_a_fork_is_the_same_whichever_way_it_is_read() -> None:
    async with rig() as r:
        source = await r.manager.create_session("s", config(says("yes")))
        await source.generate("first")
        then = (await source.info()).head_seq
        await source.generate("second")
        fork = await r.manager.fork_session("s", "f")
        await fork.generate("third")
        early = await r.manager.fork_session("f", "early", at=then)
        late = await r.manager.fork_session("f", "late")
        await r.manager.destroy_session("s")

        for one in (fork, early, late):
            await r.same(one)

        assert r.shared.asked == [(await source_end(fork)), then, (await source_end(late))]


async def source_end(fork: SessionHandle) -> int:
    """The last record that a fork shares."""
    (forked,) = [one for one in await fork.records() if one.session_id == fork.session_id][:1]
    return forked.seq - 1


@pytest.mark.usefixtures("everything_is_large")
async def test_a_fork_in_the_middle_of_a_turn_is_the_same_whichever_way_it_is_read() -> None:
    async with rig() as r:
        source = await r.manager.create_session("s", config(calls(("ls", {})), says("done")))
        await source.generate("go")
        started = await record_of(source, ToolCallStarted)

        await r.same(await r.manager.fork_session("s", "f", at=started.seq))

        assert r.shared.asked == [started.seq]


@pytest.mark.usefixtures("everything_is_large")
async def test_when_the_object_store_has_nothing_the_store_has_it() -> None:
    async with rig() as r:
        r.shared.lost = True
        source = await r.manager.create_session("s", config(says("yes")))
        await source.generate("first")

        await r.same(await r.manager.fork_session("s", "f"))

        assert len(r.shared.asked) == 1


async def test_what_is_small_or_not_shared_comes_from_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    async with rig() as r:
        source = await r.manager.create_session("s", config(says("yes")))
        await source.generate("first")
        fork = await r.manager.fork_session("s", "f")
        await r.same(fork)
        monkeypatch.setattr(beginning, "SHARED_BYTES", 1)
        await r.same(source)
        # A snapshot of its own has all that it shares.
        await fork.snapshot()
        await r.same(fork)

        assert r.shared.asked == []


async def test_whoever_shares_a_place_calls_it_the_same() -> None:
    async with rig() as r:
        source = await r.manager.create_session("s", config(says("yes")))
        await source.generate("first")
        first, second = [await r.manager.fork_session("s", name) for name in ("f", "g")]
        grandchild = await r.manager.fork_session("f", "h")
        end = await source_end(first)

        places = [await r.service.place(r.manager.tenant, one.journal_id, end) for one in (source, first, second)]

        assert {one.journal_id for one in places} == {source.journal_id}
        assert (await r.service.place(r.manager.tenant, grandchild.journal_id, end + 1)).journal_id == first.journal_id


async def test_a_context_is_read_as_a_table_without_ray_too() -> None:
    async with runtime() as manager:
        session = await manager.create_session("s", config(says("yes")))
        await session.generate("first")
        then = (await session.info()).head_seq
        await session.generate("second")

        assert (await session.context_table()).num_rows == 4
        (question, answer) = (await manager.context_table("s", at=then))["message"].to_pylist()
        assert [json.loads(one)["role"] for one in (question, answer)] == ["user", "assistant"]
        with pytest.raises(InvalidRequest):
            await session.context_table(at=99)
        with pytest.raises(InvalidRequest, match="context_table"):
            await session.context_ref()
