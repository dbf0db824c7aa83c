"""A turn whose model has lost its key waits for it, in an action, and goes on with the same call."""

from __future__ import annotations

from typing import Any

import pytest

from actors.domain import commands as c
from actors.domain import records as r
from actors.domain.actions import ActionKind
from actors.domain.calls import ModelCall
from actors.domain.llm import LlmConfig
from actors.domain.messages import Message
from actors.domain.policies import OnBusy
from actors.domain.session import Activity, SessionConfig
from actors.errors import ActionNotFound, InvalidRequest
from actors.session.plan import CallAnswered
from actors.session.projection import project
from actors.session.turn import Turn
from tests.unit.session.world import MODELS, World, answered, model_fails, model_has_no_key

LOST = LlmConfig(provider="scripted", model="script", credential_id="cred_lost")
FOUND = LOST.model_copy(update={"credential_id": "cred_found"})


def _asking(world: World) -> ModelCall:
    (call,) = world.running
    assert isinstance(call, ModelCall)
    return call


def _lose_key(world: World) -> None:
    call = _asking(world)
    world.happen(CallAnswered(answered(call, model_has_no_key(call))))


def _waiting(**values: Any) -> World:
    """A session whose turn waits for the key of its model."""
    world = World(config=SessionConfig(model=LOST, **values))
    world.send()
    _lose_key(world)
    return world


def _turn(world: World) -> Turn:
    assert world.state.turn is not None
    return world.state.turn


def _decide(world: World, how: str) -> None:
    (action,) = world.state.actions
    world.tell(c.ResolveAction(**world.identity(), action_id=action.action_id, resolution=how))  # pyright: ignore[reportArgumentType] - pydantic makes the enum


def _give(world: World, model: LlmConfig | None) -> c.Reply:
    return world.tell(c.Configure(**world.identity(), model=model, set_fields=("model",)))


def _types(world: World) -> list[str]:
    return [record.type for record in world.batches[-1]]


def test_without_its_key_the_turn_waits_in_an_action_and_holds_no_process() -> None:
    world = _waiting()

    assert _types(world) == ["model.call.failed", "action.requested"]
    (action,) = world.state.actions
    assert (action.kind, action.tool, action.tool_use_id, action.args) == (ActionKind.credential, "", "", {})
    assert "scripted/script" in action.detail
    assert "configure" in action.detail
    row = project(world.state)
    assert (row.activity, row.needs_actor, row.wake_at) == (Activity.requires_action, False, None)


def test_it_waits_although_nobody_knows_a_model_host_and_after_a_crash_too() -> None:
    world = _waiting()
    world.around = world.around.__class__(tools=world.around.tools)
    world.crash()

    assert not world.effects.needs_model_host
    assert world.state.waits_for_people
    assert len(world.state.actions) == 1


def test_retried_it_goes_on_with_the_same_call_in_the_same_turn() -> None:
    world = _waiting()
    first = world.records[-2]
    assert isinstance(first, r.ModelCallFailed)
    _decide(world, "retry")

    again = _asking(world)
    assert (again.call_id, again.attempt, again.delay_s) == (first.data.call_id, 2, 0.0)
    world.answer(again, "The end.")
    assert world.records[-1].type == "turn.completed"
    assert world.state.turns == 1


def test_as_long_as_the_key_is_missing_each_retry_is_asked_about_again() -> None:
    world = _waiting(circuit_breaker_threshold=1)
    asked = [world.state.actions[0].action_id]
    for _ in range(3):
        _decide(world, "retry")
        _lose_key(world)
        asked.append(world.state.actions[0].action_id)

    assert len(set(asked)) == 4
    assert _turn(world).failures == 0, "an attempt that sent nothing is no failure of the model's"


def test_rejected_the_turn_fails_and_says_why() -> None:
    world = _waiting()
    _decide(world, "reject")

    assert _types(world) == ["action.resolved", "turn.failed"]
    end = world.records[-1]
    assert isinstance(end, r.TurnFailed)
    assert (end.data.code, end.data.error_args) == ("CredentialMissing", ("scripted/script", "cred_lost"))
    world.send()
    _lose_key(world)
    assert world.state.waits_for_people, "the next turn asks anew"


def test_giving_the_key_goes_on_by_itself() -> None:
    world = _waiting()
    _give(world, FOUND)

    assert _types(world) == ["session.configured", "action.resolved", "model.call.started"]
    assert _asking(world).llm == FOUND
    assert world.state.activity is Activity.running


def test_giving_a_key_under_the_name_that_it_had_goes_on_too() -> None:
    world = _waiting()
    reply = _give(world, LOST)

    assert reply.changed
    assert _types(world) == ["action.resolved", "model.call.started"]


