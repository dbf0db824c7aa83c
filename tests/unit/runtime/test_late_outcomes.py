"""Outcomes of calls that were closed as unknown, when the session's process dies before they come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from actors.domain import records as r
from actors.domain.calls import OUTCOME, CallKey, HostRef, Outcome, ToolOutcome
from actors.domain.commands import AddMessage, Cancel, Send
from actors.domain.ids import new_ulid
from actors.domain.journal import StoredResult
from actors.domain.llm import LlmConfig
from actors.domain.messages import Message
from actors.domain.permissions import PermissionPolicy
from actors.domain.records import decode_record
from actors.domain.session import SessionConfig
from actors.effect_host import EffectHost, HostLimits
from actors.effect_host.sink import StoreSink
from actors.handle_reads import SessionReads
from actors.llm.catalogue import ProviderPool
from actors.llm.executor import ModelExecutor
from actors.local_hosts import LocalHosts
from actors.reading.effects import EffectStatus
from actors.session.surroundings import Surroundings
from actors.session_host import SessionHost
from actors.tools.executor import ToolExecutor
from actors.tools.function import tool
from actors.tools.registry import ToolRegistry
from tests.unit.local.runtimes import calls, says, script
from tests.unit.runtime.parts import LIMIT_S, TENANT, GatedStore, create


class Hosts(LocalHosts):
    """What a session's processes reach, and what they acknowledged."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.acked: list[CallKey] = []
        self.news = asyncio.Event()

    async def ack(self, host: HostRef, journal_id: str, epoch: int, keys: Sequence[CallKey]) -> None:
        await super().ack(host, journal_id, epoch, keys)
        self.acked += keys
        self.news.set()

    async def acknowledged(self, key: CallKey) -> None:
        while key not in self.acked:
            self.news.clear()
            await self.news.wait()


def send() -> Send:
    return Send(command_id=new_ulid(), message=Message.user("go"), fresh=True)


class Watched(GatedStore):
    """Says when a host has written an outcome down."""

    def __init__(self) -> None:
        super().__init__()
        self.written = asyncio.Event()

    async def put_result(self, tenant: str, journal_id: str, result: StoredResult) -> None:
        await super().put_result(tenant, journal_id, result)
        if result.outcome is not None:
            self.written.set()


class Site:
    """Hosts and a store that outlive the processes of a session, whose tool does not end when it is told to."""

    def __init__(self, store: GatedStore, idle_s: float = 0.0) -> None:
        self.store = store
        self.begun = asyncio.Event()
        self.end = asyncio.Event()

        @tool(effect="unsafe")
        async def act() -> str:
            self.begun.set()
            while not self.end.is_set():
                try:
                    await self.end.wait()
                except asyncio.CancelledError:
                    continue
            return "done after all"

        registry = ToolRegistry([act])
        sink = StoreSink(store)
        limits = HostLimits(cancel_s=0.01, idle_s=idle_s)
        models = ModelExecutor(ProviderPool(_no_key).of, _no_blobs)
        self.tools = EffectHost("tools", ToolExecutor(Path.cwd(), registry, sink), sink, limits)
        self.hosts = Hosts(EffectHost("models", models, sink), self.tools, registry)
        self._process: SessionHost | None = None
        self._number = 0

    async def reads(self) -> SessionReads:
        """Who reads of the session without waking it."""
        row = await self.store.row(TENANT, "s")
        assert row is not None
        return SessionReads(cast("Any", SimpleNamespace(store=self.store)), row)

    async def died(self) -> None:
        """The session's process ends in the middle of whatever it does."""
        if self._process is not None:
            await self._process.close()
            self._process = None

    async def activated(self) -> SessionHost:
        """The session in a process of its own, after the end of the one before."""
        await self.died()
        self._number += 1
        self._process = SessionHost(self.store, self.hosts, Surroundings())
        await self._process.assign(TENANT, "s", 0, self._number)
        return self._process

    async def closed_as_unknown(self) -> CallKey:
        """A turn whose call ignores that it is cancelled."""
        host = await self.activated()
        await host.submit("s", 1, send())
        await self.begun.wait()
        await host.submit("s", 1, Cancel(command_id=new_ulid(), fresh=True))
        await self.record(r.TurnCancelled)
        (closed,) = await self.records(r.ToolCallCompleted)
        assert closed.data.outcome is Outcome.unknown
        return CallKey(call_id=closed.data.call_id, attempt=closed.data.attempt)

    async def records(self, kind: type[Any]) -> list[Any]:
        found = [decode_record(one.body) for one in await self.store.records(TENANT, "s")]
        return [one for one in found if isinstance(one, kind)]

    async def record(self, kind: type[Any]) -> Any:
        async with aclosing(self.store.follow(TENANT, "s")) as pages:
            async for page in pages:
                for one in page:
                    record = decode_record(one.body)
                    if isinstance(record, kind):
                        return record
        raise AssertionError("a journal has no end")

    async def turn(self) -> None:
        """A whole turn of the present process."""
        assert self._process is not None
        await self._process.submit("s", self._number, send(), wait_s=LIMIT_S)

    async def kept(self, *wanted: CallKey) -> None:
        """Wait until the store keeps outcomes of just these attempts."""
        while True:
            results = await self.store.results(TENANT, "s")
            if [CallKey(call_id=one.call_id, attempt=one.attempt) for one in results] == list(wanted):
                return
            await self.tools.sweep()
            await asyncio.sleep(0)


