"""External tasks without a clock: leases, time-outs, crashes and ends, by the core alone."""

from __future__ import annotations

from typing import Any

import pytest

from actors.domain import commands as c
from actors.domain import records as r
from actors.domain.external_tasks import ExternalTaskResult
from actors.domain.lanes import LaneHandlerConfig, SessionQueueConfig, TaskHandlerMode
from actors.domain.messages import Message, ToolUseBlock
from actors.domain.permissions import PermissionPolicy
from actors.domain.policies import OnInDoubt, SessionLane
from actors.domain.session import Activity, SessionConfig
from actors.errors import ExternalTaskNotFound, TaskLeaseLost
from actors.session.projection import changed_actions, project
from tests.unit.session.world import World

DONE = ExternalTaskResult(success=True, result={"output": "done outside"})


def world_with(*uses: str, timeout_ms: int = 100_000, **values: Any) -> World:
    """A session whose calls go outside, and whose model has just asked for these."""
    handler = LaneHandlerConfig(mode=TaskHandlerMode.external, timeout_ms=timeout_ms)
    queue = SessionQueueConfig(lane_handlers={SessionLane.execute: handler})
    config = SessionConfig(permission_policy=PermissionPolicy.permissive(), queue_config=queue, **values)
    world = World(config)
    world.send()
    (call,) = world.running
    blocks = [ToolUseBlock(id=f"u{place}", name=name, input={"n": place}) for place, name in enumerate(uses)]
    world.answer(call, Message.assistant("", *blocks))
    return world


def lease(
    world: World, lease_id: str = "l1", *, task_id: str = "", lease_ms: int = 10_000, prolongs: bool = False
) -> None:
    task_id = task_id or world.state.external_tasks[0].action_id
    command = c.LeaseTask(
        **world.identity(), task_id=task_id, lease_id=lease_id, worker="w", lease_ms=lease_ms, prolongs=prolongs
    )
    world.tell(command)


def complete(world: World, task_id: str, lease_id: str | None = None) -> c.Reply:
    return world.tell(c.CompleteTask(**world.identity(), task_id=task_id, result=DONE, lease_id=lease_id))


def kinds(world: World) -> list[str]:
    return [record.type for record in world.records if record.type.startswith(("task.", "tool."))]


def test_calls_of_an_external_lane_begin_in_their_order_and_side_by_side_only_when_pure() -> None:
    world = world_with("look", "look")
    assert [task.args for task in world.state.external_tasks] == [{"n": 0}, {"n": 1}]
    complete(world, world.state.external_tasks[1].action_id)
    complete(world, world.state.external_tasks[0].action_id)
    assert len(world.running) == 1

    world = world_with("act", "act")
    assert [task.args for task in world.state.external_tasks] == [{"n": 0}]
    complete(world, world.state.external_tasks[0].action_id)
    assert [task.args for task in world.state.external_tasks] == [{"n": 1}]


def test_a_task_is_the_same_after_a_crash_and_another_call_has_another() -> None:
    world = world_with("act", "act")
    (first,) = world.state.external_tasks
    assert (world.state.activity, project(world.state).needs_actor) == (Activity.waiting, False)
    world.crash()
    assert world.state.external_tasks == (first,)
    assert kinds(world) == ["tool.call.started", "task.offered"]
    complete(world, first.action_id)
    assert world.state.external_tasks[0].action_id != first.action_id


@pytest.mark.parametrize("name", ["put", "look"])
def test_a_task_that_may_run_twice_is_offered_again_when_its_worker_is_gone(name: str) -> None:
    world = world_with(name)
    (task,) = world.state.external_tasks
    lease(world)
    assert project(world.state).wake_at == world.state.external_tasks[0].task.lease.expires_at  # pyright: ignore[reportOptionalMemberAccess] - it is claimed
    world.pass_time(10)
    assert kinds(world) == ["tool.call.started", "task.offered", "task.leased", "task.offered"]
    assert world.state.external_tasks == (task,)
    with pytest.raises(TaskLeaseLost):
        complete(world, task.action_id, "l1")
    with pytest.raises(TaskLeaseLost):
        lease(world, "l1", prolongs=True)
    lease(world, "l2")
    complete(world, task.action_id, "l2")
    assert world.state.activity is Activity.running


def test_a_claim_that_is_prolonged_holds() -> None:
    world = world_with("act")
    lease(world)
    world.pass_time(9)
    lease(world, prolongs=True)
    world.pass_time(9)
    assert kinds(world).count("task.leased") == 2
    complete(world, world.state.external_tasks[0].action_id, "l1")


def test_a_task_that_must_not_run_twice_is_in_doubt_when_its_worker_is_gone() -> None:
    world = world_with("act")
    (task,) = world.state.external_tasks
    lease(world)
    world.pass_time(10)
    assert world.state.activity is Activity.requires_action
    with pytest.raises(ExternalTaskNotFound):
        lease(world, "l2", task_id=task.action_id)
    (action,) = world.state.actions
    world.tell(c.ResolveAction(**world.identity(), action_id=action.action_id, resolution="retry"))  # pyright: ignore[reportArgumentType] - pydantic makes the enum
    (again,) = world.state.external_tasks
    assert again.action_id != task.action_id
    assert (again.task.call_id, again.task.attempt) == (task.task.call_id, 2)  # pyright: ignore[reportOptionalMemberAccess] - tasks have terms
    complete(world, again.action_id)
    assert world.state.activity is Activity.running


