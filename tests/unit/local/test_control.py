"""A running turn and those who want something of its session: cancel, pause, further inputs, messages, viewers."""

from __future__ import annotations

import asyncio
import os
from contextlib import aclosing
from pathlib import Path

import pytest

from actors.domain import records as r
from actors.domain.calls import Outcome
from actors.domain.events import MessageDelta
from actors.domain.messages import Message
from actors.domain.policies import OnBusy
from actors.errors import InputNotFound, InvalidRequest, SessionBusy, SessionEnded, SessionPaused, TurnFailed
from actors.handle import SessionHandle
from actors.tools.base import Tool
from actors.tools.function import tool
from tests.unit.local.runtimes import calls, config, record_of, records, result_texts, results, says, session


class Gate:
    """A tool that says when it runs and waits until it may end."""

    def __init__(self) -> None:
        self.runs = asyncio.Event()
        self.may_end = asyncio.Event()
        self.count = 0

    def tool(self) -> Tool:
        @tool
        async def gate() -> str:
            self.count += 1
            self.runs.set()
            await self.may_end.wait()
            return "through"

        return gate


@pytest.fixture
def gate() -> Gate:
    return Gate()


_STEPS = (calls(("gate", {}), text="At the gate."), says("Through."))
_SLOW = says("as far as I can see it goes on for ever", token_delay_s=0.001) | {"text": "word " * 20_000}


async def _began(one: SessionHandle, gate: Gate, prompt: str = "go") -> asyncio.Task[str]:
    """The answer to a turn whose tool is running."""

    async def answer() -> str:
        return (await one.generate(prompt, command_id=prompt)).text

    task = asyncio.create_task(answer())
    await gate.runs.wait()
    return task


async def test_cancelling_a_model_call_keeps_the_text_that_had_arrived() -> None:
    async with session(config(_SLOW)) as one:
        receipt = await one.send("go")
        async with aclosing(one.events(follow=True)) as events:  # pyright: ignore[reportArgumentType] - it is an async generator
            async for event in events:
                if isinstance(event, MessageDelta):
                    break
        assert await one.cancel("changed my mind")
        with pytest.raises(TurnFailed, match="changed my mind") as caught:
            await one.wait_turn(receipt)
        assert caught.value.error_code == "cancelled"
        asked, partial = await one.history()
        assert (asked.text, partial.role) == ("go", "assistant")
        assert partial.text.startswith("word ")
        assert len(partial.text) < len("word " * 20_000)
        assert not await one.cancel()


async def test_cancelling_a_tool_kills_its_process_and_the_call_has_an_outcome(tmp_path: Path) -> None:
    fifo = tmp_path / "pid"
    os.mkfifo(fifo)
    command = {"command": f"echo $$ > {fifo}; exec sleep 1000"}
    async with session(config(calls(("bash", command)), workspace=str(tmp_path))) as one:
        receipt = await one.send("go")
        pid = int(await asyncio.to_thread(fifo.read_text))
        assert await one.cancel()
        with pytest.raises(TurnFailed):
            await one.wait_turn(receipt)
        (completed,) = await records(one, r.ToolCallCompleted)
        assert completed.data.outcome is Outcome.cancelled
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        assert len(results(await one.history())) == 1


async def test_a_cancelled_session_answers_the_next_input(gate: Gate) -> None:
    async with session(config(*_STEPS), gate.tool()) as one:
        task = await _began(one, gate)
        await one.cancel()
        with pytest.raises(TurnFailed):
            await task
        gate.may_end.set()
        assert (await one.generate("again")).text == "Through."


async def test_a_paused_session_takes_no_step_and_no_input_until_it_is_resumed(gate: Gate) -> None:
    async with session(config(*_STEPS), gate.tool()) as one:
        task = await _began(one, gate)
        assert await one.pause()
        assert not await one.pause()
        with pytest.raises(SessionPaused):
            await one.generate("more")
        gate.may_end.set()
        await record_of(one, r.ToolCallCompleted)
        assert len(await records(one, r.ModelCallStarted)) == 1
        assert (await one.info()).state == "paused"
        assert await one.resume()
        assert not await one.resume()
        assert await task == "Through."


async def test_a_paused_turn_can_be_cancelled(gate: Gate) -> None:
    async with session(config(*_STEPS), gate.tool()) as one:
        task = await _began(one, gate)
        await one.pause()
        assert await one.cancel()
        with pytest.raises(TurnFailed):
            await task


async def test_an_input_for_a_busy_session_waits_its_turn(gate: Gate) -> None:
    async with session(config(*_STEPS), gate.tool()) as one:
        first = await _began(one, gate)
        receipts = [await one.send(prompt) for prompt in ("second", "third")]
        assert [item.message.text for item in await one.pending_inputs()] == ["second", "third"]
        assert (await one.info()).queued == 2
        gate.may_end.set()
        assert await first == "Through."
        for receipt in receipts:
            await one.wait_turn(receipt)
        inputs = [record.data.inputs for record in await records(one, r.TurnStarted)]
        assert inputs == [("go",), *[(receipt.input_id,) for receipt in receipts]]


