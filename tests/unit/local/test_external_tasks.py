"""Calls that somebody outside carries out: offered, claimed, completed once, and never run again by themselves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from actors.domain import records as r
from actors.domain.actions import ActionKind
from actors.domain.external_tasks import ExternalTask, ExternalTaskResult
from actors.domain.lanes import LaneHandlerConfig, SessionQueueConfig, TaskHandlerMode
from actors.domain.policies import SessionLane
from actors.domain.session import Activity, SessionConfig
from actors.errors import (
    ActionSettled,
    ExternalTaskNotFound,
    ExternalTaskSettled,
    InvalidRequest,
    SessionNotFound,
    TaskLeased,
    TaskLeaseLost,
)
from actors.handle import SessionHandle
from actors.manager import SessionManager
from actors.tools.base import Tool
from actors.tools.function import tool
from tests.unit.local.runtimes import (
    LIMIT_S,
    calls,
    config,
    record_of,
    records,
    result_texts,
    results,
    runtime,
    says,
    types,
)

OUTSIDE = LaneHandlerConfig(mode=TaskHandlerMode.external, timeout_ms=60_000)
DONE = ExternalTaskResult(success=True, result={"output": "done outside"})


@pytest.fixture
def ran() -> list[str]:
    """What the tool ``act`` was called with, in this process."""
    return []


@pytest.fixture
def act(ran: list[str]) -> Tool:
    @tool
    async def act(what: str) -> str:
        """Do something that cannot be undone."""
        ran.append(what)
        return f"did {what}"

    return act


def _tools(*made: Any) -> list[Any]:
    return list(made)


def outside(*steps: dict[str, Any], handler: LaneHandlerConfig = OUTSIDE, **values: Any) -> SessionConfig:
    """A session whose execute lane is carried out by somebody else."""
    queue = SessionQueueConfig(lane_handlers={SessionLane.execute: handler})
    return config(*(steps or _STEPS), queue_config=queue, **values)


_STEPS = (calls(("act", {"what": "a"})), says("Well."))


@pytest.fixture
async def manager(act: Tool) -> AsyncIterator[SessionManager]:
    async with runtime(act) as one:
        yield one


async def offered(session: SessionHandle, *, count: int = 1) -> ExternalTask:
    """The ``count``-th task that the session has offered, as it stands now."""
    record = await record_of(session, r.TaskOffered, count=count)
    return next(task for task in await session.pending_external_tasks() if task.task_id == record.data.task_id)


@pytest.fixture
async def waiting(manager: SessionManager) -> SessionHandle:
    """A session whose turn waits for somebody outside."""
    session = await manager.create_session("s", outside())
    await session.send("go", command_id="go")
    await offered(session)
    return session


async def _answer(session: SessionHandle) -> Any:
    return await session.generate("go", command_id="go")


async def test_a_new_session_has_no_pending_external_tasks_and_every_lane_is_internal(manager: SessionManager) -> None:
    session = await manager.create_session("new")
    assert await session.pending_external_tasks() == []
    assert [await session.get_lane_handler(lane) for lane in SessionLane] == [LaneHandlerConfig()] * 4


async def test_a_lane_handler_that_was_set_is_returned_and_other_lanes_and_sessions_keep_theirs(
    manager: SessionManager,
) -> None:
    for name in "a", "b":
        await manager.create_session(name)
    external = LaneHandlerConfig(mode="external", timeout_ms=10_000)  # pyright: ignore[reportArgumentType] - pydantic makes the enum
    hybrid = LaneHandlerConfig(mode=TaskHandlerMode.hybrid, timeout_ms=20_000)
    assert await manager.set_lane_handler("a", SessionLane.execute, external) == external
    assert await manager.set_lane_handler("b", "execute", hybrid) == hybrid
    assert await manager.get_lane_handler("a", "execute") == external
    assert await manager.get_lane_handler("a", "query") == LaneHandlerConfig()
    assert (await manager.get_config("b")).queue.handler_config(SessionLane.execute) == hybrid


async def test_lanes_and_tasks_of_an_unknown_session_are_an_error(manager: SessionManager) -> None:
    asked = (
        manager.get_lane_handler("none", "execute"),
        manager.set_lane_handler("none", "execute", OUTSIDE),
        manager.pending_external_tasks("none"),
        manager.complete_external_task("none", "task", DONE),
    )
    for one in asked:
        with pytest.raises(SessionNotFound):
            await one


async def test_an_unknown_lane_is_refused(manager: SessionManager) -> None:
    session = await manager.create_session("s")
    with pytest.raises(InvalidRequest, match="lane"):
        await session.set_lane_handler("fast", OUTSIDE)


async def test_a_call_of_an_external_lane_waits_as_a_task_and_its_result_goes_to_the_model(
    waiting: SessionHandle, ran: list[str]
) -> None:
    (task,) = await waiting.pending_external_tasks()
    assert (task.session_id, task.lane, task.command_type, task.payload) == ("s", "execute", "act", {"what": "a"})
    assert (task.timeout_ms, task.attempt, task.effect, task.lease) == (60_000, 1, "unsafe", None)
    info = await waiting.info()
    assert (info.activity, info.wake_at) == (Activity.waiting, task.expires_at)

    assert await waiting.complete_external_task(task.task_id, DONE)
    result = await _answer(waiting)
    assert (result.text, result_texts(result.messages), ran) == ("Well.", ["done outside"], [])
    assert await waiting.pending_external_tasks() == []
    (completed,) = await records(waiting, r.TaskCompleted)
    assert (completed.data.success, completed.data.task_id) == (True, task.task_id)
    (effect,) = await waiting.effects()
    assert (effect.call_id, effect.host.host_id, effect.outcome) == (task.call_id, "external", "ok")


async def test_a_session_that_waits_for_somebody_outside_hibernates_and_its_result_wakes_it(
    waiting: SessionHandle,
) -> None:
    (task,) = await waiting.pending_external_tasks()
    assert await waiting.hibernate()
    assert await waiting.pending_external_tasks() == [task]
    assert await waiting.complete_external_task(task.task_id, DONE)
    assert (await _answer(waiting)).text == "Well."
    assert (await waiting.info()).epoch == 2


async def test_a_task_outlives_the_runtime_and_is_completed_in_the_next(tmp_path: Path, act: Tool) -> None:
    url = f"sqlite:///{tmp_path}/greenroom.db"
    async with asyncio.timeout(LIMIT_S):
        async with await SessionManager.local(store=url, tools=_tools(act)) as manager:
            session = await manager.create_session("s", outside())
            await session.send("go", command_id="go")
            task = await offered(session)
        async with await SessionManager.local(store=url, tools=_tools(act)) as manager:
            session = await manager.get_session("s")
            assert await session.pending_external_tasks() == [task]
            assert (await session.get_lane_handler("execute")) == OUTSIDE
            assert await session.complete_external_task(task.task_id, DONE)
            assert (await _answer(session)).text == "Well."


async def test_the_same_result_twice_is_one_result_and_another_one_is_refused(waiting: SessionHandle) -> None:
    (task,) = await waiting.pending_external_tasks()
    assert await asyncio.gather(*(waiting.complete_external_task(task.task_id, DONE) for _ in range(3))) == [True] * 3
    await _answer(waiting)
    assert await waiting.complete_external_task(task.task_id, DONE)
    other = ExternalTaskResult(success=True, result={"output": "something else"})
    with pytest.raises(ExternalTaskSettled, match="completed"):
        await waiting.complete_external_task(task.task_id, other)
    assert len(await records(waiting, r.TaskCompleted)) == 1
    assert len(await records(waiting, r.ToolCallCompleted)) == 1


@pytest.mark.parametrize("task_id", ["nothing", "", "task_" + "0" * 20, "x" * 5000])
async def test_completing_an_unknown_task_is_false_and_claiming_it_an_error(
    waiting: SessionHandle, task_id: str
) -> None:
    assert not await waiting.complete_external_task(task_id, DONE)
    with pytest.raises(ExternalTaskNotFound):
        await waiting.lease_external_task(task_id, worker="w")


async def test_a_failure_is_a_result_that_the_model_reads(waiting: SessionHandle) -> None:
    (task,) = await waiting.pending_external_tasks()
    await waiting.complete_external_task(task.task_id, ExternalTaskResult(success=False, error="the crane is broken"))
    result = await _answer(waiting)
    (block,) = results(result.messages)
    assert (block.content, block.is_error) == ("the crane is broken", True)
    (completed,) = await records(waiting, r.TaskCompleted)
    assert (completed.data.success, completed.data.error) == (False, "the crane is broken")


async def test_a_failure_without_words_has_a_text_all_the_same(waiting: SessionHandle) -> None:
    (task,) = await waiting.pending_external_tasks()
    await waiting.complete_external_task(task.task_id, ExternalTaskResult(success=False))
    assert "nothing was said" in result_texts((await _answer(waiting)).messages)[0]


async def test_a_result_carries_its_exit_code_metadata_and_images(waiting: SessionHandle) -> None:
    (task,) = await waiting.pending_external_tasks()
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}
    result = {"output": "half", "exit_code": 3, "metadata": {"lines": 7}, "images": [image]}
    await waiting.complete_external_task(task.task_id, ExternalTaskResult(success=True, result=result))
    (block,) = results((await _answer(waiting)).messages)
    assert block.is_error
    assert [part.type for part in block.content if not isinstance(part, str)] == ["text", "image"]
    (done,) = await records(waiting, r.ToolCallCompleted)
    assert (done.data.exit_code, done.data.metadata) == (3, {"lines": 7})


@pytest.mark.parametrize("result", [None, "text", {}, {"exit_code": 0}, {"output": 5}, {"output": "x", "else": 1}])
async def test_a_success_without_output_is_refused_and_the_task_waits_on(waiting: SessionHandle, result: Any) -> None:
    (task,) = await waiting.pending_external_tasks()
    with pytest.raises(InvalidRequest, match="output|else"):
        await waiting.complete_external_task(task.task_id, ExternalTaskResult(success=True, result=result))
    assert await waiting.pending_external_tasks() == [task]


async def test_a_task_whose_time_is_over_fails_and_its_late_result_is_written_down_and_not_shown(
    manager: SessionManager, ran: list[str]
) -> None:
    brief = LaneHandlerConfig(mode=TaskHandlerMode.external, timeout_ms=20)
    session = await manager.create_session("s", outside(handler=brief))
    result = await session.generate("go")
    assert (result.text, ran) == ("Well.", [])
    assert "timed out" in result_texts(result.messages)[0]
    (completed,) = await records(session, r.TaskCompleted)
    assert (completed.data.success, completed.data.resolution) == (False, "timeout")
    (effect,) = await session.effects()
    assert (effect.status, effect.outcome) == ("settled", "timeout")
    for _ in range(2):
        with pytest.raises(ExternalTaskSettled, match="timeout"):
            await session.complete_external_task(completed.data.task_id, DONE)
    (late,) = await records(session, r.ToolCallLate)
    assert (late.data.call_id, late.data.outcome) == (effect.call_id, "ok")
    (effect,) = await session.effects()
    assert (effect.status, effect.outcome) == ("late", "ok")
    assert "done outside" not in str(await session.history())


async def test_a_cancelled_turn_takes_its_tasks_back(waiting: SessionHandle) -> None:
    (task,) = await waiting.pending_external_tasks()
    assert await waiting.cancel("enough")
    await record_of(waiting, r.TurnCancelled)
    assert await waiting.pending_external_tasks() == []
    with pytest.raises(ExternalTaskSettled, match="cancelled"):
        await waiting.complete_external_task(task.task_id, DONE)


async def test_a_claimed_task_is_one_workers_until_it_is_given_back_with_its_result(waiting: SessionHandle) -> None:
    (task,) = await waiting.pending_external_tasks()
    claimed = await waiting.lease_external_task(task.task_id, worker="w1", command_id="claim")
    assert claimed.lease is not None
    assert await waiting.lease_external_task(task.task_id, worker="w1", command_id="claim") == claimed
    with pytest.raises(TaskLeased, match="w1"):
        await waiting.lease_external_task(task.task_id, worker="w2")
    for lease in None, "another":
        with pytest.raises(TaskLeaseLost):
            await waiting.complete_external_task(task.task_id, DONE, lease_id=lease)
    assert await waiting.complete_external_task(task.task_id, DONE, lease_id=claimed.lease.lease_id)
    assert (await _answer(waiting)).text == "Well."
    (completed,) = await records(waiting, r.TaskCompleted)
    assert completed.data.by == "w1"


async def test_a_handler_that_is_changed_is_that_of_later_calls(waiting: SessionHandle, ran: list[str]) -> None:
    (task,) = await waiting.pending_external_tasks()
    await waiting.set_lane_handler("execute", LaneHandlerConfig())
    assert await waiting.pending_external_tasks() == [task]
    await waiting.complete_external_task(task.task_id, DONE)
    await _answer(waiting)
    await waiting.generate("again")
    assert ran == ["a"]


HYBRID = LaneHandlerConfig(mode=TaskHandlerMode.hybrid)


async def test_a_hybrid_call_runs_inside_and_those_outside_are_told_of_it(
    manager: SessionManager, ran: list[str]
) -> None:
    session = await manager.create_session("s", outside(handler=HYBRID))
    result = await session.generate("go")
    assert (result_texts(result.messages), ran) == (["did a"], ["a"])
    told = [one for one in await types(session) if one.startswith(("task.", "tool."))]
    assert told == ["tool.call.started", "task.offered", "task.completed", "tool.call.completed"]
    (offer,), (end,) = await records(session, r.TaskOffered), await records(session, r.TaskCompleted)
    assert (offer.data.mode, offer.data.args, end.data.task_id) == ("hybrid", {"what": "a"}, offer.data.task_id)
    assert end.data.success
    assert end.data.by.startswith("tools")


async def test_a_hybrid_call_is_no_task_for_anybody(manager: SessionManager) -> None:
    session = await manager.create_session("s", outside(calls(("act", {})), says("Well."), handler=HYBRID))
    await session.generate("go")
    (end,) = await records(session, r.TaskCompleted)
    assert (end.data.success, end.data.resolution) == (False, "failed")
    assert (await manager.actions(pending=False)).items == ()
    assert not await session.complete_external_task(end.data.task_id, DONE)


async def test_tasks_stand_in_the_inbox_and_are_not_resolved_like_questions(
    manager: SessionManager, waiting: SessionHandle
) -> None:
    (task,) = await waiting.pending_external_tasks()
    (action,) = (await manager.actions()).items
    assert (action.kind, action.action_id) == (ActionKind.external_task, task.task_id)
    assert ExternalTask.of(action) == task
    with pytest.raises(InvalidRequest, match="completed with its result"):
        await waiting.resolve_action(task.task_id, "approve")
    await waiting.complete_external_task(task.task_id, DONE)
    await _answer(waiting)
    assert (await manager.actions()).items == ()
    (settled,) = (await manager.actions(pending=False)).items
    assert (settled.resolution, settled.resolved_by) == ("completed", "external")
    with pytest.raises(ActionSettled, match="completed"):
        await waiting.resolve_action(task.task_id, "approve")


async def test_workers_find_the_tasks_of_all_sessions_page_by_page(manager: SessionManager, act: Tool) -> None:
    for name in "a", "b", "c":
        session = await manager.create_session(name, outside())
        await session.send("go")
        await offered(session)
    asks = await manager.create_session("asks", config(*_STEPS, permission_policy=None))
    await asks.send("go")
    await record_of(asks, r.ActionRequested)

    page = await manager.external_tasks(limit=2)
    rest = await manager.external_tasks(limit=2, after=page.next)
    assert [task.session_id for task in (*page.items, *rest.items)] == ["a", "b", "c"]
    assert rest.next is None
    assert [one.session_id for one in (await manager.actions(kind="approval")).items] == ["asks"]
    assert await manager.complete_external_task("a", page.items[0].task_id, DONE)
    assert len((await manager.external_tasks()).items) == 2


async def test_a_child_takes_the_lanes_of_its_parent_unless_it_has_its_own(manager: SessionManager) -> None:
    await manager.create_session("parent", outside())
    child = await manager.create_child_session("parent", "child")
    other = await manager.create_child_session("parent", "other", SessionConfig(queue_config=SessionQueueConfig()))
    assert await child.get_lane_handler("execute") == OUTSIDE
    assert await other.get_lane_handler("execute") == LaneHandlerConfig()


async def test_a_fork_takes_the_handlers_and_no_task(manager: SessionManager, waiting: SessionHandle) -> None:
    fork = await manager.fork_session("s", "fork")
    assert await fork.get_lane_handler("execute") == OUTSIDE
    assert await fork.pending_external_tasks() == []
    (action,) = (await manager.actions()).items
    assert action.session_id == "s"


async def test_time_travel_shows_the_handlers_of_then(waiting: SessionHandle) -> None:
    head = (await waiting.info()).head_seq
    await waiting.set_lane_handler("execute", LaneHandlerConfig())
    assert (await waiting.config(at=head)).queue.handler_config(SessionLane.execute) == OUTSIDE
