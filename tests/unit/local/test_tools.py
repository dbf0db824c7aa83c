"""Rounds of tool calls: arguments, order, concurrency, time-outs, repeats, user tools."""

from __future__ import annotations

import asyncio

import pytest

from actors.domain import records as r
from actors.domain.calls import Outcome
from actors.domain.messages import TextBlock, ToolResultBlock
from actors.errors import TurnFailed
from actors.tools.base import ToolContext
from actors.tools.function import tool
from tests.unit.local.runtimes import calls, config, records, result_texts, results, says, session


@tool(effect="pure")
async def look(path: str = "") -> str:
    """Look at something."""
    return f"looked at {path}"


_BROKEN = {"tool": "look", "raw_args": '{"path": '}


async def test_three_malformed_calls_in_a_row_fail_a_turn_that_tolerates_two() -> None:
    async with session(config(_BROKEN, _BROKEN, _BROKEN, says("never"), max_parse_retries=2), look) as one:
        with pytest.raises(TurnFailed, match="malformed tool arguments") as caught:
            await one.generate("go")
        assert caught.value.error_code == "malformed_arguments"
        assert len(await records(one, r.ModelCallCompleted)) == 3


async def test_a_valid_call_after_two_malformed_ones_sets_the_count_back() -> None:
    steps = config(_BROKEN, _BROKEN, calls(("look", {"path": "a"})), _BROKEN, _BROKEN, says("Done."))
    async with session(steps, look) as one:
        result = await one.generate("go")
        assert (result.text, result.tool_calls_count) == ("Done.", 5)
        assert [block.is_error for block in results(result.messages)] == [True, True, False, True, True]


async def test_arguments_that_do_not_fit_the_tool_are_an_error_for_the_model() -> None:
    async with session(config(calls(("look", {"depth": 3})), says("Done.")), look) as one:
        result = await one.generate("go")
        assert result.text == "Done."
        assert "depth" in result_texts(result.messages)[0]


async def test_a_tool_that_takes_too_long_gives_an_error_and_the_turn_goes_on() -> None:
    @tool(timeout=0.05)
    async def linger() -> str:
        await asyncio.Event().wait()
        return ""

    async with session(config(calls(("linger", {})), says("Too slow.")), linger) as one:
        result = await one.generate("go")
        assert result.text == "Too slow."
        assert "timed out" in result_texts(result.messages)[0]
        assert (await records(one, r.ToolCallCompleted))[0].data.outcome is Outcome.timeout
        assert len(await records(one, r.ModelCallStarted)) == 2


async def test_the_sessions_own_limit_of_a_tool_call_counts_where_the_tool_has_none() -> None:
    @tool
    async def linger() -> str:
        await asyncio.Event().wait()
        return ""

    async with session(config(calls(("linger", {})), says("Too slow."), tool_timeout_s=0.05), linger) as one:
        assert "timed out after 0.05 s" in result_texts((await one.generate("go")).messages)[0]


async def test_a_tool_that_raises_gives_an_error_and_the_turn_goes_on() -> None:
    @tool
    async def fail() -> str:
        raise ValueError("no luck")

    async with session(config(calls(("fail", {})), says("Sad.")), fail) as one:
        result = await one.generate("go")
        assert result.text == "Sad."
        assert "Tool execution error" in result_texts(result.messages)[0]
        assert "no luck" in result_texts(result.messages)[0]


async def test_pure_calls_of_one_answer_run_side_by_side_and_results_keep_the_calls_order() -> None:
    first_runs, second_is_done = asyncio.Event(), asyncio.Event()

    @tool(effect="pure")
    async def one_waits() -> str:
        first_runs.set()
        await second_is_done.wait()
        return "first"

    @tool(effect="pure")
    async def other_waits() -> str:
        await first_runs.wait()
        second_is_done.set()
        return "second"

    steps = config(calls(("one_waits", {}), ("other_waits", {})), says("Both."))
    async with session(steps, one_waits, other_waits) as one:
        assert result_texts((await one.generate("go")).messages) == ["first", "second"]
        started = await records(one, r.ToolCallStarted)
        assert started[1].seq == started[0].seq + 1


