"""Several sessions in one process: each as if it were alone, their appends in one call at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from actors.session.surroundings import Surroundings
from actors.session_host import SessionHost
from actors.storage.handlers import store_handlers
from actors.storage.remote import RemoteStore
from tests.unit.runtime.parts import LIMIT_S, TENANT, FakeHosts, Gate, answer, create, gated_store
from tests.unit.runtime.test_activation import send
from tests.unit.storage.loopback import Loopback

NAMES = ("a", "b", "c", "d")


class Counted(Loopback):
    """Counts the parts of each append call; a gate stops the next one."""

    def __init__(self, handlers: Any) -> None:
        super().__init__(handlers)
        self.appends: list[int] = []
        self.gate: Gate | None = None

    async def call(self, method: str, /, **args: Any) -> Any:
        if method == "append":
            self.appends.append(len(args["parts"]))
            if self.gate is not None:
                gate, self.gate = self.gate, None
                await gate.passed()
        return await super().call(method, **args)

    def stream(self, method: str, /, **args: Any) -> AsyncIterator[Any]:
        raise AssertionError


async def test_pending_records_of_all_sessions_of_a_process_take_one_append_call() -> None:
    async with asyncio.timeout(LIMIT_S), gated_store() as store:
        await create(store, *NAMES)
        caller, hosts = Counted(store_handlers(store)), FakeHosts()
        host = SessionHost(RemoteStore(caller), hosts, Surroundings())
        for name in NAMES:
            await host.assign(TENANT, name, 0, 1)
        gate = caller.gate = Gate()

        inputs = [asyncio.ensure_future(host.submit(name, 1, send())) for name in NAMES]
        await gate.reached.wait()
        for _ in NAMES:
            # A model call begins beside its append: by now the others have theirs pending.
            await hosts.asked.get()
        gate.opened.set()
        receipts = await asyncio.gather(*inputs)

        assert caller.appends == [1, len(NAMES) - 1]
        assert [one.reply.seq for one in receipts] == [2] * len(NAMES)
        await host.close()


async def test_a_session_that_was_taken_away_does_not_hold_up_its_neighbours() -> None:
    async with asyncio.timeout(LIMIT_S), gated_store() as store:
        await create(store, *NAMES)
        caller, hosts = Counted(store_handlers(store)), FakeHosts()
        host = SessionHost(RemoteStore(caller), hosts, Surroundings())
        for name in NAMES:
            await host.assign(TENANT, name, 0, 1)
        gate = caller.gate = Gate()
        inputs = [asyncio.ensure_future(host.submit(name, 1, send(), wait_s=LIMIT_S)) for name in NAMES]
        calls = [await hosts.asked.get() for _ in NAMES]
        await store.acquire(TENANT, "b", 0, 2)
        gate.opened.set()

        refused = (await asyncio.gather(inputs[1], return_exceptions=True))[0]
        assert isinstance(refused, Exception)
        assert sorted(one.journal_id for one in host.residents()) == ["a", "c", "d"]
        rows = [await store.row(TENANT, name) for name in NAMES]
        assert [row.head_seq for row in rows if row is not None] == [4, 1, 4, 4]
        assert {call.journal_id for call in calls} == set(NAMES)
        assert answer(calls[0]).outcome is not None
        for task in inputs:
            task.cancel()
        await host.close()
