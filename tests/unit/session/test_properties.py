"""What holds for every state that a session can be in, however it got there."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.domain import records as r
from actors.domain.calls import HostRef, ModelCall
from actors.domain.llm import LlmConfig
from actors.domain.messages import Message, decode_messages
from actors.llm.anthropic import AnthropicProvider
from actors.llm.names import ToolNames
from actors.llm.openai import OpenAIProvider
from actors.session.fold import fold
from actors.session.projection import project
from actors.session.state import from_snapshot, initial, to_snapshot
from tests.unit.llm.validators import check_anthropic, check_openai
from tests.unit.session.rules import (
    at_rest,
    check_children,
    check_compactions,
    check_credentials,
    check_held,
    check_journal,
    check_lanes,
    check_limits,
    check_questions,
    check_queue,
    check_retries,
    check_rounds,
    check_rows_of_tasks,
    check_sampling,
    check_signals,
    check_tasks,
    check_titles,
    check_told,
    check_turns,
    check_unsafe,
    check_waits,
    context_of,
)
from tests.unit.session.steps import worlds
from tests.unit.session.world import ALL_TOOLS, World

many = settings(max_examples=120)
"""A journey takes milliseconds, and rare turns of events need many of them."""

fewer = settings(max_examples=40)
"""The same for journeys that are longer."""

_TOOLS = tuple(spec.definition for spec in ALL_TOOLS.values())
_NAMES = ToolNames(tool.name for tool in _TOOLS)


def _refolded(records: list[r.Record]) -> Any:
    return fold(initial(), [r.decode_record(r.encode_record(record)) for record in records])


@many
@given(worlds(), st.data())
def test_folding_through_a_snapshot_at_any_point_gives_the_same_state(world: World, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(world.records)))
    whole = _refolded(world.records)
    restored = from_snapshot(to_snapshot(_refolded(world.records[:cut])))
    assert fold(restored, world.records[cut:]) == whole
    assert whole == world.state.model_copy(update={"epoch": whole.epoch})


@many
@given(worlds())
def test_the_projection_row_is_a_function_of_the_fold(world: World) -> None:
    row = project(_refolded(world.records))
    assert project(world.state).model_copy(update={"epoch": row.epoch}) == row
    turn = world.state.turn
    assert (row.head_seq, row.queued, row.messages) == (
        len(world.records),
        len(world.state.queue),
        len(world.state.context),
    )
    assert row.open_turn == (turn.turn_id if turn else None)
    assert type(row).model_validate_json(row.model_dump_json()) == row


@many
@given(worlds())
def test_records_come_back_from_their_bytes_as_they_were(world: World) -> None:
    for record in world.records:
        encoded = r.encode_record(record)
        assert r.decode_record(encoded) == record
        assert len(encoded) <= r.MAX_RECORD_BYTES
    check_journal(world.records)


@many
@given(worlds())
def test_no_result_stands_without_its_call_and_results_come_in_call_order(world: World) -> None:
    for made in world.plans:
        check_rounds(made.state)
    at_rest(world)


@many
@given(worlds())
def test_both_providers_take_every_context_that_a_session_can_reach(world: World) -> None:
    messages = tuple(context_of(world.state))
    asked = [call for call in world.seen.values() if isinstance(call, ModelCall)][-2:]
    for history in [messages, *(tuple(map(Message.model_validate_json, call.messages)) for call in asked)]:
        openai = OpenAIProvider("openai", "http://localhost:1", None).body(_call(), history, _NAMES)
        anthropic = AnthropicProvider("anthropic", None, None).body(_call(), history, _NAMES)
        check_openai({key: value for key, value in openai.items() if value is not None})
        check_anthropic({key: value for key, value in anthropic.items() if value is not None})


def _call() -> ModelCall:
    return ModelCall(
        call_id="c",
        tenant="default",
        journal_id="j",
        session_id="s",
        turn_id="t",
        epoch=1,
        host=HostRef(host_id="h", incarnation="i"),
        llm=LlmConfig.of("openai/m"),
        tools=_TOOLS,
    )


@many
@given(worlds(), st.data())
def test_after_a_crash_between_any_two_appends_the_turn_still_ends(world: World, data: st.DataObject) -> None:
    world.crash(upto=data.draw(st.integers(1, len(world.batches))))
    world.settle(lose=data.draw(st.booleans()))
    assert world.state.turn is None
    assert not world.state.queue
    assert not world.state.actions
    check_turns(world.records)
    check_rounds(world.state)
    check_journal(world.records)
    check_compactions(world.records, ended=True)
    check_titles(world.records, ended=True)


@many
@given(worlds())
def test_a_compaction_that_is_due_comes_about_once_or_not_at_all(world: World) -> None:
    check_compactions(world.records)


@many
@given(worlds())
def test_a_title_that_is_wanted_comes_about_once_or_not_at_all(world: World) -> None:
    check_titles(world.records)


def _is_beside(call: ModelCall) -> bool:
    return call.summary_of is not None or call.aside


_SHORTENING = r.SessionCompacted | r.SessionCleared | r.SessionRewound


@many
@given(worlds())
def test_a_prompt_begins_with_the_one_before_until_the_context_is_compacted(world: World) -> None:
    asked = [call for call in world.seen.values() if isinstance(call, ModelCall) and not _is_beside(call)]
    shortened = [one.seq for one in world.records if isinstance(one, _SHORTENING)]
    for one, following in pairwise(asked):
        first, second = (int(call.call_id.rsplit(":", 1)[1]) for call in (one, following))
        if not any(first < seq < second for seq in shortened):
            assert following.messages[: len(one.messages)] == one.messages
            assert [tool.name for tool in following.tools] == sorted(tool.name for tool in following.tools)
            _check_wires(one.messages, following.messages)


def _check_wires(one: tuple[bytes, ...], following: tuple[bytes, ...]) -> None:
    """What providers keep of a prompt they find again, byte by byte; more may be added to the last message only."""
    for wire in (OpenAIProvider("openai", None, None), AnthropicProvider("anthropic", None, None)):
        bodies = [wire.body(_call(), decode_messages(messages), _NAMES)["messages"] for messages in (one, following)]
        before, after = ([json.dumps(message) for message in sent] for sent in bodies)
        assert after[: len(before) - 1] == before[:-1]


@many
@given(worlds(rough=True))
def test_an_unsafe_call_runs_twice_only_when_somebody_said_so(world: World) -> None:
    check_unsafe(world.records)
    check_limits(world)
    check_questions(world.records)
    check_sampling(world.records)
    check_held(world.records)


@many
@given(worlds())
def test_limits_of_rounds_and_attempts_hold(world: World) -> None:
    check_limits(world)
    check_turns(world.records)


@many
@given(worlds())
def test_a_call_that_lacks_a_key_is_made_again_only_after_somebody_was_asked(world: World) -> None:
    check_credentials(world.records)
    world.settle()
    check_credentials(world.records)


@many
@given(worlds())
def test_turns_take_inputs_in_the_order_of_the_queue(world: World) -> None:
    check_queue(world.records)
    check_turns(world.records)


@many
@given(worlds())
def test_a_session_that_waits_needs_no_process_and_will_be_woken(world: World) -> None:
    check_waits(world)
    check_children(world)
    check_signals(world)


@fewer
@given(worlds(lanes=True))
def test_each_external_task_is_settled_once_and_listed_as_it_is(world: World) -> None:
    check_rows_of_tasks(world)
    check_unsafe(world.records)
    world.settle()
    check_tasks(world.records)


@fewer
@given(worlds(lanes=True))
def test_lanes_limit_calls_and_never_reorder_or_repeat_what_must_not_be(world: World) -> None:
    world.settle()
    check_lanes(world)
    check_retries(world.records)


@many
@given(worlds(child=True), st.data())
def test_a_child_tells_its_parent_once_what_became_of_its_task(world: World, data: st.DataObject) -> None:
    check_told(world)
    world.crash(upto=data.draw(st.integers(1, len(world.batches))))
    check_told(world)
    world.settle(lose=data.draw(st.booleans()))
    check_told(world, ended=True)