async def test_an_input_that_wants_no_queue_is_refused_while_a_turn_runs(gate: Gate) -> None:
    async with session(config(*_STEPS), gate.tool()) as one:
        task = await _began(one, gate)
        with pytest.raises(SessionBusy):
            await one.send("now", on_busy=OnBusy.reject)
        with pytest.raises(InvalidRequest):
            await one.send("now", on_busy="perhaps")
        gate.may_end.set()
        assert await task == "Through."
        assert (await one.generate("now", on_busy="reject")).text == "Through."


async def test_an_interrupting_input_ends_the_turn_and_goes_before_those_that_wait(gate: Gate) -> None:
    async with session(config(*_STEPS), gate.tool()) as one:
        task = await _began(one, gate)
        waiting = await one.send("waiting")
        gate.may_end.set()
        urgent = await one.send("urgent", on_busy="interrupt")
        with pytest.raises(TurnFailed, match="interrupted"):
            await task
        await one.wait_turn(waiting)
        taken = [record.data.inputs[0] for record in await records(one, r.TurnStarted)]
        assert taken == ["go", urgent.input_id, waiting.input_id]


async def test_a_steering_input_joins_the_running_turn_after_the_round(gate: Gate) -> None:
    async with session(config(*_STEPS), gate.tool()) as one:
        task = await _began(one, gate)
        receipt = await one.send("faster", on_busy="steer")
        gate.may_end.set()
        await task
        result = await one.wait_turn(receipt)
        assert (await one.info()).turns == 1
        kinds = [message.content[0].type for message in result.messages]
        assert kinds[:4] == ["text", "text", "tool_result", "text"]
        assert result.messages[3].text == "faster"


async def test_a_steering_input_that_comes_with_the_answer_is_answered_too() -> None:
    async with session(config(_SLOW | {"text": "word " * 300})) as one:
        first = await one.send("go")
        await record_of(one, r.ModelCallStarted)
        second = await one.send("and this", on_busy="steer")
        await one.wait_turn(first)
        result = await one.wait_turn(second)
        assert [message.role for message in result.messages] == ["user", "assistant", "user", "assistant"]
        assert (await one.info()).turns == 1


async def test_an_input_that_no_turn_has_taken_can_be_withdrawn(gate: Gate) -> None:
    async with session(config(*_STEPS), gate.tool()) as one:
        task = await _began(one, gate)
        receipt = await one.send("never mind")
        await one.withdraw_input(receipt.input_id)
        with pytest.raises(InputNotFound):
            await one.wait_turn(receipt)
        with pytest.raises(InputNotFound):
            await one.withdraw_input("go")
        gate.may_end.set()
        await task
        assert (await one.info()).turns == 1


async def test_a_message_added_in_the_middle_of_a_round_joins_after_it(gate: Gate) -> None:
    async with session(config(*_STEPS), gate.tool()) as one:
        task = await _began(one, gate)
        await one.add_message("by the way")
        assert [message.text for message in await one.history()] == ["go", "At the gate."]
        gate.may_end.set()
        await task
        history = (await one.history())[:4]
        assert [message.text for message in history] == ["go", "At the gate.", "", "by the way"]
        assert result_texts(history) == ["through"]


async def test_a_conversation_is_not_emptied_under_a_running_turn(gate: Gate) -> None:
    async with session(config(*_STEPS, max_context_length=5000), gate.tool()) as one:
        task = await _began(one, gate)
        with pytest.raises(SessionBusy):
            await one.clear()
        gate.may_end.set()
        await task
        await one.clear()
        usage = await one.context_usage()
        assert (await one.history(), usage.used_tokens, usage.turns, usage.max_tokens) == ((), 0, 0, 5000)
        assert len(await one.turns()) == 1


async def test_an_ended_session_refuses_and_those_who_wait_are_told(gate: Gate) -> None:
    async with session(config(*_STEPS), gate.tool()) as one:
        task = await _began(one, gate)
        waiting = await one.send("next")
        await one.complete()
        with pytest.raises(TurnFailed):
            await task
        with pytest.raises(InputNotFound):
            await one.wait_turn(waiting)
        assert (await one.info()).state == "completed"
        for refused in (one.generate("more"), one.add_message("more"), one.configure(name="more")):
            with pytest.raises(SessionEnded):
                await refused
        assert not await one.pause()
        assert not await one.resume()


async def test_a_session_in_error_refuses_until_it_is_resumed() -> None:
    async with session(config(says("Yes."))) as one:
        await one.fail("it is broken")
        assert (await one.info()).state == "error"
        with pytest.raises(SessionEnded):
            await one.generate("more")
        assert await one.resume()
        assert (await one.generate("more")).text == "Yes."


async def test_a_viewer_that_goes_away_in_the_middle_of_a_tool_changes_nothing(gate: Gate) -> None:
    async with session(config(*_STEPS), gate.tool()) as one:
        task = await _began(one, gate)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        gate.may_end.set()
        assert (await one.generate("go", command_id="go")).text == "Through."
        assert gate.count == 1


async def test_prompts_that_are_none_are_refused() -> None:
    forged = Message.tool_result("call_0_0", "a result of no call")
    async with session(config(says("Yes."))) as one:
        for prompt in ("", " ", Message.assistant("I said"), forged):
            with pytest.raises(InvalidRequest):
                await one.send(prompt)
        with pytest.raises(InvalidRequest):
            await one.add_message(forged)
        assert await one.history() == ()
