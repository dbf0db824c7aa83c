"""Calls whose host died: run again, asked about, reported, or the end of the turn."""

from __future__ import annotations

from typing import Any

import pytest

from actors.domain import commands as c
from actors.domain import records as r
from actors.domain.actions import Resolution
from actors.domain.calls import Attached, CallStatus, Outcome, ToolCall
from actors.domain.messages import Message, ToolUseBlock
from actors.domain.permissions import PermissionPolicy
from actors.domain.policies import OnInDoubt
from actors.domain.session import Activity, SessionConfig
from actors.session.plan import CallAnswered
from tests.unit.session.rules import context_of
from tests.unit.session.world import ALL_TOOLS, World, answered, plain_outcome


def _calling(tool: str, **values: Any) -> tuple[World, ToolCall]:
    """A session whose tool is running."""
    world = World(SessionConfig(permission_policy=PermissionPolicy.permissive(), **values))
    world.send()
    world.answer(world.running[0], Message.assistant("", ToolUseBlock(id="a", name=tool, input={"n": 1})))
    call = world.running[0]
    assert isinstance(call, ToolCall)
    return world, call


def _of(world: World, kind: type[Any]) -> list[Any]:
    return [record.data for record in world.records if isinstance(record, kind)]


def _result(world: World) -> str:
    return str(getattr(context_of(world.state)[2].content[0], "content", ""))


@pytest.mark.parametrize("tool", ["look", "put"])
def test_a_call_that_may_run_again_does_so_under_the_same_identity(tool: str) -> None:
    world, call = _calling(tool)
    world.lose(call)
    (again,) = world.running
    assert (again.call_id, again.attempt) == (call.call_id, 2)
    assert world.state.activity is Activity.running


def test_a_call_that_may_run_again_does_so_three_times_and_is_then_asked_about() -> None:
    world, _ = _calling("put")
    for _ in range(3):
        world.lose(world.running[0])
    assert [data.attempt for data in _of(world, r.ToolCallStarted)] == [1, 2, 3]
    assert [action.kind.value for action in world.state.actions] == ["in_doubt"]


def test_an_unsafe_call_that_is_known_to_have_had_no_effect_runs_again_by_itself() -> None:
    world, call = _calling("act")
    world.lose(call, untouched=True)
    (again,) = world.running
    assert (again.call_id, again.attempt) == (call.call_id, 2)
    assert world.state.actions == ()


def test_a_call_that_never_had_an_effect_is_given_up_without_a_question() -> None:
    world, _ = _calling("act")
    for _ in range(3):
        world.lose(world.running[0], untouched=True)
    (closed,) = _of(world, r.ToolCallCompleted)
    assert (closed.outcome, closed.attempt) == (Outcome.error, 3)
    assert "no effect" in _result(world)
    assert world.state.actions == ()


def test_a_lost_call_without_an_effect_is_no_unknown_when_its_turn_is_cancelled() -> None:
    world, call = _calling("act")
    world.tell(c.Cancel(**world.identity()))
    world.lose(call, untouched=True)
    assert _of(world, r.ToolCallCompleted)[0].outcome is Outcome.error
    assert world.state.turn is None


def test_an_outcome_that_the_host_itself_does_not_know_puts_an_unsafe_call_in_doubt() -> None:
    world, call = _calling("act")
    world.result(call, outcome=Outcome.unknown)
    assert _of(world, r.ToolCallCompleted) == []
    assert [action.kind.value for action in world.state.actions] == ["in_doubt"]


def test_an_unsafe_call_in_doubt_is_asked_about_and_not_run_again() -> None:
    world, call = _calling("act")
    world.lose(call)
    assert world.running == ()
    assert world.state.activity is Activity.requires_action
    assert world.state.wake_at is None
    assert world.state.actions[0].detail == "the host died"


@pytest.mark.parametrize(
    ("resolution", "value", "outcome", "text"),
    [("answer", "it worked", Outcome.ok, "it worked"), ("skip", None, Outcome.unknown, "unknown")],
)
def test_a_person_says_what_became_of_a_call(
    resolution: Resolution, value: str | None, outcome: Outcome, text: str
) -> None:
    world, call = _calling("act")
    world.lose(call)
    action_id = world.state.actions[0].action_id
    world.tell(c.ResolveAction(**world.identity(), action_id=action_id, resolution=Resolution(resolution), value=value))
    assert _of(world, r.ToolCallCompleted)[0].outcome is outcome
    assert text in _result(world)
    assert len(_of(world, r.ToolCallStarted)) == 1


