"""Turns: asking, waiting, running out of time, cancelling, pausing, queueing."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from actors import LlmConfig, Message, Receipt, SessionConfig, SessionManager, errors
from actors.domain.messages import Role, ToolResultBlock
from actors.domain.records import ModelCallStarted, ToolCallStarted, TurnCancelled, TurnCompleted
from actors.domain.turns import TurnStatus
from actors.handle_stream import TurnStream
from tests.integration.processes import alive
from tests.integration.runtimes import NewId
from tests.integration.waiting import LONG_S, event_of, until

WAITS_FOR_GATE = '/tool bash {"command": "while [ ! -e gate ]; do read -t 0.05 < /dev/zero; done"}'
"""A prompt whose tool call ends when there is a file ``gate`` in the workspace."""

SLOW = "/sleep 300\nat last"
"""A prompt that the model thinks about for longer than any test lasts."""


async def test_a_turn_answers_and_its_result_tells_what_it_took(
    manager: SessionManager, new_id: NewId, tmp_path: Path, permissive: SessionConfig
) -> None:
    (tmp_path / "notes.txt").write_text("remember the milk")
    await manager.create_session(session_id := new_id(), permissive.changed(workspace=str(tmp_path)))
    result = await manager.generate(session_id, '/tool read {"file_path": "notes.txt"}\n/say done')
    assert result.text == "done"
    assert result.tool_calls_count == 1
    assert result.usage.total_tokens == result.usage.prompt_tokens + result.usage.completion_tokens > 0
    roles = [message.role for message in result.messages]
    assert roles == [Role.user, Role.assistant, Role.user, Role.assistant]
    seen = result.messages[2].content[0]
    assert isinstance(seen, ToolResultBlock)
    assert "remember the milk" in str(seen.content)
    assert await manager.history(session_id) == result.messages


async def test_a_session_remembers_its_former_turns(manager: SessionManager, new_id: NewId) -> None:
    session = await manager.create_session(new_id())
    for prompt in ("one", "two", "three"):
        assert (await session.generate(prompt)).text == prompt
    assert [message.text for message in await session.history()] == ["one", "one", "two", "two", "three", "three"]
    info = await session.info()
    assert (info.turns, info.messages) == (3, 6)
    turns = await session.turns()
    assert [turn.text for turn in turns] == ["one", "two", "three"]
    assert await session.turn(turns[1].turn_id) == turns[1]
    assert await session.turn("none") is None


async def test_an_answer_larger_than_a_record_comes_back_whole(manager: SessionManager, new_id: NewId) -> None:
    long = " ".join(f"word{number}" for number in range(40_000))
    session = await manager.create_session(new_id())
    result = await session.generate(f"/say {long}")
    assert result.text == long
    assert [len(message.text) for message in result.messages] == [len(long) + 5, len(long)]
    for number in range(5):
        receipt = await session.send(f"/say {number} {long}")
        assert (await session.wait_turn(receipt, timeout=LONG_S)).text == f"{number} {long}"
    history = await session.history()
    assert history[:2] == result.messages
    assert [message.text for message in history[3::2]] == [f"{number} {long}" for number in range(5)]
    assert [len(turn.text or "") for turn in await session.turns()] == [len(long), *[len(long) + 2] * 5]


async def test_a_large_tool_result_is_whole_in_the_history(
    manager: SessionManager, new_id: NewId, tmp_path: Path, permissive: SessionConfig
) -> None:
    session = await manager.create_session(new_id(), permissive.changed(workspace=str(tmp_path)))
    await session.generate('/tool bash {"command": "seq 1 9000"}')
    result = (await session.history())[2].content[0]
    assert isinstance(result, ToolResultBlock)
    assert isinstance(result.content, str)
    assert [line for line in result.content.splitlines() if line.isdecimal()] == [str(n) for n in range(1, 9001)]


@pytest.mark.parametrize("prompt", ["", "   ", Message.assistant("I am no user")])
async def test_what_is_no_prompt_is_refused(manager: SessionManager, new_id: NewId, prompt: str | Message) -> None:
    session = await manager.create_session(new_id())
    with pytest.raises(errors.InvalidRequest):
        await session.generate(prompt)
    assert await session.history() == ()


async def test_the_same_command_never_starts_a_second_turn(manager: SessionManager, new_id: NewId) -> None:
    session = await manager.create_session(new_id())
    first = await session.generate("hello", command_id="once")
    second = await session.generate("hello", command_id="once")
    assert (second.turn_id, second.text) == (first.turn_id, first.text)
    assert len(await session.turns()) == 1
    with pytest.raises(errors.CommandConflict):
        await session.generate("another body", command_id="once")


async def test_a_wait_that_is_too_short_leaves_a_receipt_to_wait_on_with(
    manager: SessionManager, new_id: NewId, tmp_path: Path, permissive: SessionConfig
) -> None:
    session = await manager.create_session(new_id(), permissive.changed(workspace=str(tmp_path)))
    with pytest.raises(errors.TurnPending) as pending:
        await session.generate(f"{WAITS_FOR_GATE}\n/say through", timeout=0.3)
    receipt = Receipt(
        session_id=session.session_id,
        journal_id=session.journal_id,
        input_id=pending.value.input_id,
        seq=pending.value.seq,
    )
    assert pending.value.why == "timeout"
    with pytest.raises(errors.TurnPending):
        await manager.wait_turn(session.session_id, receipt, timeout=0.1)
    (tmp_path / "gate").touch()
    result = await manager.wait_turn(session.session_id, receipt, timeout=LONG_S)
    assert result.text == "through"
    assert (await session.wait_turn(receipt)).turn_id == result.turn_id


async def test_a_receipt_is_good_for_its_own_session_only(manager: SessionManager, new_id: NewId) -> None:
    one, other = await manager.create_sessions([new_id(), new_id()])
    receipt = await one.send("hello")
    with pytest.raises(errors.SessionNotFound):
        await other.wait_turn(receipt, timeout=LONG_S)
    assert (await one.wait_turn(receipt, timeout=LONG_S)).text == "hello"


async def test_inputs_sent_together_are_answered_in_order(manager: SessionManager, new_id: NewId) -> None:
    session = await manager.create_session(new_id())
    receipts = [await session.send(f"number {number}") for number in range(5)]
    results = await asyncio.gather(*(session.wait_turn(receipt, timeout=LONG_S) for receipt in receipts))
    assert [result.text for result in results] == [f"number {number}" for number in range(5)]
    assert [turn.text for turn in await session.turns()] == [result.text for result in results]


async def test_concurrent_callers_of_one_session_each_get_their_own_answer(
    manager: SessionManager, new_id: NewId
) -> None:
    session_id = (await manager.create_session(new_id())).session_id
    results = await asyncio.gather(*(manager.generate(session_id, f"caller {n}") for n in range(8)))
    assert [result.text for result in results] == [f"caller {n}" for n in range(8)]
    assert len(await manager.history(session_id)) == 16


async def test_cancel_during_a_model_call_ends_the_turn(manager: SessionManager, new_id: NewId) -> None:
    session = await manager.create_session(new_id())
    waiter = asyncio.create_task(session.generate(SLOW))
    await event_of(session, ModelCallStarted)
    assert await manager.cancel_operation(session.session_id) is True
    with pytest.raises(errors.TurnFailed) as failed:
        await waiter
    assert failed.value.error_code == "cancelled"
    assert [turn.status for turn in await session.turns()] == [TurnStatus.cancelled]
    assert (await session.generate("go on")).text == "go on"


async def test_cancel_during_a_tool_call_ends_its_processes(
    manager: SessionManager, new_id: NewId, tmp_path: Path, permissive: SessionConfig
) -> None:
    session = await manager.create_session(new_id(), permissive.changed(workspace=str(tmp_path)))
    command = "sleep 300 & echo $! > child; echo $$ > shell; wait"
    waiter = asyncio.create_task(session.generate(f'/tool bash {{"command": "{command}"}}'))
    await event_of(session, ToolCallStarted)
    files = (tmp_path / "child", tmp_path / "shell")
    await until(lambda: all(one.exists() and one.read_text().strip() for one in files), what="the tool runs")
    pids = [int(one.read_text()) for one in files]
    assert await session.cancel() is True
    with pytest.raises(errors.TurnFailed):
        await waiter
    await until(lambda: not any(map(alive, pids)), what="processes outlived the cancelled call")
    assert isinstance(await event_of(session, TurnCancelled), TurnCancelled)


async def test_there_is_nothing_to_cancel_in_an_idle_session(manager: SessionManager, new_id: NewId) -> None:
    session = await manager.create_session(new_id())
    assert await session.cancel() is False


async def test_a_paused_session_takes_no_input_until_it_is_resumed(manager: SessionManager, new_id: NewId) -> None:
    session_id = (await manager.create_session(new_id())).session_id
    assert await manager.pause_session(session_id) is True
    assert await manager.pause_session(session_id) is False
    assert (await manager.get_info(session_id)).state == "paused"
    with pytest.raises(errors.SessionPaused, match="Resume"):
        await manager.generate(session_id, "hello")
    assert await manager.resume_session(session_id) is True
    assert await manager.resume_session(session_id) is False
    assert (await manager.generate(session_id, "hello")).text == "hello"


async def test_a_turn_that_is_paused_takes_its_next_step_when_it_is_resumed(
    manager: SessionManager, new_id: NewId, tmp_path: Path, permissive: SessionConfig
) -> None:
    session = await manager.create_session(new_id(), permissive.changed(workspace=str(tmp_path)))
    receipt = await session.send(
        '/tool bash {"command": "while [ ! -e gate ]; do read -t 0.05 < /dev/zero; done"}\ndone'
    )
    await event_of(session, ToolCallStarted)
    assert await session.pause()
    (tmp_path / "gate").touch()
    assert await session.resume()
    assert (await session.wait_turn(receipt, timeout=LONG_S)).text == "done"


async def test_an_ended_session_takes_no_input(manager: SessionManager, new_id: NewId) -> None:
    done, broken = await manager.create_sessions([new_id(), new_id()])
    await done.complete()
    await broken.fail("somebody said so")
    for session, state in ((done, "completed"), (broken, "error")):
        assert (await session.info()).state == state
        assert await session.pause() is False
        with pytest.raises(errors.SessionEnded, match=state):
            await session.generate("hello")


async def test_an_input_that_no_turn_has_taken_can_be_withdrawn(manager: SessionManager, new_id: NewId) -> None:
    session = await manager.create_session(new_id())
    running = await session.send(SLOW)
    await event_of(session, ModelCallStarted)
    queued = await session.generate_streaming("never mind")
    assert [one.input_id for one in await session.pending_inputs()] == [queued.receipt.input_id]
    watcher = asyncio.create_task(_all_types(queued))
    await manager.withdraw_input(session.session_id, queued.receipt.input_id)
    assert await session.pending_inputs() == ()
    with pytest.raises(errors.InputNotFound):
        await queued.result(timeout=LONG_S)
    async with asyncio.timeout(LONG_S):
        assert (await watcher)[-1] == "input.withdrawn"
    with pytest.raises(errors.InputNotFound):
        await session.withdraw_input(running.input_id)
    await session.cancel()


async def _all_types(stream: TurnStream) -> list[str]:
    return [event.type async for event in stream]


@pytest.mark.parametrize("on_busy", ["reject", "interrupt"])
async def test_an_input_says_what_becomes_of_it_while_a_turn_runs(
    manager: SessionManager, new_id: NewId, on_busy: str
) -> None:
    session = await manager.create_session(new_id())
    await session.send(SLOW)
    await event_of(session, ModelCallStarted)
    if on_busy == "reject":
        with pytest.raises(errors.SessionBusy):
            await session.generate("hello", on_busy=on_busy)
        await session.cancel()
    else:
        assert (await session.generate("hello", on_busy=on_busy)).text == "hello"
        assert [turn.status for turn in await session.turns()] == [TurnStatus.cancelled, TurnStatus.completed]
    with pytest.raises(errors.InvalidRequest, match="on_busy"):
        await session.send("hello", on_busy="whatever")


async def test_clear_empties_the_conversation_and_keeps_the_transcript(manager: SessionManager, new_id: NewId) -> None:
    session = await manager.create_session(new_id(), SessionConfig(max_context_length=5000))
    await session.generate("hello")
    used = await session.context_usage()
    assert used.used_tokens > 0
    assert used.max_tokens == 5000
    await manager.clear(session.session_id)
    assert await session.history() == ()
    cleared = await session.context_usage()
    assert (cleared.used_tokens, cleared.turns, cleared.max_tokens) == (0, 0, 5000)
    assert isinstance(await event_of(session, TurnCompleted), TurnCompleted)


async def test_clear_is_refused_while_a_turn_runs(manager: SessionManager, new_id: NewId) -> None:
    session = await manager.create_session(new_id())
    await session.send(SLOW)
    await event_of(session, ModelCallStarted)
    with pytest.raises(errors.SessionBusy):
        await session.clear()
    await session.cancel()


async def test_usage_is_summed_over_turns_and_the_context_shows_the_last_call(
    manager: SessionManager, new_id: NewId
) -> None:
    usage = {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150}
    model = LlmConfig.of("scripted/script", options={"steps": [{"text": "hi", "usage": usage}]})
    session = await manager.create_session(new_id(), SessionConfig(model=model))
    await session.generate("one")
    await session.generate("two")
    info, context = await session.info(), await session.context_usage()
    assert (info.usage.prompt_tokens, info.usage.total_tokens) == (200, 300)
    assert (context.used_tokens, context.percent, context.turns) == (100, 100 / 200_000, 4)
