"""Cancel and pause, whatever a turn does or waits for: it ends with a whole history, or stands still and goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from actors.domain import commands as c
from actors.domain import records as r
from actors.domain.actions import ActionKind
from actors.domain.budgets import Budget
from actors.domain.calls import HostRef, ModelCall, Outcome, ToolOutcome
from actors.domain.external_tasks import ExternalTaskResult
from actors.domain.lanes import LaneHandlerConfig, SessionQueueConfig, TaskHandlerMode
from actors.domain.llm import LlmConfig
from actors.domain.messages import Message, TokenUsage, ToolUseBlock
from actors.domain.permissions import PermissionPolicy
from actors.domain.policies import SessionLane
from actors.domain.session import Activity, SessionConfig, SessionState
from actors.domain.workspaces import Site
from actors.errors import SessionPaused
from actors.llm.anthropic import AnthropicProvider
from actors.llm.names import ToolNames
from actors.llm.openai import OpenAIProvider
from actors.session.own_tools import with_own
from actors.session.plan import CallAnswered, CommandGiven
from actors.session.workspace import whereabouts
from tests.unit.llm.validators import check_anthropic, check_openai
from tests.unit.session.rules import check_journal, check_rounds, check_turns, context_of
from tests.unit.session.world import (
    ALL_TOOLS,
    MODELS,
    TOOLS,
    World,
    answered,
    model_fails,
    model_has_no_key,
    plain_outcome,
)

_STARTS = r.TurnStarted | r.ModelCallStarted | r.ToolCallStarted | r.TaskOffered | r.ChildStarted | r.SessionCompacted


def _world(**values: Any) -> World:
    given: dict[str, Any] = {"permission_policy": PermissionPolicy.permissive()}
    return World(SessionConfig(**(given | values)))


def _calling(*uses: tuple[str, dict[str, Any]], **values: Any) -> World:
    """A turn whose model has just said something, and called these tools."""
    world = _world(**values)
    world.send()
    _calls(world, *uses)
    return world


def _calls(world: World, *uses: tuple[str, dict[str, Any]], **values: Any) -> None:
    blocks = [ToolUseBlock(id=f"u{place}", name=name, input=args) for place, (name, args) in enumerate(uses)]
    world.answer(world.running[0], Message.assistant("Let me see.", *blocks), **values)


# --- what a turn does, or waits for ----------------------------------------------------------------------------------


def _asking() -> World:
    world = _world()
    world.send()
    return world


def _looking_for_a_host() -> World:
    world = _world()
    world.surround(model_host=None)
    world.send()
    return world


def _looking_for_its_files() -> World:
    world = _without_a_site()
    _calls(world, ("act", {}))
    return world


def _retrying() -> World:
    world = _asking()
    world.happen(CallAnswered(answered(world.running[0], model_fails())))
    return world


def _running_side_by_side() -> World:
    return _calling(("look", {"n": 1}), ("look", {"n": 2}))


def _running_one_by_one() -> World:
    return _calling(("act", {"n": 1}), ("put", {}), ("act", {"n": 2}))


def _half_done() -> World:
    world = _running_side_by_side()
    world.result(world.running[0])
    return world


def _approval() -> World:
    return _calling(("act", {}), ("put", {}), permission_policy=None)


def _in_doubt() -> World:
    world = _calling(("act", {}), ("put", {}))
    world.lose(world.running[0])
    return world


def _external() -> World:
    handler = LaneHandlerConfig(mode=TaskHandlerMode.external, timeout_ms=100_000)
    return _calling(
        ("act", {}), ("put", {}), queue_config=SessionQueueConfig(lane_handlers={SessionLane.execute: handler})
    )


def _children() -> World:
    return _calling(("spawn_children", {"tasks": ["a", "b"]}))


def _sleep() -> World:
    return _calling(("sleep", {"seconds": 100}))


def _repeating() -> World:
    policy = {"strategy": "fixed", "fixed_delay_ms": 5000, "max_retries": 2}
    world = _calling(("look", {}), queue_config=SessionQueueConfig.model_validate({"retry_policy": policy}))
    broken = ToolOutcome(outcome=Outcome.error, content="broken", metadata={"raised": "OSError"})
    world.happen(CallAnswered(answered(world.running[0], broken)))
    return world


def _rate_limit() -> World:
    limit = {"limit_type": "per_minute", "max_operations": 1}
    world = _calling(("look", {}), queue_config=SessionQueueConfig.model_validate({"rate_limit": limit}))
    world.result(world.running[0])
    return world


def _budget() -> World:
    world = _world(budget=Budget(tokens=100))
    world.send()
    _calls(world, ("look", {}), usage=TokenUsage(prompt_tokens=130, total_tokens=130))
    world.result(world.running[0])
    return world


def _credential() -> World:
    world = _world(model=LlmConfig(provider="scripted", model="script", credential_id="cred_lost"))
    world.send()
    call = world.running[0]
    assert isinstance(call, ModelCall)
    world.happen(CallAnswered(answered(call, model_has_no_key(call))))
    return world


def _without_a_site() -> World:
    """A turn whose tools run with the session's files, of which nobody has said where they are."""
    world = _world()
    tools = with_own(replace(spec, host=None) for spec in ALL_TOOLS.values())
    world.around = replace(world.around, tools=tools, workspace="/w")
    world.send()
    return world


