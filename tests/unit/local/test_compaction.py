"""Contexts that are compacted: on request, at the threshold, after a refusal; what comes in between, and what stays."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from actors import faults
from actors.domain import records as r
from actors.domain.compaction import CompactionReason
from actors.domain.events import MessageDelta
from actors.domain.llm import LlmConfig
from actors.domain.messages import Message, TokenUsage
from actors.domain.session import SessionConfig
from actors.errors import (
    CompactionPending,
    InvalidRequest,
    ModelUnavailable,
    SessionBusy,
    SessionNotFound,
    SessionPaused,
    TurnFailed,
)
from actors.faults import Fault, Point, What
from actors.handle import SessionHandle
from actors.manager import SessionManager
from actors.tools.function import tool
from tests.unit.local.runtimes import calls, config, record_of, records, runtime, says, script, session, types

_FULL = TokenUsage(prompt_tokens=850, completion_tokens=10, total_tokens=860).model_dump()
_HALF = TokenUsage(prompt_tokens=500, completion_tokens=10, total_tokens=510).model_dump()


def _model(*steps: dict[str, Any], summary: dict[str, Any] | None = None, **options: Any) -> LlmConfig:
    return script(*(steps or (says("Yes."),)), summary=summary or says("We counted to n."), **options)


def _auto(*steps: dict[str, Any], **values: Any) -> SessionConfig:
    """A session that compacts by itself at 80 % of 1000 tokens."""
    model = _model(*steps, **values.pop("options", {}))
    return config(auto_compact=True, max_context_length=1000, **values).changed(model=model)


async def _filled(one: SessionHandle, count: int) -> SessionHandle:
    for number in range(count):
        said = Message.user(f"m{number}") if number % 2 == 0 else Message.assistant(f"m{number}")
        await one.add_message(said)
    return one


async def _texts(one: SessionHandle, **at: int) -> list[str]:
    return [message.text for message in await one.history(**at)]


# --- on request ------------------------------------------------------------------------------------------------------


async def test_compact_with_50_messages_leaves_2_first_1_summary_and_20_last() -> None:
    async with session(config().changed(model=_model())) as one:
        await _filled(one, 50)
        done = await one.compact()

        texts = await _texts(one)
        assert (len(texts), texts[:2], texts[3:]) == (23, ["m0", "m1"], [f"m{n}" for n in range(30, 50)])
        assert "[Context Summary:" in texts[2]
        assert texts[2].endswith("We counted to n.")
        assert done is not None
        assert (done.removed_messages, done.before_messages, done.after_messages) == (28, 50, 23)
        assert (done.reason, done.summary) == (CompactionReason.manual, texts[2])


async def test_compact_with_31_messages_does_not_grow_the_list_and_with_30_does_nothing() -> None:
    async with session(config().changed(model=_model())) as one:
        await _filled(one, 30)
        head = (await one.info()).head_seq
        assert await one.compact() is None
        assert (await one.info()).head_seq == head

        await one.add_message("one more")
        assert await one.compact() is not None
        assert len(await one.history()) == 23


async def test_without_a_model_the_last_20_messages_stay() -> None:
    async with session(config()) as one:
        await _filled(one, 35)
        done = await one.compact()

        assert await _texts(one) == [f"m{n}" for n in range(15, 35)]
        assert done is not None
        assert (done.removed_messages, done.summary, done.error) == (15, None, None)


@pytest.mark.parametrize("operation", ["compact", "maybe_auto_compact"])
async def test_an_unknown_session_is_an_error(operation: str) -> None:
    async with runtime() as manager:
        with pytest.raises(SessionNotFound):
            await getattr(manager, operation)("nobody")


async def test_what_the_summary_took_is_recorded_and_counted() -> None:
    spent = TokenUsage(prompt_tokens=700, completion_tokens=40, total_tokens=740)
    model = _model(summary=says("Short.", usage=spent.model_dump()))
    async with session(config().changed(model=model)) as one:
        await _filled(one, 40)
        await one.compact()

        (started,) = await records(one, r.ModelCallStarted)
        (completed,) = await records(one, r.ModelCallCompleted)
        assert completed.data.call_id == started.data.call_id
        assert completed.data.usage == (await one.info()).usage == spent
        assert (await one.turns())[0].usage == spent
        assert Decimal((await one.info()).cost_usd) == 0


async def test_the_same_command_compacts_once() -> None:
    async with session(config().changed(model=_model())) as one:
        await _filled(one, 50)
        both = await asyncio.gather(*(one.compact(command_id="k") for _ in range(3)))
        assert both == [both[0]] * 3
        await _filled(one, 20)
        assert await one.compact(command_id="k") == both[0]
        assert len(await records(one, r.SessionCompacted)) == 1


async def test_those_who_ask_while_it_is_under_way_get_the_same() -> None:
    async with session(config().changed(model=_model(summary=says("Short.", delay_s=0.05)))) as one:
        await _filled(one, 50)
        both = await asyncio.gather(*(one.compact() for _ in range(3)))
        assert both[0] == both[1] == both[2]
        assert len(await records(one, r.SessionCompacted)) == 1


async def test_a_second_summary_carries_the_first_one_forward() -> None:
    async with session(config().changed(model=_model())) as one:
        await _filled(one, 50)
        await one.compact()
        await _filled(one, 20)
        await one.compact()

        texts = await _texts(one)
        assert len(texts) == 23
        assert sum("[Context Summary:" in text for text in texts) == 1


async def test_tool_calls_and_large_results_are_in_the_request_for_a_summary() -> None:
    asked: list[str] = []

    @tool
    async def report() -> str:
        return "BEGIN" + "x" * 60_000 + "END"

    steps = (calls(("report", {}), text="I report."), says("Done."))
    model = LlmConfig(provider="scripted", model="script", options={"steps": list(steps), "summary": says("s")})
    async with session(config().changed(model=model), report) as one:
        from actors.llm import scripted

        original = scripted.plan

        def watched(llm: LlmConfig, messages: Any, **values: Any) -> Any:
            if values["summary_of"]:
                asked.append(messages[0].text)
            return original(llm, messages, **values)

        scripted.plan, before = watched, scripted.plan
        try:
            for number in range(9):
                await one.generate(f"go {number}")
            await one.compact()
        finally:
            scripted.plan = before
    assert "[calls report with {}]" in asked[0]
    assert "BEGIN" in asked[0] and "END" in asked[0]
    assert len(asked[0]) < 20_000


async def test_deltas_of_a_summary_are_not_shown_as_an_answer() -> None:
    async with session(config().changed(model=_model())) as one:
        await _filled(one, 50)
        seen: list[str] = []
        events: AsyncGenerator[Any] = one.events(after=50, follow=True)  # pyright: ignore[reportAssignmentType] - it is one
        async with aclosing(events):
            waiting = asyncio.create_task(one.compact())
            async for event in events:
                seen.append(event.type)
                assert not isinstance(event, MessageDelta)
                if event.type == "turn.completed":
                    break
        await waiting
    assert seen[-4:] == ["model.call.started", "model.call.completed", "session.compacted", "turn.completed"]
    assert "session.compacting" in seen


# --- the transcript --------------------------------------------------------------------------------------------------


async def test_the_transcript_stays_and_is_read_as_it_was() -> None:
    async with session(config().changed(model=_model())) as one:
        await _filled(one, 50)
        before = await one.history()
        then = (await one.info()).head_seq
        await one.compact()

        assert await one.history(at=then) == before
        assert len(await records(one, r.MessageAdded)) == 50
        assert (await one.info()).messages == 23


async def test_there_is_no_way_back_past_a_compaction_but_a_fork() -> None:
    async with runtime() as manager:
        one = await manager.create_session("s", config().changed(model=_model()))
        await _filled(one, 50)
        then = (await one.info()).head_seq
        await one.compact()

        with pytest.raises(InvalidRequest, match="compacted"):
            await one.rewind(then)
        fork = await manager.fork_session("s", "fork", at=then)
        assert len(await fork.history()) == 50
        inside = next(record for record in await one.records(limit=1000) if isinstance(record, r.ModelCallStarted))
        middle = await manager.fork_session("s", "middle", at=inside.seq)
        assert len(await middle.history()) == 50
        assert (await middle.generate("go")).text == "Yes."


# --- at the threshold ------------------------------------------------------------------------------------------------


async def test_maybe_auto_compact_does_nothing_below_the_threshold_or_when_it_is_off() -> None:
    async with session(_auto(says("Yes.", usage=_HALF))) as one:
        await _filled(one, 35)
        await one.generate("go")
        assert not await one.maybe_auto_compact()
    full = config(says("Yes.", usage=_FULL), max_context_length=1000)
    async with session(full) as one:
        await _filled(one, 35)
        await one.generate("go")
        assert not await one.maybe_auto_compact()


async def test_maybe_auto_compact_at_85_percent_without_a_model_truncates() -> None:
    async with runtime(llm=_model(says("Yes.", usage=_FULL))) as manager:
        one = await manager.create_session("s", config(auto_compact=True, max_context_length=1000))
        await _filled(one, 33)
        await one.generate("go")
        await manager.set_default_llm(None)

        assert await manager.maybe_auto_compact("s")
        assert len(await one.history()) == 20
        (done,) = await records(one, r.SessionCompacted)
        assert (done.data.percent_before, done.data.before_tokens) == (0.85, 850)
        usage = await one.context_usage()
        assert usage.used_tokens == done.data.after_tokens < 850
        assert not await manager.maybe_auto_compact("s")


async def test_a_session_compacts_by_itself_before_the_call_that_follows_the_threshold() -> None:
    async with session(_auto(says("Yes.", usage=_FULL))) as one:
        await _filled(one, 33)
        await one.generate("first")
        assert await records(one, r.SessionCompacted) == []
        await one.generate("second")

        (done,) = await records(one, r.SessionCompacted)
        assert (done.data.reason, done.data.before_messages) == (CompactionReason.threshold, 36)
        assert (await _texts(one))[-2:] == ["second", "Yes."]


async def test_a_long_turn_is_compacted_between_its_rounds_and_goes_on() -> None:
    @tool
    async def look() -> str:
        return "seen"

    steps = (calls(("look", {})) | {"usage": _FULL}, calls(("look", {})), says("Done."))
    async with session(_auto(*steps), look) as one:
        await _filled(one, 33)
        result = await one.generate("go")

        assert (result.text, result.tool_calls_count) == ("Done.", 2)
        assert len(await records(one, r.SessionCompacted)) == 1
        assert [record.data.round for record in await records(one, r.ModelCallStarted)] == [1, 1, 2, 3]


async def test_a_turn_without_a_summary_goes_on_with_the_context_it_has() -> None:
    failing = {"options": {"summary": says("", error="rejected")}}
    async with session(_auto(says("Yes.", usage=_FULL), **failing)) as one:
        await _filled(one, 33)
        await one.generate("first")

        assert (await one.generate("second")).text == "Yes."
        (failed,) = await records(one, r.SessionCompactionFailed)
        assert failed.data.code == "ModelRejected"
        assert len(await one.history()) == 37


# --- after a refusal -------------------------------------------------------------------------------------------------


async def test_a_prompt_that_does_not_fit_is_compacted_once_and_asked_again() -> None:
    model = _model(window_tokens=3000)
    async with session(config(max_rounds=1).changed(model=model)) as one:
        for _ in range(4):
            await one.add_message(Message.user("x" * 3000))
        result = await one.generate("and now?")

        assert result.text == "Yes."
        assert [record.data.code for record in await records(one, r.ModelCallFailed)] == ["ContextExceeded"]
        (done,) = await records(one, r.SessionCompacted)
        assert (done.data.reason, done.data.error) == (CompactionReason.overflow, None)
        assert (await _texts(one))[-2:] == ["and now?", "Yes."]
        assert (await types(one))[-8:] == [
            "model.call.failed",
            "session.compacting",
            "model.call.started",
            "model.call.completed",
            "session.compacted",
            "model.call.started",
            "model.call.completed",
            "turn.completed",
        ]


async def test_what_does_not_fit_even_then_is_a_clear_error() -> None:
    async with session(config().changed(model=_model(window_tokens=2000))) as one:
        await one.add_message(Message.user("x" * 3000))
        with pytest.raises(TurnFailed, match="does not fit into the model's window") as caught:
            await one.generate("y" * 9000)

        assert caught.value.error_code == "ContextExceeded"
        assert len(await records(one, r.SessionCompacted)) == 1
        assert [one.data.code for one in await records(one, r.ModelCallFailed)] == ["ContextExceeded"] * 2


async def test_a_model_that_refuses_everything_is_asked_twice_and_the_context_compacted_once() -> None:
    async with session(config().changed(model=_model(window_tokens=1))) as one:
        for _ in range(60):
            await one.add_message(Message.user("x" * 400))
        with pytest.raises(TurnFailed, match="window"):
            await one.generate("and now?")

        answers = [record for record in await records(one, r.ModelCallStarted) if record.data.summary_of is None]
        assert (len(answers), len(await records(one, r.SessionCompacted))) == (2, 1)


async def test_a_single_message_that_does_not_fit_is_an_error_at_once() -> None:
    async with session(config().changed(model=_model(window_tokens=2000))) as one:
        with pytest.raises(TurnFailed, match="window"):
            await one.generate("y" * 9000)
        assert await records(one, r.SessionCompacting) == []


async def test_without_a_summary_what_does_not_fit_goes_all_the_same() -> None:
    model = _model(window_tokens=3000, summary=says("", error="rejected"))
    async with session(config().changed(model=model)) as one:
        for _ in range(4):
            await one.add_message(Message.user("x" * 3000))

        assert (await one.generate("and now?")).text == "Yes."
        (done,) = await records(one, r.SessionCompacted)
        assert done.data.summary is None
        assert "refused" in (done.data.error or "")


# --- what comes in between -------------------------------------------------------------------------------------------


async def _begun(one: SessionHandle) -> asyncio.Task[Any]:
    """A compaction whose summary is being written."""
    await _filled(one, 50)
    waiting = asyncio.create_task(one.compact())
    await record_of(one, r.ModelCallStarted)
    return waiting


_SLOW = says("We counted to n.", delay_s=0.1)
_ENDLESS = says("word " * 20_000, token_delay_s=0.001)


async def test_an_input_that_comes_meanwhile_waits_and_is_answered() -> None:
    async with session(config().changed(model=_model(summary=_SLOW))) as one:
        compacting = await _begun(one)
        receipt = await one.send("and now?")
        assert [item.input_id for item in await one.pending_inputs()] == [receipt.input_id]
        with pytest.raises(SessionBusy):
            await one.clear()

        assert (await one.wait_turn(receipt)).text == "Yes."
        assert (await compacting).after_messages == 23
        assert (await _texts(one))[-2:] == ["and now?", "Yes."]


async def test_cancel_leaves_the_context_as_it_was() -> None:
    async with session(config().changed(model=_model(summary=_ENDLESS))) as one:
        compacting = await _begun(one)
        assert await one.cancel()

        with pytest.raises(TurnFailed, match="cancelled"):
            await compacting
        assert len(await one.history()) == 50
        assert (await types(one))[-3:] == ["model.call.failed", "session.compaction_failed", "turn.cancelled"]
        assert (await one.generate("go")).text == "Yes."


async def test_pause_stops_it_before_the_context_changes_and_resume_goes_on() -> None:
    async with session(config().changed(model=_model(summary=_SLOW))) as one:
        compacting = await _begun(one)
        await one.pause()
        await record_of(one, r.ModelCallCompleted)
        assert len(await one.history()) == 50
        with pytest.raises(SessionPaused):
            await one.compact()

        await one.resume()
        assert (await compacting).after_messages == 23


async def test_a_running_turn_is_compacted_at_its_next_step() -> None:
    gate, runs = asyncio.Event(), asyncio.Event()

    @tool
    async def wait_here() -> str:
        runs.set()
        await gate.wait()
        return "through"

    model = _model(calls(("wait_here", {})), says("Done."))
    async with session(config().changed(model=model), wait_here) as one:
        await _filled(one, 50)
        answer = asyncio.create_task(one.generate("go"))
        await runs.wait()
        compacting = asyncio.create_task(one.compact())
        await record_of(one, r.SessionCompacting)
        gate.set()

        assert (await answer).text == "Done."
        done = await compacting
        assert done is not None
        assert done.removed_messages > 0
        assert (await one.info()).turns == 1


async def test_whoever_does_not_wait_any_longer_asks_again_with_the_same_key() -> None:
    async with session(config().changed(model=_model(summary=_SLOW))) as one:
        await _filled(one, 50)
        with pytest.raises(CompactionPending):
            await one.compact(timeout=0.001, command_id="k")
        done = await one.compact(command_id="k")
        assert done is not None
        assert done.after_messages == 23


async def test_a_summary_that_fails_for_good_is_an_error_and_changes_nothing() -> None:
    async with session(config().changed(model=_model(summary=says("", error="unavailable")))) as one:
        await _filled(one, 50)
        with pytest.raises(ModelUnavailable):
            await one.compact()
        assert len(await one.history()) == 50
        assert (await types(one))[-2:] == ["session.compaction_failed", "turn.failed"]


async def test_an_empty_summary_is_none() -> None:
    async with session(config().changed(model=_model(summary=says("  ")))) as one:
        await _filled(one, 50)
        with pytest.raises(TurnFailed, match="no summary"):
            await one.compact()
        assert len(await one.history()) == 50


async def test_a_broken_summary_is_asked_for_again_as_the_same_call() -> None:
    flaky = says("We counted to n.", error="protocol", fail_times=1)
    async with session(config().changed(model=_model(summary=flaky))) as one:
        await _filled(one, 50)
        assert await one.compact() is not None
        first, second = await records(one, r.ModelCallStarted)
        assert (first.data.call_id, second.data.attempt) == (second.data.call_id, 2)
        assert first.data.summary_of == second.data.summary_of


@pytest.mark.parametrize(
    ("point", "nth"),
    [
        (Point.commit_before, 1),
        (Point.commit_after, 1),
        (Point.commit_before, 2),
        (Point.commit_after, 2),
        (Point.store_after, 1),
        (Point.run_before, 1),
        (Point.run_after, 1),
        (Point.ack_before, 1),
    ],
)
async def test_whatever_fails_meanwhile_the_context_is_compacted_once(
    point: Point, nth: int, request: pytest.FixtureRequest
) -> None:
    request.addfinalizer(faults.disarm)
    async with session(config().changed(model=_model())) as one:
        await _filled(one, 50)
        faults.arm(Fault(point, nth, What.fail))
        done = await one.compact(command_id="k")

        assert done is not None
        assert (done.after_messages, len(await one.history())) == (23, 23)
        assert len(await records(one, r.SessionCompacted)) == 1
        assert len(await records(one, r.ModelCallCompleted)) == 1


async def test_a_runtime_that_ends_while_it_is_written_goes_on_with_it_when_it_is_opened_again(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'sessions.db'}"
    manager = await SessionManager.local(store=url)
    one = await manager.create_session("s", config().changed(model=_model(summary=_SLOW)))
    compacting = await _begun(one)
    compacting.cancel()
    await manager.close()

    manager = await SessionManager.local(store=url)
    try:
        one = await manager.get_session("s")
        done = await record_of(one, r.SessionCompacted)
        assert done.data.after_messages == 23
        assert len(await records(one, r.ModelCallCompleted)) == 1
    finally:
        await manager.close()
