"""Calls that were closed as unknown and end later: their session is kept until it has written that down."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from actors.domain import commands as c
from actors.domain import records as r
from actors.domain.calls import Attached, CallKey, CallStatus, HostRef, ModelCall, Outcome, ToolCall, ToolOutcome
from actors.domain.messages import Message, ToolUseBlock
from actors.domain.permissions import PermissionPolicy
from actors.domain.session import SessionConfig
from actors.errors import GreenroomError, HostGone
from actors.session.calls import CallKeeper
from actors.session.effects import Effects
from actors.session.plan import CallAnswered, CallLost, Happening
from actors.session.ports import ToolSpec
from tests.unit.session.world import World, answered
from tests.unit.unclear import UnclearHosts


class Stubborn(UnclearHosts):
    """A host whose call does not end when it is told to; ``end`` is what comes of it."""

    def __init__(self) -> None:
        self.end: asyncio.Future[Attached] = asyncio.get_running_loop().create_future()

    async def run(self, call: ModelCall | ToolCall) -> Attached:
        return await self.end

    async def cancel(self, host: HostRef, journal_id: str, epoch: int, key: CallKey) -> Attached:
        return Attached(key=key, status=CallStatus.running, outcome=ToolOutcome(outcome=Outcome.unknown))

    async def ack(self, host: HostRef, journal_id: str, epoch: int, keys: Sequence[CallKey]) -> None:
        """Nothing is kept."""

    async def confirmed_dead(self, host: HostRef) -> bool:
        return True


class Empty:
    """A store that keeps no outcomes."""

    async def results(self, tenant: str, journal_id: str) -> tuple[()]:
        return ()


class Kept:
    """A keeper with one tool call, which is cancelled and closed as unknown."""

    def __init__(self) -> None:
        self.hosts = Stubborn()
        self.posted: asyncio.Queue[Happening] = asyncio.Queue()
        self._tasks: list[asyncio.Task[Any]] = []
        store: Any = Empty()
        hosts: Any = self.hosts
        self.keeper = CallKeeper(
            store, hosts, post=self.posted.put_nowait, stop=_stop, spawn=self._spawn, renew=_nothing
        )
        self.world = World(SessionConfig(permission_policy=PermissionPolicy.permissive()))
        self.world.send()
        use = ToolUseBlock(id="a", name="act", input={"n": 1})
        self.world.answer(self.world.running[0], Message.assistant("", use))
        (self.call,) = self.world.running

    def _spawn(self, work: Any) -> asyncio.Task[Any]:
        task = asyncio.ensure_future(work)
        self._tasks.append(task)
        return task

    async def give_up(self) -> None:
        self.keeper.keep(Effects(running=(self.call,)))
        self.world.tell(c.Cancel(**self.world.identity()))
        self.keeper.keep(Effects(running=(self.call,), ending=True))
        closed = self.world.happen(await self.posted.get())
        self.keeper.acknowledge(closed.records)
        (record,) = [one for one in closed.records if isinstance(one, r.ToolCallCompleted)]
        assert record.data.outcome is Outcome.unknown


def _stop(reason: GreenroomError) -> None:
    pytest.fail(f"the session was ended: {reason}")


async def _nothing() -> dict[str, ToolSpec]:
    """The world is as it was."""
    return {}


async def test_a_session_is_kept_until_the_outcome_of_a_call_closed_as_unknown_has_come() -> None:
    kept = Kept()
    await kept.give_up()
    assert kept.keeper.running

    kept.hosts.end.set_result(answered(kept.call, ToolOutcome(outcome=Outcome.ok, content="done after all")))
    happening = await kept.posted.get()

    assert isinstance(happening, CallAnswered)
    assert happening.late
    assert not kept.keeper.running
    (late,) = kept.world.happen(happening).records
    assert isinstance(late, r.ToolCallLate)
    assert (late.data.call_id, late.data.outcome) == (kept.call.call_id, Outcome.ok)


async def test_nothing_is_waited_for_when_the_host_of_such_a_call_dies() -> None:
    kept = Kept()
    await kept.give_up()

    kept.hosts.end.set_exception(HostGone("tools", "it was killed"))

    happening = await kept.posted.get()
    assert isinstance(happening, CallLost)
    assert not kept.keeper.running
    assert not kept.world.happen(happening).records


async def test_an_outcome_that_came_before_the_answer_to_the_cancel_is_not_waited_for_again() -> None:
    kept = Kept()
    kept.keeper.keep(Effects(running=(kept.call,)))
    kept.hosts.end.set_result(answered(kept.call, ToolOutcome(outcome=Outcome.ok, content="done")))
    first = await kept.posted.get()
    await asyncio.sleep(0)
    kept.keeper.keep(Effects(running=(kept.call,), ending=True))
    await kept.posted.get()

    kept.keeper.acknowledge(kept.world.happen(first).records)

    assert not kept.keeper.running
