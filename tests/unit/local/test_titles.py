"""Titles that a session's model finds for it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from actors.domain import records as r
from actors.domain.calls import HostRef
from actors.domain.commands import GenerateTitle
from actors.domain.compaction import SummaryOf
from actors.domain.events import MessageDelta
from actors.domain.messages import Message, ToolUseBlock
from actors.domain.session import SessionConfig
from actors.errors import ModelUnavailable, SessionEnded, SessionNotFound, SessionPaused, TitlePending, TurnFailed
from actors.manager import SessionManager
from actors.policy.summaries import title_request
from actors.session.decide import decide
from actors.session.state import Entry, State
from actors.session.surroundings import Surroundings
from actors.session.titles import steps
from actors.session.turn import Turn
from tests.unit.local.runtimes import LIMIT_S, config, record_of, records, runtime, says, script, session, types

_SLOW = {"text": "Late", "delay_s": 60}


def _titled(title: object, **values: object) -> SessionConfig:
    return config(says("Well."), **values).model_copy(
        update={"model": script(says("Well."), title={"text": title} if isinstance(title, str) else title)}
    )


async def test_the_sessions_model_finds_a_title_and_what_it_took_is_counted() -> None:
    async with session(_titled("Two sparrows")) as one:
        await one.generate("Tell me of birds")
        before, used = await one.history(), await one.context_usage()
        assert await one.generate_title() == "Two sparrows"
        info = await one.info()
        calls = await records(one, r.ModelCallCompleted)
        assert (info.name, info.usage) == ("Two sparrows", calls[0].data.usage + calls[1].data.usage)
        assert (await one.usage()).total.calls == 2
        assert (await one.history(), await one.context_usage()) == (before, used)
        assert (await types(one))[-6:] == [
            "session.titling",
            "turn.started",
            "model.call.started",
            "model.call.completed",
            "session.renamed",
            "turn.completed",
        ]
        assert (await one.generate("And now?")).text == "Well."


async def test_there_is_none_without_messages() -> None:
    async with session(_titled("Nothing")) as one:
        assert await one.generate_title() is None
        assert ((await one.info()).name, await types(one)) == ("", ["session.created"])


@pytest.mark.parametrize(
    "said",
    [Message.tool_result("a", "a result"), Message.user(" \n"), Message.assistant("")],
    ids=["tool", "blank", "no"],
)
def test_there_is_none_where_nobody_has_said_anything(said: Message) -> None:
    state = State(context=(Entry(1, said.encode()),))
    assert decide(state, GenerateTitle(command_id="k")) == ()


def test_the_first_four_messages_are_asked_about_their_texts_only_and_each_in_part() -> None:
    call = ToolUseBlock(id="a", name="read", input={"file_path": "secret.txt"})
    beginning = [Message.user("ä" * 201), Message.assistant("sure", call), Message.tool_result("a", "contents")]
    asked = title_request(beginning).text
    assert ("ä" * 200 in asked, "ä" * 201 in asked) == (True, False)
    assert "assistant: sure" in asked
    assert not any(text in asked for text in ("secret", "contents"))
    messages = (Message.user(str(number)) for number in range(9))
    state = State(context=tuple(Entry(1, message.encode()) for message in messages))
    turn = Turn(turn_id="turn-1", inputs=(), title=True, deadline=datetime.now(UTC))
    host = HostRef(host_id="model", incarnation="i")
    (draft,) = steps(state, turn, Surroundings(model_host=host, default_model=script(says("x"))))
    assert isinstance(draft.data, r.ModelCallStarted.Data)
    assert draft.data.summary_of == SummaryOf(start=0, end=4, prompt_tokens=0, title=True)


async def test_there_is_none_without_a_model() -> None:
    async with session(config(name="mine")) as one:
        await one.add_message("hello")
        assert await one.generate_title() is None
        assert (await one.info()).name == "mine"


async def test_title_of_an_unknown_session_is_an_error() -> None:
    async with runtime() as manager:
        with pytest.raises(SessionNotFound):
            await manager.generate_title("nobody")


@pytest.mark.parametrize(
    ("written", "title"),
    [
        ("  trimmed \n", "trimmed"),
        ("two\nlines", "two lines"),
        ("ä" * 80, "ä" * 80),
        ("ä" * 81, "ä" * 77 + "..."),
        ("雀" * 500, "雀" * 77 + "..."),
        (" \n ", None),
    ],
    ids=["trimmed", "one line", "80", "81", "500", "blank"],
)
async def test_it_is_one_line_of_at_most_80_characters(written: str, title: str | None) -> None:
    async with session(_titled(written, name="before")) as one:
        await one.add_message("hello")
        assert await one.generate_title() == title
        assert (await one.info()).name == (title or "before")


async def test_a_command_id_asks_once_and_those_who_ask_meanwhile_get_the_same() -> None:
    async with session(_titled("Same")) as one:
        await one.add_message("hello")
        found = await asyncio.gather(*(one.generate_title(command_id=key) for key in ("a", "b", "a")))
        assert found == ["Same"] * 3
        assert await one.generate_title(command_id="a") == "Same"
        assert len(await records(one, r.ModelCallStarted)) == len(await records(one, r.SessionRenamed)) == 1


async def test_it_comes_between_two_turns_and_before_inputs_that_wait() -> None:
    chosen = config(name="x").model_copy(update={"model": script({"text": "Well.", "delay_s": 0.05}, title=says("T"))})
    async with session(chosen) as one:
        await one.send("first")
        await record_of(one, r.ModelCallStarted)
        await one.send("second")
        assert await one.generate_title() == "T"
        turns = await one.turns()
        assert [len(turn.inputs) for turn in turns[:2]] == [1, 0]
        assert (await one.generate("third")).text == "Well."


async def test_a_title_that_takes_longer_is_waited_for_with_the_same_key() -> None:
    async with session(_titled({"text": "Late", "delay_s": 0.2})) as one:
        await one.add_message("hello")
        with pytest.raises(TitlePending):
            await one.generate_title(timeout=0.01, command_id="k")
        assert await one.generate_title(command_id="k") == "Late"
        assert len(await records(one, r.ModelCallStarted)) == 1


async def test_a_model_that_fails_leaves_the_name_and_the_session() -> None:
    async with session(
        _titled({"text": "", "error": "unavailable"}, name="before", circuit_breaker_threshold=1)
    ) as one:
        await one.add_message("hello")
        with pytest.raises(ModelUnavailable):
            await one.generate_title()
        assert (await one.info()).name == "before"
        assert (await one.generate("go on")).text == "Well."


async def test_it_can_be_cancelled_and_paused() -> None:
    async with session(_titled(_SLOW, name="before")) as one:
        await one.add_message("hello")
        waiting = asyncio.create_task(one.generate_title())
        await record_of(one, r.ModelCallStarted)
        assert await one.cancel()
        with pytest.raises(TurnFailed):
            await waiting
        assert (await one.info()).name == "before"
        assert await one.pause()
        with pytest.raises(SessionPaused):
            await one.generate_title()
        await one.complete()
        with pytest.raises(SessionEnded):
            await one.generate_title()


async def test_of_a_session_that_ends_meanwhile_there_is_none() -> None:
    async with session(_titled(_SLOW)) as one:
        await one.add_message("hello")
        waiting = asyncio.create_task(one.generate_title())
        await record_of(one, r.ModelCallStarted)
        await one.complete()
        with pytest.raises(TurnFailed):
            await waiting


async def test_nobody_is_shown_it_as_an_answer() -> None:
    async with session(_titled("Secret plan")) as one:
        await one.add_message("hello")
        seen: list[object] = []

        async def follow() -> None:
            async for event in one.events(follow=True):
                seen.append(event)
                if isinstance(event, r.TurnCompleted):
                    return

        following = asyncio.create_task(follow())
        await one.generate_title()
        await following
        assert not any(isinstance(event, MessageDelta) for event in seen)


async def test_it_goes_on_in_the_next_runtime(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'greenroom.db'}"
    manager = await SessionManager.local(store=url)
    one = await manager.create_session("s", _titled({"text": "Late", "delay_s": 0.3}))
    await one.add_message("hello")
    with pytest.raises(TitlePending):
        await one.generate_title(timeout=0, command_id="k")
    await record_of(one, r.ModelCallStarted)
    await manager.close()
    manager = await SessionManager.local(store=url)
    try:
        async with asyncio.timeout(LIMIT_S):
            one = await manager.get_session("s")
            assert await one.generate_title(command_id="k") == "Late"
    finally:
        await manager.close()
