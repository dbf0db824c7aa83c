"""The limits of lanes, by the core alone: how many calls, how often, what is repeated, what is told."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from actors.domain import commands as c
from actors.domain import records as r
from actors.domain.calls import RAISED, Outcome, ToolCall, ToolOutcome
from actors.domain.external_tasks import ExternalTaskResult
from actors.domain.lanes import SessionQueueConfig
from actors.domain.messages import Message, ToolUseBlock
from actors.domain.permissions import PermissionPolicy
from actors.domain.policies import SessionLane
from actors.domain.session import Activity, SessionConfig
from actors.domain.tools import EffectClass
from actors.session.effects import next_effects
from actors.session.lanes import stats
from actors.session.plan import CallAnswered
from actors.session.projection import project
from tests.unit.session.world import WITH_OWN, World, answered, spec

BROKEN = ToolOutcome(outcome=Outcome.error, content="it broke", exit_code=1, metadata={RAISED: "OSError"})
NO = ToolOutcome(outcome=Outcome.error, content="there is no such file", exit_code=1)
FIXED = {"strategy": "fixed", "fixed_delay_ms": 5_000, "max_retries": 2}


def calling(*uses: str, **queue: Any) -> World:
    """A session whose lanes have these limits, and whose model has just asked for these calls."""
    config = SessionConfig(
        permission_policy=PermissionPolicy.permissive(), queue_config=SessionQueueConfig.model_validate(queue)
    )
    world = World(config)
    world.surround(tools={**WITH_OWN, "read": spec("read", EffectClass.pure)})
    world.send()
    ask(world, *uses)
    return world


def ask(world: World, *uses: str) -> None:
    (call,) = world.running
    blocks = [ToolUseBlock(id=f"u{place}", name=name, input={"n": place}) for place, name in enumerate(uses)]
    world.answer(call, Message.assistant("", *blocks))


def running(world: World) -> list[int]:
    """The places of the calls that a host runs."""
    return [call.args["n"] for call in world.running if isinstance(call, ToolCall)]


def breaks(world: World, outcome: ToolOutcome = BROKEN) -> None:
    world.happen(CallAnswered(answered(world.running[0], outcome)))


def kinds(world: World, *domains: str) -> list[str]:
    return [record.type for record in world.records if record.type.startswith(domains)]


def ends(world: World) -> list[r.ToolCallCompleted]:
    return [record for record in world.records if isinstance(record, r.ToolCallCompleted)]


# --- concurrency -----------------------------------------------------------------------------------------------------


def test_no_more_calls_of_a_lane_run_at_a_time_than_it_allows() -> None:
    world = calling(*["read"] * 6, query_max_concurrency=2)
    assert running(world) == [0, 1]
    lane = stats(world.state).lanes[SessionLane.query]
    assert (lane.active, lane.pending, lane.max_concurrency) == (2, 4, 2)
    world.result(world.running[1])
    assert running(world) == [0, 2]
    world.crash()
    assert running(world) == [0, 2]


def test_a_session_without_a_queue_config_has_no_limits() -> None:
    world = World(SessionConfig(permission_policy=PermissionPolicy.permissive()))
    world.send()
    ask(world, *["look"] * 9)
    assert running(world) == list(range(9))
    assert stats(world.state).total_active == 9


def test_a_full_lane_holds_what_stands_behind_it_in_the_answer() -> None:
    world = calling("look", "look", "look", "read", execute_max_concurrency=2)
    assert running(world) == [0, 1]
    world.result(world.running[0])
    assert running(world) == [1, 2, 3]


def test_calls_outside_take_places_of_their_lane_too() -> None:
    external = {"lane_handlers": {"query": {"mode": "external"}}}
    world = calling("read", "read", "read", query_max_concurrency=2, **external)
    assert [task.args["n"] for task in world.state.external_tasks] == [0, 1]
    done = ExternalTaskResult(success=True, result={"output": ""})
    first = world.state.external_tasks[0].action_id
    world.tell(c.CompleteTask(**world.identity(), task_id=first, result=done))
    assert [task.args["n"] for task in world.state.external_tasks] == [1, 2]


_SIDE_BY_SIDE = ("sleep", "look", "sleep")


def test_what_the_session_itself_carries_out_is_not_limited() -> None:
    world = calling(execute_max_concurrency=1)
    world.send()
    uses = [ToolUseBlock(id=f"u{place}", name=name, input={"seconds": 9}) for place, name in enumerate(_SIDE_BY_SIDE)]
    world.answer(world.running[0], Message.assistant("", *uses))
    assert stats(world.state).lanes[SessionLane.execute].active == 1
    assert len([call for call in world.state.turn.calls if call.waits]) == 2  # pyright: ignore[reportOptionalMemberAccess] - it waits


def test_a_fresh_session_has_nothing_waiting_and_nothing_active() -> None:
    fresh = stats(World().state)
    assert (fresh.total_pending, fresh.total_active, fresh.external_pending) == (0, 0, 0)
    assert [lane.max_concurrency for lane in fresh.lanes.values()] == [2, 4, 2, 1]


# --- rate ------------------------------------------------------------------------------------------------------------

PER_MINUTE = {"limit_type": "per_minute", "max_operations": 2}


def test_a_call_beyond_the_rate_waits_without_a_process_until_the_next_minute() -> None:
    world = calling("act", "act", "act", rate_limit=PER_MINUTE)
    began = world.now
    for _ in range(2):
        world.pass_time(1)
        world.result(world.running[0])
    assert running(world) == []
    row = project(world.state)
    assert (row.activity, row.wake_at) == (Activity.waiting, began + timedelta(minutes=1))
    assert not row.needs_actor

    world.crash()
    world.pass_time(57)
    assert running(world) == []
    world.pass_time(1)
    assert running(world) == [2]
    assert kinds(world, "timer.") == ["timer.fired"]


def test_model_calls_are_those_of_the_lane_generate() -> None:
    world = calling("look", rate_limit=PER_MINUTE)
    world.result(world.running[0])
    ask(world, "look")
    world.result(world.running[0])
    assert (world.running, world.state.activity) == ((), Activity.waiting)
    world.pass_time(60)
    assert [call.kind for call in world.running] == ["model"]


def test_the_wait_for_the_rate_is_not_the_turns_time() -> None:
    world = calling("act", "act", rate_limit={"limit_type": "per_hour", "max_operations": 1})
    world.result(world.running[0])
    world.pass_time(3600)
    assert running(world) == [1]
    assert world.state.turn is not None
    assert world.state.turn.deadline > world.now + timedelta(minutes=59)


# --- retries and dead letters ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("tool", ["look", "put"])
@pytest.mark.parametrize("outcome", [BROKEN, ToolOutcome(outcome=Outcome.timeout, content="too long", exit_code=1)])
def test_a_call_that_may_run_twice_is_repeated_after_the_delay_and_then_given_up(
    tool: str, outcome: ToolOutcome
) -> None:
    world = calling(tool, retry_policy=FIXED)
    for _ in range(2):
        breaks(world, outcome)
        assert (world.running, world.state.activity) == ((), Activity.waiting)
        assert project(world.state).wake_at == world.now + timedelta(seconds=5)
        world.crash()
        assert world.running == ()
        world.pass_time(5)
        assert running(world) == [0]
    attempts = [call.attempt for call in world.seen.values() if isinstance(call, ToolCall)]
    assert attempts == [1, 2, 3]
    breaks(world, outcome)
    assert [end.data.outcome for end in ends(world)] == [outcome.outcome]
    assert kinds(world, "command.") == ["command.retried"] * 2


def test_what_must_not_run_twice_is_never_repeated() -> None:
    world = calling("act", retry_policy=FIXED)
    breaks(world)
    assert len(ends(world)) == 1
    assert kinds(world, "command.") == []


def test_a_tool_that_says_no_is_not_repeated() -> None:
    world = calling("look", retry_policy=FIXED, enable_dlq=True)
    breaks(world, NO)
    assert len(ends(world)) == 1
    assert not world.state.dead_letters


def test_a_call_that_waits_to_be_repeated_holds_its_place_in_the_order() -> None:
    world = calling("put", "act", retry_policy=FIXED)
    breaks(world)
    assert running(world) == []
    world.pass_time(5)
    assert running(world) == [0]
    world.result(world.running[0])
    assert running(world) == [1]


def test_a_cancelled_turn_does_not_wait_for_a_repetition() -> None:
    world = calling("look", retry_policy=FIXED)
    breaks(world)
    world.tell(c.Cancel(**world.identity()))
    assert world.state.turn is None
    assert [end.data.outcome for end in ends(world)] == ["cancelled"]


@pytest.mark.parametrize("change", [{"tools": WITH_OWN}, {"global_policy": PermissionPolicy(deny=["read"])}])
def test_a_call_whose_tool_is_gone_or_forbidden_meanwhile_is_not_repeated(change: dict[str, Any]) -> None:
    world = calling("read", retry_policy=FIXED)
    breaks(world)
    world.surround(**change)
    assert running(world) == []
    assert [end.data.outcome for end in ends(world)] == ["cancelled"]
    assert [call.kind for call in world.running] == ["model"]


def test_a_task_that_failed_outside_is_offered_again_when_it_may_run_twice() -> None:
    external = {"lane_handlers": {"execute": {"mode": "external"}}, "retry_policy": FIXED}
    failed = ExternalTaskResult(success=False, error="the crane is broken")
    world = calling("put", **external)
    (first,) = world.state.external_tasks
    world.tell(c.CompleteTask(**world.identity(), task_id=first.action_id, result=failed))
    assert not world.state.external_tasks
    world.pass_time(5)
    (second,) = world.state.external_tasks
    assert second.action_id != first.action_id

    world = calling("act", **external)
    world.tell(c.CompleteTask(**world.identity(), task_id=world.state.external_tasks[0].action_id, result=failed))
    assert [end.data.content for end in ends(world)] == ["the crane is broken"]


def test_a_call_that_failed_for_good_leaves_a_dead_letter_and_the_newest_are_kept() -> None:
    world = calling("act", "act", "act", enable_dlq=True, dlq_max_size=2)
    for _ in range(3):
        breaks(world)
    letters = world.state.dead_letters
    assert [letter.command_id for letter in letters] == [end.data.call_id for end in ends(world)][1:]
    assert (letters[0].command_type, letters[0].lane, letters[0].error, letters[0].attempts) == (
        "act",
        "execute",
        "it broke",
        1,
    )
    assert kinds(world, "command.", "tool.call.completed")[:2] == ["command.dead_lettered", "tool.call.completed"]


def test_dead_letters_are_kept_only_when_somebody_wants_them() -> None:
    world = calling("act")
    breaks(world)
    assert not world.state.dead_letters
    assert kinds(world, "command.") == []


# --- time limits, urgency, metrics, alerts ----------------------------------------------------------------------------


def test_the_limit_of_a_lane_wins_over_the_default_and_reaches_tools_and_models() -> None:
    limits = {"default_timeout_ms": 60_000, "lane_timeouts": {"execute": 1_500, "generate": 2_000}}
    world = calling("act", "read", **limits)
    (act,) = world.running
    assert isinstance(act, ToolCall)
    assert (act.limit_s, act.priority, act.full_after_s) == (1.5, 2, 300.0)
    world.result(act)
    (read,) = world.running
    assert isinstance(read, ToolCall)
    assert (read.limit_s, read.priority) == (60.0, 1)
    model = next(call for call in world.seen.values() if not isinstance(call, ToolCall))
    assert model.llm.timeout_s == 2.0


def test_metrics_count_attempts_and_their_ends_by_lane() -> None:
    world = calling("look", "read", enable_metrics=True, retry_policy=FIXED)
    breaks(world)
    world.result(world.running[0])
    world.pass_time(5)
    world.result(world.running[0])
    counts = world.state.lane_counts
    execute, query = counts[SessionLane.execute], counts[SessionLane.query]
    assert (execute.started, execute.failed, execute.retried, execute.completed) == (2, 1, 1, 1)
    assert (query.started, query.completed) == (1, 1)
    generate = counts[SessionLane.generate]
    assert (generate.started, generate.completed, generate.failed) == (2, 1, 0)
    assert not calling("look").state.lane_counts


def test_what_somebody_outside_has_done_counts_too() -> None:
    world = calling("read", enable_metrics=True, lane_handlers={"query": {"mode": "external"}})
    (task,) = world.state.external_tasks
    done = ExternalTaskResult(success=True, result={"output": ""})
    world.tell(c.CompleteTask(**world.identity(), task_id=task.action_id, result=done))
    query = world.state.lane_counts[SessionLane.query]
    assert (query.started, query.completed) == (1, 1)


def test_a_long_line_is_told_of_once_in_a_round() -> None:
    world = calling(*["read"] * 105, enable_alerts=True, pressure_threshold=7)
    told = [record.data for record in world.records if isinstance(record, r.QueueAlert)]
    assert [(one.alert_type, one.level, one.threshold, one.depth) for one in told] == [
        ("depth", "warning", 50, 105),
        ("depth", "critical", 100, 105),
        ("pressure", "warning", 7, 105),
    ]
    world.result(world.running[0])
    assert len(kinds(world, "queue.")) == 3
    assert not next_effects(world.state, world.around).drafts
    assert kinds(calling(*["read"] * 105), "queue.") == []


def test_a_configuration_that_is_replaced_is_in_force_at_once_and_loses_no_dead_letter() -> None:
    world = calling("act", enable_dlq=True)
    breaks(world)
    queue = SessionQueueConfig(query_max_concurrency=9)
    world.tell(c.Configure(**world.identity(), queue_config=queue, set_fields=("queue_config",)))
    assert stats(world.state).lanes[SessionLane.query].max_concurrency == 9
    assert world.state.dead_letters