def _lost_workspace() -> World:
    world = _without_a_site()
    _calls(world, ("act", {"n": 1}))
    _say_where(world, TOOLS)
    world.result(world.running[0])
    world.surround(site=None)
    _calls(world, ("act", {"n": 2}))
    _say_where(world, None)
    return world


def _say_where(world: World, host: HostRef | None) -> None:
    world.surround(site=Site(whereabouts(world.state, world.around), "n1", host))


def _compaction() -> World:
    world = _world(max_context_length=256)
    said = (Message.user("a question"), Message.assistant("an answer"))
    for number in range(34):
        world.tell(c.AddMessage(**world.identity(), message=said[number % 2]))
    world.tell(c.Compact(**world.identity()))
    return world


def _title() -> World:
    world = _world()
    world.tell(c.AddMessage(**world.identity(), message=Message.user("about cats")))
    world.tell(c.GenerateTitle(**world.identity()))
    return world


_WAITS: dict[Callable[[], World], Activity] = {
    _asking: Activity.running,
    _looking_for_a_host: Activity.running,
    _looking_for_its_files: Activity.running,
    _retrying: Activity.running,
    _running_side_by_side: Activity.running,
    _running_one_by_one: Activity.running,
    _half_done: Activity.running,
    _approval: Activity.requires_action,
    _in_doubt: Activity.requires_action,
    _external: Activity.waiting,
    _children: Activity.waiting,
    _sleep: Activity.waiting,
    _repeating: Activity.waiting,
    _rate_limit: Activity.waiting,
    _budget: Activity.requires_action,
    _credential: Activity.requires_action,
    _lost_workspace: Activity.requires_action,
    _compaction: Activity.running,
    _title: Activity.running,
}
each = pytest.mark.parametrize("wait", _WAITS, ids=lambda wait: wait.__name__[1:])


# --- what comes ------------------------------------------------------------------------------------------------------


def _comes(world: World) -> None:
    """Something that the turn waits for: an outcome, a decision, a result, time, a child's answer."""
    state = world.state
    if world.running:
        call = world.running[0]
        world.happen(CallAnswered(answered(call, plain_outcome(call, cancelled=world.effects.ending))))
    elif state.actions:
        action = state.actions[0]
        how = "retry" if action.kind in {ActionKind.in_doubt, ActionKind.credential} else "approve"
        world.tell(c.ResolveAction(**world.identity(), action_id=action.action_id, resolution=how))  # pyright: ignore[reportArgumentType] - pydantic makes the enum
    elif state.external_tasks:
        done = ExternalTaskResult(success=True, result={"output": "done outside"})
        world.tell(c.CompleteTask(**world.identity(), task_id=state.external_tasks[0].action_id, result=done))
    elif world.silent:
        world.report(world.silent[0])
    elif world.effects.needs_site:
        _say_where(world, TOOLS)
    elif world.effects.needs_model_host:
        world.surround(model_host=MODELS)
    else:
        assert state.wake_at is not None, "nothing will ever come"
        world.pass_time(max((state.wake_at - world.now).total_seconds(), 0))


def _all_comes(world: World) -> None:
    for _ in range(50):
        if world.state.turn is None:
            return
        _comes(world)
    raise AssertionError("the turn does not end")


def _check_history(world: World) -> None:
    """Both providers take what the model would be sent now."""
    check_rounds(world.state)
    call = ModelCall(
        call_id="c",
        tenant="default",
        journal_id="J",
        session_id="s",
        turn_id="t",
        epoch=1,
        host=TOOLS,
        llm=LlmConfig.of("openai/m"),
    )
    messages = (*context_of(world.state), Message.user("and now?"))
    for wire, check in (
        (OpenAIProvider("openai", None, None), check_openai),
        (AnthropicProvider("anthropic", None, None), check_anthropic),
    ):
        body = wire.body(call, messages, ToolNames(()))
        check({name: value for name, value in body.items() if value is not None})


# --- cancel ----------------------------------------------------------------------------------------------------------