async def _no_key(model: LlmConfig) -> None:
    return None


async def _no_blobs(tenant: str, digests: frozenset[str]) -> dict[str, bytes]:
    return {}


@pytest.fixture
async def site() -> AsyncGenerator[Site]:
    async with asyncio.timeout(LIMIT_S), GatedStore() as store, _created(store) as made:
        yield made


@asynccontextmanager
async def _created(store: GatedStore, idle_s: float = 0.0) -> AsyncGenerator[Site]:
    site = Site(store, idle_s)
    model = script(calls(("act", {})), says("Done."))
    await create(store, "s", config=SessionConfig(model=model, permission_policy=PermissionPolicy.permissive()))
    try:
        yield site
    finally:
        site.end.set()
        await site.activated()
        await site.tools.close()


async def test_an_outcome_that_comes_while_the_session_is_dead_is_late_at_its_next_activation(site: Site) -> None:
    key = await site.closed_as_unknown()
    await site.activated()
    await site.died()
    assert key not in site.hosts.acked
    site.end.set()
    await site.kept(key)

    await site.activated()

    late = await site.record(r.ToolCallLate)
    assert (late.data.call_id, late.data.outcome) == (key.call_id, Outcome.ok)
    await site.kept()


async def test_what_a_dormant_sessions_call_came_to_is_in_the_store_and_seen_at_once() -> None:
    async with asyncio.timeout(LIMIT_S), Watched() as store, _created(store, idle_s=3600.0) as site:
        key = await site.closed_as_unknown()
        await site.died()
        reads = await site.reads()
        assert [one.outcome for one in await reads.effects()] == [Outcome.unknown]
        head = (await reads.info()).head_seq
        site.end.set()

        await store.written.wait()

        (seen,) = await reads.effects()
        assert (seen.call_id, seen.status, seen.outcome) == (key.call_id, EffectStatus.late, Outcome.ok)
        assert (await reads.info()).head_seq == head, "nothing was woken"
        # Its next activation writes it down and takes the outcome away; what is seen stays the same.
        await site.activated()
        await site.record(r.ToolCallLate)
        assert await reads.effects() == (seen,)
        await site.kept()


async def test_an_outcome_that_its_session_waits_for_does_not_go_the_long_way() -> None:
    async with asyncio.timeout(LIMIT_S), Watched() as store, _created(store, idle_s=3600.0) as site:
        site.end.set()
        await site.activated()
        await site.turn()
        assert not store.written.is_set()


async def test_a_session_that_died_while_it_waited_waits_again(site: Site) -> None:
    key = await site.closed_as_unknown()
    await site.activated()
    assert await site.records(r.ToolCallLate) == []
    site.end.set()

    late = await site.record(r.ToolCallLate)
    assert (late.data.call_id, late.data.attempt) == (key.call_id, key.attempt)
    await site.hosts.acknowledged(key)


async def test_a_late_outcome_is_written_down_once(site: Site) -> None:
    await site.closed_as_unknown()
    await site.activated()
    site.end.set()
    await site.record(r.ToolCallLate)
    for _ in range(3):
        await site.activated()
        await site.turn()
    assert len(await site.records(r.ToolCallLate)) == 1


async def test_what_hosts_wrote_down_for_nobody_goes_with_the_next_append(site: Site) -> None:
    key = await site.closed_as_unknown()
    body = OUTCOME.dump_json(ToolOutcome(outcome=Outcome.ok))
    unknown = OUTCOME.dump_json(ToolOutcome(outcome=Outcome.unknown))
    await site.store.put_result(TENANT, "s", StoredResult("s:1:1", 1, body))
    await site.store.put_result(TENANT, "s", StoredResult(key.call_id, key.attempt, unknown))
    host = await site.activated()
    await host.submit("s", 2, AddMessage(command_id=new_ulid(), message=Message.user("more"), fresh=True))
    await site.kept()