def test_a_person_may_have_a_call_run_again_as_often_as_it_is_lost() -> None:
    world, _ = _calling("act")
    for attempt in range(2, 6):
        world.lose(world.running[0])
        action_id = world.state.actions[0].action_id
        world.tell(c.ResolveAction(**world.identity(), action_id=action_id, resolution=Resolution.retry))
        assert world.running[0].attempt == attempt
    assert len({action.action_id for made in world.plans for action in made.state.actions}) == 4


def test_whoever_was_asked_about_a_call_is_waited_for_whatever_changes_meanwhile() -> None:
    world, call = _calling("look")
    world.surround(tools={})
    world.lose(call)
    (action,) = world.state.actions

    world.surround(tools=ALL_TOOLS)
    assert (world.running, world.state.actions) == ((), (action,))

    world.tell(c.ResolveAction(**world.identity(), action_id=action.action_id, resolution=Resolution.retry))
    assert (world.running[0].attempt, world.state.actions) == (2, ())


def test_a_call_in_doubt_can_be_reported_to_the_model() -> None:
    world, call = _calling("act", on_in_doubt=OnInDoubt.report)
    world.lose(call)
    assert "verify" in _result(world)
    assert _of(world, r.ToolCallCompleted)[0].outcome is Outcome.unknown
    assert world.state.activity is Activity.running


def test_a_call_in_doubt_can_be_the_end_of_the_turn() -> None:
    world, call = _calling("act", on_in_doubt=OnInDoubt.fail)
    world.lose(call)
    assert _of(world, r.TurnFailed)[0].code == "in_doubt"
    assert len(context_of(world.state)) == 3


def test_a_call_in_doubt_runs_again_by_itself_only_where_that_was_chosen() -> None:
    world, _ = _calling("act", on_in_doubt=OnInDoubt.retry)
    for _ in range(3):
        world.lose(world.running[0])
    assert len(_of(world, r.ToolCallStarted)) == 3
    assert _of(world, r.ToolCallCompleted)[0].outcome is Outcome.unknown


def test_a_call_that_finished_but_whose_outcome_was_lost_is_in_doubt_and_says_so() -> None:
    world, call = _calling("act")
    world.happen(CallAnswered(Attached(key=call.key, status=CallStatus.settled_dropped)))
    assert "did finish" in world.state.actions[0].detail


def test_cancelling_a_turn_settles_a_call_in_doubt_as_unknown() -> None:
    world, call = _calling("act")
    world.lose(call)
    world.tell(c.Cancel(**world.identity()))
    assert _of(world, r.ToolCallCompleted)[0].outcome is Outcome.unknown
    assert world.state.turn is None
    assert world.state.actions == ()


def test_an_outcome_that_comes_after_its_call_was_closed_is_kept_and_not_shown() -> None:
    world, call = _calling("act")
    world.tell(c.Cancel(**world.identity()))
    world.result(call, outcome=Outcome.unknown)
    before = context_of(world.state)
    world.happen(CallAnswered(answered(call, plain_outcome(call))))
    assert _of(world, r.ToolCallLate)[0].call_id == call.call_id
    assert context_of(world.state) == before


def test_an_activation_after_a_crash_asks_for_the_calls_it_finds_open() -> None:
    world, call = _calling("act")
    world.crash()
    (found,) = world.running
    assert (found.key, found.host, found.epoch) == (call.key, call.host, 2)
    world.result(found)
    assert _of(world, r.ToolCallCompleted)[0].call_id == call.call_id


def test_a_model_call_whose_host_died_is_made_again_and_does_not_count_as_its_failure() -> None:
    world = World(SessionConfig(circuit_breaker_threshold=1))
    world.send()
    for attempt in (2, 3, 4):
        world.lose(world.running[0])
        assert world.running[0].attempt == attempt
    world.answer(world.running[0], "Here.")
    assert _of(world, r.TurnCompleted)[0].text == "Here."
    assert world.state.turn is None
