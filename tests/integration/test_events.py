"""Reading a session as it happens: records, cursors, and the deltas between them."""

from __future__ import annotations

import asyncio
import itertools
from collections import defaultdict
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path

from actors import Event, LlmConfig, SessionConfig, SessionHandle, SessionManager
from actors.domain import records as r
from actors.domain.events import MessageDelta, ToolOutputDelta
from tests.integration.processes import alive
from tests.integration.runtimes import NewId
from tests.integration.waiting import LONG_S, event_of, until

WORD_BY_WORD = SessionConfig(model=LlmConfig.of("scripted/echo", options={"token_delay_s": 0.01}))

Key = tuple[str, int]


def check_deltas(events: Sequence[Event]) -> dict[Key, str]:
    """The text of each call; every delta stands between the call's first and last record, and they are numbered."""
    opened: set[Key] = set()
    texts: dict[Key, str] = defaultdict(str)
    numbers: dict[Key, int] = {}
    for event in events:
        if isinstance(event, r.ModelCallStarted | r.ToolCallStarted):
            opened.add((event.data.call_id, event.data.attempt))
        elif isinstance(event, r.ModelCallCompleted | r.ModelCallFailed | r.ToolCallCompleted):
            opened.discard((event.data.call_id, event.data.attempt))
        elif isinstance(event, MessageDelta | ToolOutputDelta):
            key = (event.call_id, event.attempt)
            assert key in opened, "a delta outside its call"
            assert event.index > numbers.get(key, -1), "a delta out of order"
            numbers[key] = event.index
            if isinstance(event, ToolOutputDelta) or event.channel == "text":
                texts[key] += event.text
    return texts


def seqs(events: Sequence[Event]) -> list[int]:
    return [event.seq for event in events if isinstance(event, r.RecordBase)]


async def test_a_stream_tells_a_turn_word_by_word_and_its_text_is_the_answer(
    manager: SessionManager, new_id: NewId
) -> None:
    session = await manager.create_session(new_id(), WORD_BY_WORD)
    stream = await manager.generate_streaming(session.session_id, "one two three four five six")
    events = [event async for event in stream]
    result = await stream.result(timeout=LONG_S)
    assert [event.type for event in events if isinstance(event, r.RecordBase)] == [
        "user.message",
        "turn.started",
        "model.call.started",
        "model.call.completed",
        "turn.completed",
    ]
    assert list(check_deltas(events).values()) == [result.text]
    assert sum(isinstance(event, MessageDelta) for event in events) > 1


async def test_each_model_call_of_a_turn_has_its_own_deltas(
    manager: SessionManager, new_id: NewId, tmp_path: Path, permissive: SessionConfig
) -> None:
    session = await manager.create_session(new_id(), permissive.changed(workspace=str(tmp_path)))
    stream = await session.generate_streaming('look first\n/tool bash {"command": "echo one; echo two"}\nthen say')
    events = [event async for event in stream]
    texts = check_deltas(events)
    spoken = [event for event in events if isinstance(event, r.ModelCallCompleted)]
    assert [event.data.message.text for event in spoken] == ["look first", "then say"]
    for event in spoken:
        assert texts[event.data.call_id, event.data.attempt] == event.data.message.text
    (called,) = [event for event in events if isinstance(event, r.ToolCallCompleted)]
    assert called.data.exit_code == 0
    assert "two" in str(called.data.content)


async def test_the_output_of_a_tool_is_shown_while_it_runs(
    manager: SessionManager, new_id: NewId, tmp_path: Path, permissive: SessionConfig
) -> None:
    session = await manager.create_session(new_id(), permissive.changed(workspace=str(tmp_path)))
    command = "echo begun; while [ ! -e gate ]; do read -t 0.05 < /dev/zero; done; echo ended"
    stream = await session.generate_streaming(f'/tool bash {{"command": "{command}"}}')
    events: list[Event] = []
    async with asyncio.timeout(LONG_S):
        async for event in stream:
            events.append(event)
            if isinstance(event, ToolOutputDelta) and "begun" in event.text:
                assert not (tmp_path / "gate").exists()
                (tmp_path / "gate").touch()
    assert any("begun" in text for text in check_deltas(events).values())


