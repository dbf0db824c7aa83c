"""A driver's calls over a store that goes away: repeated where that is safe, and told where it is asked for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from actors.caller import PatientCaller
from actors.domain.ids import new_ulid
from actors.errors import SessionExists, StoreLost, StoreUnavailable
from actors.storage.handlers import store_handlers
from actors.storage.memory import MemoryBackend
from actors.storage.remote import RemoteStore
from actors.storage.same import SameStore
from actors.storage.service import StoreService
from tests.unit.storage.loopback import Loopback
from tests.unit.storage.samples import TENANT, new


class Flaky:
    """Loses the answers of the first calls, after they were carried out or before."""

    def __init__(self, loopback: Loopback, losses: int, *, carried_out: bool) -> None:
        self._loopback = loopback
        self._losses = losses
        self._carried_out = carried_out
        self.calls = 0

    async def call(self, method: str, /, **args: Any) -> Any:
        self.calls += 1
        if self.calls > self._losses:
            return await self._loopback.call(method, **args)
        if self._carried_out:
            await self._loopback.call(method, **args)
        self._loopback.broken = True
        try:
            return await self._loopback.call(method, **args)
        finally:
            self._loopback.broken = False

    def stream(self, method: str, /, **args: Any) -> AsyncIterator[Any]:
        return self._loopback.stream(method, **args)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction] - a fixture
    monkeypatch.setattr("actors.caller.RETRY_FIRST_S", 0.0)


def _store(caller: Flaky, patience_s: float = 5.0) -> RemoteStore:
    return RemoteStore(PatientCaller(caller, patience_s, impatient=("health",)))


@pytest.mark.parametrize("carried_out", [True, False], ids=["reply lost", "request lost"])
async def test_a_create_whose_answer_was_lost_is_one_create(carried_out: bool) -> None:
    async with StoreService(MemoryBackend()) as service:
        caller = Flaky(Loopback(store_handlers(service)), 2, carried_out=carried_out)
        store = _store(caller)
        command_id = new_ulid()

        created = await store.create(TENANT, command_id, "digest", [new("s")])

        assert created is not carried_out, "what an earlier attempt wrote is told to be there"
        assert await store.find(TENANT, "s") is not None
        with pytest.raises(SessionExists):
            await store.create(TENANT, new_ulid(), "digest", [new("s")])


@pytest.mark.parametrize(
    ("patience_s", "ask"),
    [(0.0, lambda store: store.find(TENANT, "s")), (60.0, lambda store: store.health())],
    ids=["patience is over", "health is asked once"],
)
async def test_a_loss_that_lasts_is_told(patience_s: float, ask: Callable[[RemoteStore], Any]) -> None:
    async with StoreService(MemoryBackend()) as service:
        caller = Flaky(Loopback(store_handlers(service)), 10**9, carried_out=False)

        with pytest.raises(StoreUnavailable):
            await ask(_store(caller, patience_s))

        assert caller.calls <= 2


class Replaced:
    """Calls one store; when that is gone the connection breaks once, and then another one answers."""

    def __init__(self, first: StoreService, second: StoreService) -> None:
        self._stores = [Loopback(store_handlers(one)) for one in (first, second)]

    async def call(self, method: str, /, **args: Any) -> Any:
        return await self._stores[0].call(method, **args)

    def stream(self, method: str, /, **args: Any) -> AsyncIterator[Any]:
        return self._stores[0].stream(method, **args)

    def breaks(self) -> None:
        self._stores[0].broken = True

    def comes_back(self) -> None:
        self._stores.pop(0)


async def test_a_store_that_is_another_one_after_a_break_is_lost_once_and_then_empty() -> None:
    async with StoreService(MemoryBackend()) as first, StoreService(MemoryBackend()) as second:
        caller = Replaced(first, second)
        store = RemoteStore(SameStore(caller))
        await store.create(TENANT, new_ulid(), "d", [new("s")])
        caller.breaks()
        with pytest.raises(StoreUnavailable):
            await store.find(TENANT, "s")
        caller.comes_back()

        with pytest.raises(StoreLost):
            await store.find(TENANT, "s")
        assert await store.find(TENANT, "s") is None


async def test_a_store_that_is_the_same_after_a_break_is_used_on() -> None:
    async with StoreService(MemoryBackend()) as service:
        store = RemoteStore(
            PatientCaller(SameStore(Flaky(Loopback(store_handlers(service)), 1, carried_out=False)), 5.0)
        )
        await store.create(TENANT, new_ulid(), "d", [new("s")])

        assert await store.find(TENANT, "s") is not None