def _crash(world: World) -> None:
    world.crash()


def _pause(world: World) -> None:
    world.tell(c.Pause(**world.identity()))


def _nothing(_: World) -> None:
    """As it is."""


before = pytest.mark.parametrize("first", [_nothing, _pause, _crash], ids=["at_once", "paused", "after_a_crash"])


@each
def test_each_of_these_is_what_it_says(wait: Callable[[], World]) -> None:
    world = wait()
    assert world.state.activity is _WAITS[wait]
    _all_comes(world)
    assert isinstance(world.records[-1], r.TurnCompleted)


@each
@before
def test_a_cancel_ends_the_turn_and_leaves_nothing_open(
    wait: Callable[[], World], first: Callable[[World], None]
) -> None:
    world = wait()
    first(world)
    started = len([one for one in world.records if isinstance(one, _STARTS)])
    world.tell(c.Cancel(**world.identity()))
    while world.running:
        assert world.effects.ending
        _comes(world)

    assert isinstance(world.records[-1], r.TurnCancelled)
    assert len([one for one in world.records if isinstance(one, _STARTS)]) == started, "something began all the same"
    state = world.state
    assert (state.turn, state.actions, state.external_tasks, state.compacting, state.titling) == (
        None,
        (),
        (),
        None,
        False,
    )
    assert all(child.cancelled for child in state.children)
    check_turns(world.records)
    check_journal(world.records)
    _check_history(world)


@each
def test_after_a_cancel_the_next_input_is_answered(wait: Callable[[], World]) -> None:
    world = wait()
    world.tell(c.Cancel(**world.identity()))
    while world.running:
        _comes(world)
    for child in world.silent:
        world.report(child)

    world.send("and now?")
    _all_comes(world)

    assert isinstance(world.records[-1], r.TurnCompleted)
    _check_history(world)


def test_what_had_come_of_an_answer_stays_and_what_was_summed_up_does_not() -> None:
    for wait, kept in ((_asking, ["go", "as far as I g"]), (_title, ["about cats"])):
        world = wait()
        world.tell(c.Cancel(**world.identity()))
        _comes(world)
        assert [message.text for message in context_of(world.state)] == kept


def test_the_next_input_is_taken_when_the_one_before_it_is_cancelled() -> None:
    world = _running_one_by_one()
    waiting = world.send("next")
    world.tell(c.Cancel(**world.identity()))
    _comes(world)

    assert world.state.turn is not None
    assert world.state.turn.inputs == (waiting,)
    _all_comes(world)


# --- pause -----------------------------------------------------------------------------------------------------------


@each
@pytest.mark.parametrize("then", [_nothing, _crash], ids=["as_it_is", "after_a_crash"])
def test_a_paused_turn_takes_what_comes_and_no_step_and_goes_on_when_it_is_resumed(
    wait: Callable[[], World], then: Callable[[World], None]
) -> None:
    world = wait()
    _pause(world)
    paused_at = world.state.seq
    while world.running:
        _comes(world)
    then(world)
    if world.state.turn is not None and (world.state.actions or world.state.external_tasks or world.silent):
        _comes(world)
    world.pass_time(1000)

    assert world.state.lifecycle is SessionState.paused
    assert not [record for record in world.records[paused_at:] if isinstance(record, _STARTS)]
    assert not world.running
    assert world.state.turn is not None
    with pytest.raises(SessionPaused):
        world.send("more")

    world.tell(c.Resume(**world.identity()))
    _all_comes(world)

    assert isinstance(world.records[-1], r.TurnCompleted)
    check_turns(world.records)
    _check_history(world)


def test_a_paused_session_takes_no_input_from_its_queue() -> None:
    world = _asking()
    waiting = world.send("next")
    _pause(world)
    world.tell(c.Cancel(**world.identity()))
    _comes(world)
    assert world.state.turn is None
    assert [item.input_id for item in world.state.queue] == [waiting]

    world.tell(c.Resume(**world.identity()))
    _all_comes(world)

    assert not world.state.queue
    assert isinstance(world.records[-1], r.TurnCompleted)


def test_what_comes_in_one_append_with_a_cancel_changes_nothing_of_it() -> None:
    world = _approval()
    (first, *_) = world.state.actions
    approve = c.ResolveAction(**world.identity(), action_id=first.action_id, resolution="approve")  # pyright: ignore[reportArgumentType] - pydantic makes the enum
    world.happen(CommandGiven(approve), CommandGiven(c.Cancel(**world.identity())))

    assert isinstance(world.records[-1], r.TurnCancelled)
    assert not [record for record in world.records if isinstance(record, r.ToolCallStarted)]
    _check_history(world)
