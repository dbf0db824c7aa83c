"""Calls that were closed as unknown and end later: their session is kept until it has written that down."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

import pytest

from actors.domain import commands as c
from actors.domain import records as r
from actors.domain.calls import Attached, CallKey, CallStatus, HostRef, ModelCall, Outcome, ToolCall, ToolOutcome
from actors.domain.journal import StoredResult
from actors.domain.messages import Message, ToolUseBlock
from actors.domain.permissions import PermissionPolicy
from actors.domain.session import SessionConfig
from actors.errors import GreenroomError, HostGone, StoreUnavailable
from actors.session import late
from actors.session.acks import Acks
from actors.session.calls import CallKeeper
from actors.session.effects import Effects
from actors.session.late import LateOutcomes
from actors.session.plan import CallAnswered, Happening, Plan
from tests.unit.session.world import World, answered
from tests.unit.unclear import UnclearHosts


class Stubborn(UnclearHosts):
    """A host whose call does not end when it is told to; ``end`` is what comes of it."""

    def __init__(self) -> None:
        self.end: asyncio.Future[Attached] = asyncio.get_running_loop().create_future()
        self.told = 0
        self.acked: list[CallKey] = []

    async def run(self, call: ModelCall | ToolCall) -> Attached:
        return await asyncio.shield(self.end)

    async def cancel(self, host: HostRef, journal_id: str, epoch: int, key: CallKey) -> Attached:
        self.told += 1
        if self.told > 1:
            return await asyncio.shield(self.end)
        return Attached(key=key, status=CallStatus.running, outcome=ToolOutcome(outcome=Outcome.unknown))

    async def ack(self, host: HostRef, journal_id: str, epoch: int, keys: Sequence[CallKey]) -> None:
        self.acked += keys

    async def confirmed_dead(self, host: HostRef) -> bool:
        return True


class Empty:
    """A store that keeps no outcomes."""

    async def results(self, tenant: str, journal_id: str, call_id: str | None = None) -> tuple[()]:
        return ()


class Kept:
    """A keeper with one tool call, which is cancelled and closed as unknown."""

    def __init__(self) -> None:
        self.hosts = Stubborn()
        self.posted: asyncio.Queue[Happening] = asyncio.Queue()
        self.tasks: list[asyncio.Task[Any]] = []
        store: Any = Empty()
        hosts: Any = self.hosts
        self.world = World(SessionConfig(permission_policy=PermissionPolicy.permissive()))
        acks = Acks(hosts, self.world.state.journal_id, 1, self._spawn)
        self.keeper = CallKeeper(
            store, hosts, acks, post=self.posted.put_nowait, stop=_stop, spawn=self._spawn, renew=_nothing
        )
        self.world.send()
        use = ToolUseBlock(id="a", name="act", input={"n": 1})
        self.world.answer(self.world.running[0], Message.assistant("", use))
        (self.call,) = self.world.running

    def _spawn(self, work: Any) -> asyncio.Task[Any]:
        task = asyncio.ensure_future(work)
        self.tasks.append(task)
        return task

    def happened(self, happening: Happening) -> Plan:
        made = self.world.happen(happening)
        self.keeper.close(made.state, made.records)
        return made

    async def settled(self) -> None:
        """Wait for all that was begun, and for what that has begun in its turn."""
        for task in self.tasks:
            await asyncio.wait([task])

    async def give_up(self) -> None:
        self.keeper.keep(Effects(running=(self.call,)))
        self.world.tell(c.Cancel(**self.world.identity()))
        self.keeper.keep(Effects(running=(self.call,), ending=True))
        closed = self.happened(await self.posted.get())
        (record,) = [one for one in closed.records if isinstance(one, r.ToolCallCompleted)]
        assert record.data.outcome is Outcome.unknown


def _stop(reason: GreenroomError) -> None:
    pytest.fail(f"the session was ended: {reason}")


async def _nothing(_: object) -> None:
    """The world is as it was."""


async def test_a_session_is_kept_until_the_outcome_of_a_call_closed_as_unknown_has_come() -> None:
    kept = Kept()
    await kept.give_up()
    assert kept.keeper.running
    assert kept.hosts.acked == []

    kept.hosts.end.set_result(answered(kept.call, ToolOutcome(outcome=Outcome.ok, content="done after all")))
    (late,) = kept.happened(await kept.posted.get()).records

    assert isinstance(late, r.ToolCallLate)
    assert (late.data.call_id, late.data.outcome) == (kept.call.call_id, Outcome.ok)
    await kept.settled()
    assert not kept.keeper.running
    assert kept.hosts.acked == [kept.call.key]


async def test_a_tool_that_never_ends_does_not_keep_its_session_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.session.late.STAY_S", 0.0)
    kept = Kept()
    await kept.give_up()

    assert not kept.keeper.running
    kept.keeper.stop()
    await kept.settled()
    assert kept.hosts.acked == []


@pytest.mark.parametrize("gone", [HostGone("tools", "it was killed"), None])
async def test_nothing_is_written_down_when_nothing_comes_any_more(gone: HostGone | None) -> None:
    kept = Kept()
    await kept.give_up()

    if gone is not None:
        kept.hosts.end.set_exception(gone)
    else:
        kept.hosts.end.set_result(answered(kept.call, ToolOutcome(outcome=Outcome.unknown)))
    await kept.settled()

    assert not kept.keeper.running
    assert kept.posted.empty()
    assert kept.hosts.acked == ([] if gone else [kept.call.key])


async def test_an_outcome_that_came_before_the_answer_to_the_cancel_is_not_waited_for_again() -> None:
    kept = Kept()
    kept.keeper.keep(Effects(running=(kept.call,)))
    kept.hosts.end.set_result(answered(kept.call, ToolOutcome(outcome=Outcome.ok, content="done")))
    first = await kept.posted.get()
    await asyncio.sleep(0)
    kept.keeper.keep(Effects(running=(kept.call,), ending=True))
    second = await kept.posted.get()

    kept.happened(first)

    assert not kept.keeper.running
    assert kept.world.happen(second).records == []


async def test_what_a_lost_host_wrote_down_is_looked_for_until_the_store_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(late, "RETRY_FIRST_S", 0.0)
    outcome = ToolOutcome(outcome=Outcome.ok, content="made")
    asked: list[int] = []
    told: asyncio.Queue[Happening] = asyncio.Queue()

    class Lost:
        async def cancel(self, *_: object) -> None:
            raise HostGone("h", "its process is gone")

        async def results(self, *_: object) -> tuple[StoredResult, ...]:
            asked.append(1)
            if len(asked) < 3:
                raise StoreUnavailable("it does not answer")
            return (StoredResult(call_id="J:1:4", attempt=1, outcome=outcome.model_dump_json().encode()),)

    tasks: list[asyncio.Task[Any]] = []

    def spawn(work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        tasks.append(asyncio.get_running_loop().create_task(work))
        return tasks[-1]

    lost: Any = Lost()
    waits = LateOutcomes(lost, lost, lost, post=told.put_nowait, spawn=spawn)
    waits.wait(World().state, HostRef(host_id="h", incarnation="i"), CallKey(call_id="J:1:4", attempt=1))
    async with asyncio.timeout(5):
        found = await told.get()
        await asyncio.gather(*tasks)

    assert isinstance(found, CallAnswered)
    assert (found.answer.outcome, len(asked)) == (outcome, 3)
