"""A prompt that is refused: how often a context is compacted for it."""

from __future__ import annotations

from actors.domain import commands as c
from actors.domain import records as r
from actors.domain.calls import ModelCall
from actors.domain.messages import Message
from actors.domain.session import SessionConfig
from actors.session.plan import CallAnswered, CommandGiven
from tests.unit.session.world import World, answered, model_is_full


def _refused() -> World:
    """A long conversation whose last input does not fit; the provider does not say how large its window is."""
    world = World(SessionConfig())
    added = [c.AddMessage(**world.identity(), message=Message.user("x" * 400)) for _ in range(60)]
    world.happen(*map(CommandGiven, added))
    world.send()
    _refuse(world)
    return world


def _refuse(world: World) -> None:
    (call,) = world.running
    assert isinstance(call, ModelCall)
    assert call.summary_of is None
    world.happen(CallAnswered(answered(call, model_is_full())))


def test_a_context_is_compacted_once_for_an_answer_though_more_of_it_could_go() -> None:
    world = _refused()
    world.answer(world.running[0], "We counted.")
    _refuse(world)

    assert sum(isinstance(record, r.SessionCompacted) for record in world.records) == 1
    assert isinstance(world.records[-1], r.TurnFailed)
    assert world.records[-1].data.code == "ContextExceeded"


def test_the_answer_after_it_makes_room_for_another_one() -> None:
    world = _refused()
    world.answer(world.running[0], "We counted.")
    world.answer(world.running[0], "Yes.")
    world.send("again")
    _refuse(world)

    (call,) = world.running
    assert isinstance(call, ModelCall)
    assert call.summary_of is not None
