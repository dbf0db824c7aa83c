"""Tools of the user's own: functions, and names of functions."""

from __future__ import annotations

from typing import Any

import pytest

from actors import SessionConfig, SessionManager, errors
from tests.integration.runtimes import MODEL, NewId
from tests.integration.waiting import LONG_S

PROMPT = '/tool shout {"text": "quietly"}\n/tool count {"word": "banana"}\n/tool count {}\nfinished'


async def test_given_functions_are_offered_and_run_and_check_their_arguments(
    manager: SessionManager, new_id: NewId, permissive: SessionConfig
) -> None:
    named = {one.name: one for one in await manager.list_tools()}
    assert named["shout"].description == "Say it louder."
    assert named["count"].parameters["required"] == ["word"]
    session = await manager.create_session(new_id(), permissive)
    result = await session.generate(PROMPT, timeout=LONG_S)
    assert (result.text, result.tool_calls_count) == ("finished", 3)
    blocks: list[Any] = [block for message in result.messages[2:-1] for block in message.content]
    assert [str(block.content) for block in blocks][:2] == ["QUIETLY", "6"]
    assert "word" in str(blocks[2].content)
    assert blocks[2].is_error


@pytest.mark.parametrize("wrong", ["tests.integration.given_tools:nothing", "nowhere:at_all", "no colon", 7])
async def test_what_is_no_tool_is_refused(wrong: Any) -> None:
    with pytest.raises(errors.InvalidConfig):
        await SessionManager.local(MODEL, tools=[wrong])