async def test_a_reader_that_comes_back_with_its_cursor_misses_nothing(manager: SessionManager, new_id: NewId) -> None:
    session = await manager.create_session(new_id())
    await session.generate("one")
    first = [event async for event in session.events()]
    cursor = seqs(first)[-1]
    await session.generate("two")
    rest = [event async for event in manager.events(session.session_id, after=cursor)]
    assert seqs(first + rest) == list(range(1, (await session.info()).head_seq + 1))
    assert [event async for event in session.events(after=(await session.info()).head_seq)] == []


async def test_pages_of_records_join_without_gaps(manager: SessionManager, new_id: NewId) -> None:
    session = await manager.create_session(new_id())
    for number in range(4):
        await session.generate(f"turn {number}")
    read: list[int] = []
    while page := await session.records(after=read[-1] if read else 0, limit=3):
        read += [record.seq for record in page]
    assert read == list(range(1, (await session.info()).head_seq + 1))


async def test_a_reader_that_joins_late_reads_the_past_and_goes_on_with_the_present(
    manager: SessionManager, new_id: NewId
) -> None:
    session = await manager.create_session(new_id())
    await session.generate("past")
    receipt = await session.send("/sleep 0.3\npresent")
    events: list[Event] = []
    async with asyncio.timeout(LONG_S), aclosing(_following(session)) as stream:
        async for event in stream:
            events.append(event)
            if isinstance(event, r.TurnCompleted) and event.data.text == "present":
                break
    assert seqs(events) == list(range(1, len(seqs(events)) + 1))
    assert check_deltas(events)
    assert (await session.wait_turn(receipt, timeout=LONG_S)).text == "present"


async def test_deltas_can_be_left_out(manager: SessionManager, new_id: NewId) -> None:
    session = await manager.create_session(new_id(), WORD_BY_WORD)
    await session.send("one two three")
    events: list[Event] = []
    async with asyncio.timeout(LONG_S), aclosing(_following(session, deltas=False)) as stream:
        async for event in stream:
            events.append(event)
            if isinstance(event, r.TurnCompleted):
                break
    assert all(isinstance(event, r.RecordBase) for event in events)


async def test_many_readers_of_one_session_see_the_same(manager: SessionManager, new_id: NewId) -> None:
    session = await manager.create_session(new_id(), WORD_BY_WORD)

    async def read() -> list[Event]:
        events: list[Event] = []
        async with aclosing(_following(session)) as stream:
            async for event in stream:
                events.append(event)
                if isinstance(event, r.TurnCompleted):
                    break
        return events

    readers = [asyncio.create_task(read()) for _ in range(5)]
    result = await session.generate("all of them see this")
    async with asyncio.timeout(LONG_S):
        seen = await asyncio.gather(*readers)
    for one, other in itertools.pairwise(seen):
        assert seqs(one) == seqs(other)
    for events in seen:
        assert list(check_deltas(events).values()) == [result.text]


async def test_a_viewer_that_is_cancelled_in_the_middle_of_a_tool_changes_nothing(
    manager: SessionManager, new_id: NewId, tmp_path: Path, permissive: SessionConfig
) -> None:
    session = await manager.create_session(new_id(), permissive.changed(workspace=str(tmp_path)))
    command = "echo run >> runs; echo $$ > pid; while [ ! -e gate ]; do read -t 0.05 < /dev/zero; done"
    prompt = f'/tool bash {{"command": "{command}"}}\nanswered'
    asking = asyncio.create_task(session.generate(prompt, command_id="asked once"))
    watching = asyncio.create_task(event_of(session, r.TurnCompleted))
    await until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip() != "", what="it runs")
    pid = int((tmp_path / "pid").read_text())
    for viewer in (asking, watching):
        viewer.cancel()
    await asyncio.wait([asking, watching], timeout=LONG_S)
    assert asking.cancelled()
    assert watching.cancelled()
    assert alive(pid)
    (tmp_path / "gate").touch()
    result = await session.generate(prompt, command_id="asked once", timeout=LONG_S)
    assert result.text == "answered"
    assert (tmp_path / "runs").read_text().split() == ["run"]
    assert len(await session.turns()) == 1


async def test_an_answer_longer_than_a_record_is_streamed_whole(manager: SessionManager, new_id: NewId) -> None:
    session = await manager.create_session(new_id())
    long = " ".join(f"word{number}" for number in range(30_000))
    stream = await session.generate_streaming(f"/say {long}")
    events = [event async for event in stream]
    assert list(check_deltas(events).values()) == [long]


def _following(session: SessionHandle, *, deltas: bool = True) -> AsyncGenerator[Event]:
    return session.events(follow=True, deltas=deltas)
