"""Tools of the user's own: functions, and names of functions."""

from __future__ import annotations

from typing import Any

import pytest

from actors import SessionConfig, SessionManager, errors, tool
from tests.integration.runtimes import MODEL, MakeRuntime, NewId
from tests.integration.waiting import LONG_S

PROMPT = '/tool shout {"text": "quietly"}\n/tool count {"word": "banana"}\n/tool count {}\nfinished'
BY_NAME = "tests.integration.given_tools:shout"


@tool(effect="pure")
async def count(word: str) -> int:
    """Count the letters."""
    return len(word)


async def check(manager: SessionManager, session_id: str, permissive: SessionConfig) -> None:
    """Both tools are offered, run, and say what was wrong with their arguments."""
    named = {one.name: one for one in await manager.list_tools()}
    assert named["shout"].description == "Say it louder."
    assert named["count"].parameters["required"] == ["word"]
    session = await manager.create_session(session_id, permissive)
    result = await session.generate(PROMPT, timeout=LONG_S)
    assert result.text == "finished"
    blocks: list[Any] = [block for message in result.messages[2:-1] for block in message.content]
    assert [str(block.content) for block in blocks][:2] == ["QUIETLY", "6"]
    assert "word" in str(blocks[2].content)
    assert blocks[2].is_error


async def test_given_tools_run_in_one_process(new_id: NewId, permissive: SessionConfig) -> None:
    async with await SessionManager.local(MODEL, tools=[count, BY_NAME]) as manager:
        await check(manager, new_id(), permissive)


async def test_given_tools_run_in_a_cluster(
    fresh_runtime: MakeRuntime, new_id: NewId, permissive: SessionConfig
) -> None:
    await check(await fresh_runtime(tools=(count, BY_NAME)), new_id(), permissive)


@pytest.mark.parametrize("wrong", ["tests.integration.given_tools:nothing", "nowhere:at_all", "no colon", 7])
async def test_what_is_no_tool_is_refused(wrong: Any) -> None:
    with pytest.raises(errors.InvalidConfig):
        await SessionManager.local(MODEL, tools=[wrong])
