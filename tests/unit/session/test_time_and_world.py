"""Time that passes, and a world that changes, under an open turn."""

from __future__ import annotations

from typing import Any

from actors.domain import commands as c
from actors.domain import records as r
from actors.domain.actions import Resolution
from actors.domain.calls import ModelOutcome, Outcome
from actors.domain.messages import Message, ToolUseBlock
from actors.domain.permissions import PermissionPolicy
from actors.domain.policies import ConfirmationPolicy
from actors.domain.session import SessionConfig
from actors.session.plan import CallAnswered
from tests.unit.session.world import World, answered, model_says

_ACT = Message.assistant("", ToolUseBlock(id="a", name="act", input={}))


def _world(**values: Any) -> World:
    given: dict[str, Any] = {"permission_policy": PermissionPolicy.permissive()}
    world = World(SessionConfig(**(given | values)))
    world.send()
    return world


def _last(world: World, kind: type[Any]) -> Any:
    return [record.data for record in world.records if isinstance(record, kind)][-1]


def _approve(world: World) -> None:
    action_id = world.state.actions[0].action_id
    world.tell(c.ResolveAction(**world.identity(), action_id=action_id, resolution=Resolution.approve))


def test_a_model_call_that_its_host_cancels_by_itself_is_made_again() -> None:
    world = _world()
    world.happen(CallAnswered(answered(world.running[0], ModelOutcome(outcome=Outcome.cancelled))))
    assert world.running[0].attempt == 2
    world.happen(CallAnswered(answered(world.running[0], model_says("Here."))))
    assert _last(world, r.TurnCompleted).text == "Here."


def test_a_tool_that_goes_away_while_its_approval_is_pending_is_unknown_afterwards() -> None:
    world = _world(permission_policy=None)
    world.answer(world.running[0], _ACT)
    world.surround(tools={})
    _approve(world)
    assert _last(world, r.ToolCallDenied).code == "unknown_tool"


def test_a_pause_does_not_count_as_the_turns_time() -> None:
    world = _world(max_turn_s=100)
    world.pass_time(60)
    world.tell(c.Pause(**world.identity()))
    assert world.state.wake_at is None
    world.pass_time(10_000)
    world.tell(c.Resume(**world.identity()))
    assert world.state.turn is not None
    world.pass_time(30)
    assert world.state.turn is not None
    assert world.state.turn.ending is None
    world.pass_time(20)
    assert world.state.turn.ending is not None


def test_the_wait_for_a_person_does_not_count_as_the_turns_time() -> None:
    patient = ConfirmationPolicy(default_timeout_ms=1_000_000)
    world = _world(permission_policy=None, confirmation_policy=patient, max_turn_s=100)
    world.pass_time(60)
    world.answer(world.running[0], _ACT)
    world.pass_time(900)
    _approve(world)
    assert len(world.running) == 1
    world.pass_time(30)
    assert not world.effects.ending
    world.pass_time(20)
    assert world.effects.ending
    world.result(world.running[0], outcome=Outcome.cancelled)
    assert _last(world, r.TurnFailed).code == "time_limit"


def test_time_that_goes_back_outside_does_not_go_back_in_the_journal() -> None:
    world = _world()
    world.pass_time(-3600)
    world.answer(world.running[0], "Yes.")
    times = [record.at for record in world.records]
    assert times == sorted(times)