def test_a_lost_worker_is_told_to_the_model_when_nobody_is_to_be_asked() -> None:
    world = world_with("act", on_in_doubt=OnInDoubt.report)
    lease(world)
    world.pass_time(10)
    (done,) = [record for record in world.records if isinstance(record, r.ToolCallCompleted)]
    assert done.data.outcome == "unknown"
    assert kinds(world).count("tool.call.started") == 1


def test_a_time_out_ends_the_call_and_never_runs_it() -> None:
    world = world_with("act", timeout_ms=5_000)
    (task,) = world.state.external_tasks
    world.pass_time(5)
    assert kinds(world) == ["tool.call.started", "task.offered", "task.completed", "tool.call.completed"]
    assert [call.kind for call in world.running] == ["model"]
    assert complete(world, task.action_id).record == "tool.call.late"
    with pytest.raises(ExternalTaskNotFound):
        complete(world, task.action_id)


def test_a_time_out_ends_the_call_of_a_worker_as_well() -> None:
    world = world_with("act", timeout_ms=5_000)
    lease(world)
    world.pass_time(5)
    (done,) = [record for record in world.records if isinstance(record, r.ToolCallCompleted)]
    assert done.data.outcome == "timeout"
    assert project(world.state).wake_at != world.now


@pytest.mark.parametrize(("claimed", "outcome"), [(False, "cancelled"), (True, "unknown")])
def test_a_cancelled_call_is_unknown_only_when_a_worker_had_it(claimed: bool, outcome: str) -> None:
    world = world_with("act")
    if claimed:
        lease(world)
    world.tell(c.Cancel(**world.identity()))
    (done,) = [record for record in world.records if isinstance(record, r.ToolCallCompleted)]
    assert done.data.outcome == outcome
    assert world.state.turn is None
    assert not world.state.external_tasks


@pytest.mark.parametrize("end", ["lost", "cancelled"])
def test_what_a_worker_says_too_late_is_written_down_and_settles_nothing(end: str) -> None:
    world = world_with("act")
    (task,) = world.state.external_tasks
    lease(world)
    if end == "lost":
        world.pass_time(10)
        world.tell(c.ResolveAction(**world.identity(), action_id=world.state.actions[0].action_id, resolution="retry"))  # pyright: ignore[reportArgumentType] - pydantic makes the enum
    else:
        world.tell(c.Cancel(**world.identity()))
    world.crash()
    before = world.state
    complete(world, task.action_id, "l1")
    late = world.records[-1]
    assert isinstance(late, r.ToolCallLate)
    assert (late.data.call_id, late.data.attempt) == (task.task.call_id, 1)  # pyright: ignore[reportOptionalMemberAccess] - tasks have terms
    assert (world.state.turn, world.state.external_tasks) == (before.turn, before.external_tasks)


def test_the_turns_time_stands_still_while_somebody_outside_works() -> None:
    world = world_with("act", max_turn_s=10)
    assert project(world.state).wake_at == world.state.external_tasks[0].expires_at
    world.pass_time(50)
    complete(world, world.state.external_tasks[0].action_id)
    assert world.state.turn is not None
    assert not world.state.turn.timed_out


def test_a_result_that_meets_a_paused_session_is_taken_and_the_turn_goes_on_later() -> None:
    world = world_with("act")
    task = world.state.external_tasks[0]
    world.tell(c.Pause(**world.identity()))
    complete(world, task.action_id)
    assert not world.running
    world.tell(c.Resume(**world.identity()))
    assert [call.kind for call in world.running] == ["model"]


def test_the_rows_of_a_task_follow_its_records() -> None:
    world = world_with("put")
    lease(world)
    world.pass_time(10)
    complete(world, world.state.external_tasks[0].action_id)
    rows = [changed_actions(made.before, tuple(made.records), made.state) for made in world.plans]
    told = [(row.task.lease is not None, row.resolution) for batch in rows for row in batch if row.task]
    assert told == [(False, None), (True, None), (False, None), (False, "completed")]


def test_an_approval_comes_before_the_task() -> None:
    queue = SessionQueueConfig(lane_handlers={SessionLane.execute: LaneHandlerConfig(mode=TaskHandlerMode.external)})
    world = World(SessionConfig(queue_config=queue))
    world.send()
    (call,) = world.running
    world.answer(call, Message.assistant("", ToolUseBlock(id="u", name="act", input={"path": "a"})))
    assert not world.state.external_tasks
    (action,) = world.state.actions
    approve = c.ResolveAction(
        **world.identity(),
        action_id=action.action_id,
        resolution="approve",  # pyright: ignore[reportArgumentType] - pydantic makes the enum
        args={"path": "edited"},
    )
    world.tell(approve)
    assert [task.args for task in world.state.external_tasks] == [{"path": "edited"}]
