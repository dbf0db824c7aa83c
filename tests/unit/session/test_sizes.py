"""Nothing that a model, a tool or a caller sends can make a record that no store takes."""

from __future__ import annotations

from typing import Any

import pytest

from actors.domain import commands as c
from actors.domain import records as r
from actors.domain.blobs import digest_of
from actors.domain.calls import ModelOutcome, Outcome, ToolOutcome
from actors.domain.messages import BlobTextBlock, Message, Role, TextBlock, ToolUseBlock
from actors.domain.permissions import PermissionPolicy
from actors.domain.session import SessionConfig
from actors.errors import InvalidRequest
from actors.session.plan import CallAnswered
from tests.unit.session.rules import context_of
from tests.unit.session.world import World, answered

_LONG = "ü" * 40_000


def _world(**values: Any) -> World:
    world = World(SessionConfig(permission_policy=PermissionPolicy.permissive(), **values))
    world.send()
    return world


def _sizes(world: World) -> int:
    return max(len(r.encode_record(record)) for record in world.records)


def _last(world: World, kind: type[Any]) -> Any:
    return [record.data for record in world.records if isinstance(record, kind)][-1]


def test_a_long_answer_is_kept_in_pieces_and_ends_the_turn() -> None:
    world = _world()
    world.answer(world.running[0], _LONG)
    done = _last(world, r.TurnCompleted)
    raw = _LONG.encode()
    assert done.parts == (BlobTextBlock(digest=digest_of(raw), size=len(raw)),)
    assert world.plans[-1].blobs == {digest_of(raw): raw}
    assert world.plans[-1].ends[0][1].parts == done.parts
    assert _sizes(world) < 32 * 1024


def test_the_partial_text_of_a_cancelled_answer_is_kept_whatever_its_length() -> None:
    world = _world()
    call = world.running[0]
    world.tell(c.Cancel(**world.identity()))
    world.happen(
        CallAnswered(answered(call, ModelOutcome(outcome=Outcome.cancelled, message=Message.assistant(_LONG))))
    )
    assert world.state.turn is None
    assert isinstance(context_of(world.state)[1].content[0], BlobTextBlock)
    assert _sizes(world) < 32 * 1024


def test_arguments_beyond_the_limit_come_back_to_the_model_as_an_error() -> None:
    world = _world()
    uses = [ToolUseBlock(id=str(number), name="act", input={"text": "x" * 60_000}) for number in range(8)]
    world.answer(world.running[0], Message.assistant("", *uses))
    assert _sizes(world) <= r.MAX_RECORD_BYTES
    turn = world.state.turn
    assert turn is not None
    assert [call.parse_error is None for call in turn.calls] == [True, True] + [False] * 6


def test_very_long_thinking_is_dropped_with_its_seal() -> None:
    world = _world()
    message = Message.assistant("Yes.").model_copy(
        update={"reasoning_content": "x" * 300_000, "reasoning_signature": "seal"}
    )
    world.answer(world.running[0], message)
    kept = context_of(world.state)[1]
    assert (kept.text, kept.reasoning_content, kept.reasoning_signature) == ("Yes.", None, None)


def test_an_answer_that_cannot_be_made_small_fails_the_turn_and_not_the_session() -> None:
    world = _world()
    pieces = tuple(TextBlock(text="x" * 30_000) for _ in range(12))
    world.answer(world.running[0], Message(role=Role.assistant, content=pieces))
    assert _last(world, r.TurnFailed).code == "ModelProtocolError"
    world.send("again")
    world.answer(world.running[0], "Fine.")
    assert _last(world, r.TurnCompleted).text == "Fine."


def test_names_that_a_model_makes_up_are_cut() -> None:
    world = _world()
    world.answer(world.running[0], Message.assistant("", ToolUseBlock(id="i" * 90_000, name="n" * 90_000, input={})))
    assert _last(world, r.ToolCallDenied).code == "unknown_tool"
    assert _sizes(world) < 8 * 1024


def test_a_tools_outcome_that_is_too_large_is_an_error_for_the_model() -> None:
    world = _world()
    world.answer(world.running[0], Message.assistant("", ToolUseBlock(id="a", name="act", input={})))
    call = world.running[0]
    outcome = ToolOutcome(outcome=Outcome.ok, content="fine", metadata={"everything": "x" * 300_000})
    world.happen(CallAnswered(answered(call, outcome)))
    assert _last(world, r.ToolCallCompleted).outcome is Outcome.error
    assert _sizes(world) <= r.MAX_RECORD_BYTES


@pytest.mark.parametrize("reason", ["x" * 5000, "ü" * 300_000], ids=["long", "huge"])
def test_a_reason_that_is_too_long_is_refused(reason: str) -> None:
    world = _world()
    with pytest.raises(InvalidRequest):
        world.tell(c.Cancel(**world.identity(), reason=reason))
    assert world.state.turn is not None


def test_an_input_that_is_too_large_even_in_pieces_is_refused_and_leaves_nothing() -> None:
    world = _world()
    message = Message(role=Role.user, content=tuple(TextBlock(text="ü" * 15_000) for _ in range(10)))
    with pytest.raises(InvalidRequest):
        world.tell(c.Send(**world.identity(), message=message))
    assert world.state.queue == ()
    assert world.plans[-1].blobs == {}