def test_other_changes_of_the_configuration_give_no_key() -> None:
    world = _waiting()
    world.tell(c.Configure(**world.identity(), name="other", set_fields=("name",)))

    assert world.state.waits_for_people


def test_a_session_without_a_model_of_its_own_goes_on_with_the_next_default_model() -> None:
    world = World()
    world.surround(default_model=LOST)
    world.send()
    _lose_key(world)
    world.surround(default_model=LOST)
    assert world.state.waits_for_people, "the same model with the same name of a key is no other"

    world.surround(default_model=FOUND, model_host=None)
    assert world.effects.needs_model_host
    world.surround(model_host=MODELS)

    assert _asking(world).llm == FOUND


def test_a_key_that_was_given_while_the_call_was_under_way_is_not_waited_for() -> None:
    world = World(config=SessionConfig(model=LOST))
    world.send()
    call = _asking(world)
    _give(world, FOUND)
    world.happen(CallAnswered(answered(call, model_has_no_key(call))))

    assert not world.state.actions
    assert _asking(world).llm == FOUND


def test_paused_it_waits_on_and_a_key_that_is_given_counts_once_it_is_resumed() -> None:
    world = _waiting()
    world.tell(c.Pause(**world.identity()))
    _give(world, FOUND)
    assert not world.running

    world.tell(c.Resume(**world.identity()))

    assert _asking(world).llm == FOUND


def test_cancel_settles_the_action_and_ends_the_turn() -> None:
    world = _waiting()
    world.tell(c.Cancel(**world.identity()))

    assert _types(world) == ["turn.cancelling", "action.resolved", "turn.cancelled"]
    assert not world.state.actions


def test_an_input_that_interrupts_ends_the_wait_and_one_that_steers_waits_with_it() -> None:
    steered = _waiting()
    steered.send("and this", on_busy=OnBusy.steer)
    assert steered.state.waits_for_people
    _decide(steered, "retry")
    assert [message for message in _asking(steered).messages if b"and this" in message]

    interrupted = _waiting()
    interrupted.send("no, this", on_busy=OnBusy.interrupt)
    assert interrupted.state.turns == 2


def test_the_wait_does_not_count_as_the_turns_time() -> None:
    world = _waiting(max_turn_s=60)
    world.pass_time(3600)
    _give(world, FOUND)

    assert not _turn(world).timed_out
    assert _turn(world).deadline > world.now


def _compacting() -> World:
    """A session whose context would be summed up, if its model had its key."""
    world = World(config=SessionConfig(model=LOST, max_context_length=256))
    said = (Message.user("a question"), Message.assistant("an answer"))
    for number in range(34):
        world.tell(c.AddMessage(**world.identity(), message=said[number % 2]))
    world.tell(c.Compact(**world.identity()))
    _lose_key(world)
    assert world.state.waits_for_people
    return world


def test_a_compaction_whose_model_has_no_key_waits_as_well_and_is_made_then() -> None:
    world = _compacting()
    _give(world, FOUND)
    assert _asking(world).summary_of is not None
    world.answer(_asking(world), "It went so.")

    assert _types(world)[1:] == ["session.compacted", "turn.completed"]


def test_a_compaction_for_which_nobody_gives_a_key_fails_and_changes_nothing() -> None:
    world = _compacting()
    before = world.state.context
    _decide(world, "reject")

    assert _types(world) == ["action.resolved", "session.compaction_failed", "turn.failed"]
    assert world.state.context == before


def test_a_title_waits_for_the_key_of_its_model_too() -> None:
    world = World(config=SessionConfig(model=LOST))
    world.tell(c.AddMessage(**world.identity(), message=Message.user("about cats")))
    world.tell(c.GenerateTitle(**world.identity()))
    _lose_key(world)
    assert world.state.waits_for_people
    _give(world, FOUND)
    world.answer(_asking(world), "Cats")

    assert world.state.config.name == "Cats"


def test_a_failure_after_the_key_was_given_is_the_models_again() -> None:
    world = _waiting(circuit_breaker_threshold=1)
    _give(world, FOUND)
    world.happen(CallAnswered(answered(_asking(world), model_fails())))

    assert world.records[-1].type == "turn.failed"


@pytest.mark.parametrize("how", ["approve", "skip", "answer", "cancelled"])
def test_only_retry_and_reject_are_answers(how: str) -> None:
    world = _waiting()
    with pytest.raises(InvalidRequest, match="credential"):
        _decide(world, how)


def test_the_empty_tool_call_id_names_no_action() -> None:
    world = _waiting()
    with pytest.raises(ActionNotFound):
        world.tell(c.ResolveAction(**world.identity(), action_id="", resolution="retry"))  # pyright: ignore[reportArgumentType] - pydantic makes the enum
