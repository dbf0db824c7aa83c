"""Whole turns in one process, without Ray: answers, tools, rounds, failures of the model."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from actors.domain import records as r
from actors.domain.messages import Message, Role
from actors.domain.session import SessionConfig
from actors.errors import ModelAuthFailed, ModelUnavailable, NoModel, TurnFailed
from actors.tools.function import tool
from tests.unit.local.runtimes import (
    calls,
    config,
    records,
    result_texts,
    results,
    runtime,
    says,
    script,
    session,
    types,
)


@tool(effect="pure")
async def look(path: str = "") -> str:
    """Look at something."""
    return f"looked at {path}"


@tool(effect="unsafe")
async def act(what: str = "") -> str:
    """Do something."""
    return f"did {what}"


async def test_a_text_answer_is_one_model_call_and_two_appends_worth_of_records() -> None:
    async with session(config(says("Hello."))) as one:
        result = await one.generate("hi")
        assert (result.text, result.tool_calls_count, result.turn_id) == ("Hello.", 0, "turn-1")
        assert [message.role for message in result.messages] == [Role.user, Role.assistant]
        assert await types(one) == [
            "session.created",
            "user.message",
            "turn.started",
            "model.call.started",
            "model.call.completed",
            "turn.completed",
        ]


async def test_a_whole_session_of_many_turns_and_tools_runs_in_plain_asyncio(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("remember the milk")
    steps = config(
        calls(("read", {"file_path": "notes.txt"}), ("look", {"path": "a"}), text="Reading."),
        calls(("write", {"file_path": "copy.txt", "content": "milk"}), ("bash", {"command": "cat copy.txt"})),
        says("Copied."),
        workspace=str(tmp_path),
    )
    async with session(steps, look) as one:
        for turn in (1, 2, 3):
            result = await one.generate(f"turn {turn}")
            assert (result.text, result.tool_calls_count) == ("Copied.", 4)
            assert len(result.messages) == turn * 8
        history = await one.history()
        assert history == result.messages
        read, looked, wrote, shown = result_texts(history)[:4]
        assert "remember the milk" in read
        assert (looked, shown.strip()) == ("looked at a", "milk")
        assert "copy.txt" in wrote
        assert [turn.text for turn in await one.turns()] == ["Copied."] * 3


async def test_two_chained_tool_calls_are_three_model_calls_and_six_messages() -> None:
    async with session(
        config(calls(("look", {"path": "a"})), calls(("look", {"path": "b"})), says("Done.")), look
    ) as one:
        result = await one.generate("go")
        assert [message.role.value for message in result.messages] == ["user", "assistant"] * 3
        assert len(await records(one, r.ModelCallStarted)) == 3


async def test_usage_is_summed_over_the_calls_of_a_turn_and_the_context_counts_the_last() -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    last = {"prompt_tokens": 30, "completion_tokens": 5, "total_tokens": 35}
    steps = config({**calls(("look", {})), "usage": usage}, says("Done.", usage=last))
    async with session(steps, look) as one:
        result = await one.generate("go")
        assert (result.usage.prompt_tokens, result.usage.total_tokens) == (40, 50)
        assert (await one.context_usage()).used_tokens == 30
        assert (await one.info()).usage.total_tokens == 50


async def test_a_call_of_an_unknown_tool_gets_an_error_and_the_turn_goes_on() -> None:
    async with session(config(calls(("nosuch", {})), says("Sorry.")), look) as one:
        result = await one.generate("go")
        assert (result.text, result.tool_calls_count) == ("Sorry.", 1)
        assert results(result.messages)[0].is_error
        assert "nosuch" in result_texts(result.messages)[0]


async def test_more_rounds_than_allowed_fail_the_turn_and_name_the_limit() -> None:
    steps = [calls(("look", {"path": str(number)})) for number in range(6)]
    async with session(config(*steps, max_rounds=5), look) as one:
        with pytest.raises(TurnFailed, match=r"Max tool rounds \(5\) exceeded") as caught:
            await one.generate("go")
        assert caught.value.error_code == "max_rounds"
        assert len(await records(one, r.ModelCallStarted)) == 5


async def test_failed_attempts_do_not_lift_the_limit_of_rounds() -> None:
    steps = [calls(("look", {"path": str(number)})) | {"error": "protocol", "fail_times": 1} for number in range(6)]
    async with session(config(*steps, max_rounds=2), look) as one:
        with pytest.raises(TurnFailed, match=r"Max tool rounds \(2\) exceeded"):
            await one.generate("go")
        assert len(await records(one, r.ModelCallCompleted)) == 2


@pytest.mark.parametrize("threshold", [1, 2, 3])
async def test_a_failing_model_is_tried_exactly_as_often_as_the_threshold_says(threshold: int) -> None:
    async with session(config(says("", error="protocol"), circuit_breaker_threshold=threshold)) as one:
        with pytest.raises(TurnFailed) as caught:
            await one.generate("go")
        assert len(await records(one, r.ModelCallFailed)) == threshold
        assert ("circuit breaker" in caught.value.reason) == (threshold > 1)


async def test_a_model_that_fails_once_and_then_answers_completes_the_turn() -> None:
    async with session(config(says("Here.", error="protocol", fail_times=1))) as one:
        assert (await one.generate("go")).text == "Here."
        attempts = [record.data.attempt for record in await records(one, r.ModelCallStarted)]
        assert attempts == [1, 2]
        assert len({record.data.call_id for record in await records(one, r.ModelCallStarted)}) == 1


async def test_a_failure_that_no_further_attempt_can_help_is_raised_as_what_it_is() -> None:
    for error, kind in (("auth", ModelAuthFailed), ("unavailable", ModelUnavailable)):
        async with session(config(says("", error=error))) as one:
            with pytest.raises(kind):
                await one.generate("go")
            assert len(await records(one, r.ModelCallFailed)) == 1


async def test_after_a_failed_turn_the_next_one_is_answered() -> None:
    async with session(config(says("", error="rejected"))) as one:
        with pytest.raises(TurnFailed):
            await one.generate("first")
        await one.configure(model_config=script(says("Better.")))
        assert (await one.generate("second")).text == "Better."
        assert [message.text for message in await one.history()] == ["first", "second", "Better."]


async def test_an_answer_that_stops_in_the_middle_is_asked_to_go_on() -> None:
    steps = config(calls(("look", {})), says("Now I will check the rest:"), says("All is well."), max_continuations=3)
    async with session(steps, look) as one:
        assert (await one.generate("go")).text == "All is well."
        nudges = [record.data.nudge for record in await records(one, r.ModelCallStarted)]
        assert [nudge is not None for nudge in nudges] == [False, False, True]


async def test_an_unfinished_answer_is_asked_to_go_on_no_more_often_than_allowed() -> None:
    async with session(config(calls(("look", {})), says("Let me see:"), max_continuations=2), look) as one:
        assert (await one.generate("go")).text == "Let me see:"
        assert len(await records(one, r.ModelCallStarted)) == 4


async def test_a_turn_over_its_wall_time_ends_and_its_tool_with_it() -> None:
    ended = asyncio.Event()

    @tool
    async def linger() -> str:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return ""

    async with session(config(calls(("linger", {})), max_turn_s=1.0), linger) as one:
        with pytest.raises(TurnFailed) as caught:
            await one.generate("go")
        assert caught.value.error_code == "time_limit"
        assert ended.is_set()
        assert len(results(await one.history())) == 1


async def test_a_session_without_a_model_says_so_and_a_default_model_helps() -> None:
    async with session(SessionConfig()) as one:
        with pytest.raises(NoModel):
            await one.generate("hi")
        assert await types(one) == ["session.created"]
    async with runtime(llm="scripted/echo") as manager:
        await manager.create_session("s")
        assert (await manager.generate("s", "hi there")).text == "hi there"


async def test_taking_the_default_model_away_ends_no_call_that_is_under_way() -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()

    @tool
    async def pause_here() -> str:
        asked.set()
        await go_on.wait()
        return ""

    async with runtime(pause_here, llm=script(calls(("pause_here", {})), says("Done."))) as manager:
        one = await manager.create_session("s", config())
        receipt = await one.send("go")
        await asked.wait()
        await manager.set_default_llm(None)
        go_on.set()
        with pytest.raises(NoModel):
            await one.wait_turn(receipt)


async def test_a_conversation_that_is_there_already_stays_in_front_of_the_turn() -> None:
    async with session(config(says("Yes."))) as one:
        await one.add_message("a fact")
        await one.add_message(Message.assistant("noted"))
        assert [message.text for message in (await one.generate("and?")).messages] == [
            "a fact",
            "noted",
            "and?",
            "Yes.",
        ]