async def test_calls_that_change_something_run_one_by_one_in_the_models_order() -> None:
    order: list[str] = []

    @tool(effect="unsafe")
    async def change(name: str) -> str:
        order.append(name)
        return name

    @tool(effect="pure")
    async def peek(name: str) -> str:
        order.append(name)
        return name

    steps = config(calls(("peek", {"name": "a"}), ("change", {"name": "b"}), ("peek", {"name": "c"})), says("Done."))
    async with session(steps, change, peek) as one:
        assert result_texts((await one.generate("go")).messages) == ["a", "b", "c"]
        journal = [event.type for event in await one.records() if event.type.startswith("tool.call")]
    assert journal == ["tool.call.started", "tool.call.completed"] * 3
    assert order == ["a", "b", "c"]


async def test_the_same_call_over_and_over_is_refused_and_then_fails_the_turn() -> None:
    ran: list[str] = []

    @tool
    async def again(path: str) -> str:
        ran.append(path)
        return "the same"

    async with session(config(calls(("again", {"path": "a"}))), again) as one:
        with pytest.raises(TurnFailed, match="same tool call") as caught:
            await one.generate("go")
        assert caught.value.error_code == "repeated_call"
        assert ran == ["a"] * 3
        assert {record.data.code for record in await records(one, r.ToolCallDenied)} == {"duplicate"}


async def test_another_call_in_between_makes_a_repeat_a_new_call() -> None:
    a, b = calls(("look", {"path": "a"})), calls(("look", {"path": "b"}))
    async with session(config(a, a, a, b, a, a, a, says("Done.")), look) as one:
        assert (await one.generate("go")).tool_calls_count == 7
        assert not await records(one, r.ToolCallDenied)


async def test_a_user_tool_has_the_identity_of_its_call_and_its_output_is_seen_while_it_runs() -> None:
    seen = asyncio.Event()
    contexts: list[ToolContext] = []

    @tool
    async def report(ctx: ToolContext, count: int) -> dict[str, int]:
        contexts.append(ctx)
        ctx.emit("half way")
        await seen.wait()
        return {"count": count + 1}

    async with session(config(calls(("report", {"count": 1})), says("Two.")), report) as one:
        stream = await one.generate_streaming("go")
        outputs: list[str] = []
        async for event in stream:
            if event.type == "tool.output.delta":
                outputs.append(event.text)
                seen.set()
        result = await stream.result()
        assert (result.text, result_texts(result.messages)) == ("Two.", ['{"count": 2}'])
        assert outputs == ["half way"]
        started = await records(one, r.ToolCallStarted)
        assert contexts[0].call_id == started[0].data.call_id
        assert contexts[0].session_id == "s"


async def test_a_plain_function_is_a_tool_and_runs_in_a_thread() -> None:
    def double(number: int) -> int:
        """Twice as much."""
        return number * 2

    async with session(config(calls(("double", {"number": 21})), says("Done.")), double) as one:
        assert result_texts((await one.generate("go")).messages) == ["42"]


async def test_large_content_comes_back_whole_in_history_and_to_the_model() -> None:
    @tool
    async def much() -> str:
        return "tool " * 12_000

    prompt = "prompt " * 12_000
    async with session(config(calls(("much", {})), says("Done.")), much) as one:
        result = await one.generate(prompt)
        assert result.text == "Done."
        history = await one.history()
        assert history[0].text == prompt
        block = history[2].content[0]
        assert isinstance(block, ToolResultBlock)
        assert block.content == "tool " * 12_000
        # The scripted model counts what it was given: four characters a token.
        assert (await one.context_usage()).used_tokens > (len(prompt) + 60_000) // 4
        for record in await one.records(limit=100):
            assert len(r.encode_record(record)) < 32 * 1024
        await one.configure(model_config="scripted/echo")
        assert (await one.generate("short")).text == "short"


async def test_texts_below_the_limit_stay_where_they_are() -> None:
    async with session(config(says("x" * 30_000))) as one:
        assert (await one.generate("go")).messages[1].content == (TextBlock(text="x" * 30_000),)


async def test_a_long_answer_comes_back_whole_to_everybody_who_asks() -> None:
    answer = "answer " * 12_000
    async with session(config(says(answer))) as one:
        receipt = await one.send("go", command_id="key")
        assert (await one.wait_turn(receipt)).text == answer
        result = await one.generate("again")
        assert (result.text, result.messages[-1].text) == (answer, answer)
        assert (await one.history())[-1].text == answer
        assert len(await records(one, r.ModelCallStarted)) == 2
