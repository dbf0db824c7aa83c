"""Outcomes of calls that were closed as unknown, when the session's process dies before they come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from actors.domain import records as r
from actors.domain.calls import OUTCOME, Outcome, ToolOutcome
from actors.domain.commands import AddMessage
from actors.domain.ids import new_ulid
from actors.domain.journal import StoredResult
from actors.domain.messages import Message
from actors.reading.effects import EffectStatus
from tests.unit.runtime.parts import TENANT, GatedStore
from tests.unit.runtime.site import Site, open_site


class Watched(GatedStore):
    """Says when a host has written an outcome down."""

    def __init__(self) -> None:
        super().__init__()
        self.written = asyncio.Event()

    async def put_result(self, tenant: str, journal_id: str, result: StoredResult) -> None:
        await super().put_result(tenant, journal_id, result)
        if result.outcome is not None:
            self.written.set()


@pytest.fixture
async def site() -> AsyncGenerator[Site]:
    async with open_site() as made:
        yield made


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
    store = Watched()
    async with open_site(store, idle_s=3600.0) as site:
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
    store = Watched()
    async with open_site(store, idle_s=3600.0) as site:
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
