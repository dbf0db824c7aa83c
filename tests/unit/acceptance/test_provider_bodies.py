"""Request bodies of whole sessions: both providers take them after denials, malformed calls, cancels and crashes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from actors import Message, SessionConfig, SessionHandle, SessionManager, Settings
from actors.domain.calls import HostRef, ModelCall
from actors.domain.llm import LlmConfig
from actors.domain.permissions import PermissionPolicy
from actors.domain.policies import OnInDoubt
from actors.errors import TurnFailed
from actors.llm.anthropic import AnthropicProvider
from actors.llm.names import ToolNames
from actors.llm.openai import OpenAIProvider
from actors.tools.base import Tool
from actors.tools.function import tool
from tests.unit.llm.validators import check_anthropic, check_openai
from tests.unit.local.runtimes import LIMIT_S, calls, config, result_texts, says, session

_CALL = ModelCall(
    call_id="c",
    tenant="default",
    journal_id="j",
    session_id="s",
    turn_id="t",
    epoch=1,
    host=HostRef(host_id="h", incarnation="i"),
    llm=LlmConfig.of("openai/m"),
    system="be brief",
    tools=(),
)
_NAMES = ToolNames(())


async def _check(one: SessionHandle) -> tuple[Message, ...]:
    """Both providers take the conversation, and the next prompt behind it."""
    history = await one.history()
    for messages in (history, (*history, Message.user("and now?"))):
        check_openai(_sent(OpenAIProvider("openai", "http://localhost:1", None).body(_CALL, messages, _NAMES)))
        check_anthropic(_sent(AnthropicProvider("anthropic", None, None).body(_CALL, messages, _NAMES)))
    return history


def _sent(body: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in body.items() if value is not None}


def _holding(runs: asyncio.Event) -> Tool:
    @tool
    async def hold() -> str:
        runs.set()
        await asyncio.Event().wait()
        return "never"

    return hold


_THREE = calls(("hold", {}), ("bash", {"command": "true"}), ("nowhere", {}), text="Three things.")


async def test_after_denied_unknown_and_malformed_calls(tmp_path: Path) -> None:
    mixed = {
        "text": "",
        "tools": [
            {"tool": "bash", "args": {"command": "true"}},
            {"tool": "nowhere", "args": {}},
            {"tool": "read", "raw_args": '{"file_path": '},
            {"tool": "ls", "args": {"nonsense": 1}},
        ],
    }
    policy = PermissionPolicy(deny=["bash"], allow=["read", "ls"])
    async with session(config(mixed, says("done"), permission_policy=policy), workspace=str(tmp_path)) as one:
        assert (await one.generate("go")).text == "done"
        assert len(result_texts(await _check(one))) == 4


async def test_after_a_turn_that_was_cancelled_with_calls_open() -> None:
    runs = asyncio.Event()
    async with session(config(_THREE, says("done")), _holding(runs)) as one:
        receipt = await one.send("go")
        await runs.wait()
        assert await one.cancel()
        with pytest.raises(TurnFailed):
            await one.wait_turn(receipt)
        assert len(result_texts(await _check(one))) == 3


async def test_after_a_model_call_that_was_cancelled_in_the_middle_of_its_text() -> None:
    slow = says("", token_delay_s=0.001) | {"text": "word " * 20_000}
    async with session(config(slow)) as one:
        stream = await one.generate_streaming("go")
        async for event in stream:
            if event.type == "message.delta":
                break
        assert await one.cancel()
        with pytest.raises(TurnFailed):
            await one.wait_turn(stream.receipt)
        await _check(one)


async def test_after_a_malformed_turn_that_failed() -> None:
    broken = {"text": "", "tools": [{"tool": "read", "raw_args": "[1]"}]}
    async with session(config(broken, max_parse_retries=1)) as one:
        with pytest.raises(TurnFailed, match="malformed"):
            await one.generate("go")
        await _check(one)


async def test_after_the_process_ended_in_the_middle_of_a_tool(tmp_path: Path) -> None:
    runs = asyncio.Event()
    hold: Any = _holding(runs)
    settings = Settings(workspace=str(tmp_path))
    store = f"sqlite:///{tmp_path / 'store.db'}"
    chosen: SessionConfig = config(_THREE, says("done"), on_in_doubt=OnInDoubt.report)
    async with asyncio.timeout(LIMIT_S):
        async with await SessionManager.local(store=store, settings=settings, tools=[hold]) as first:
            one = await first.create_session("s", chosen)
            receipt = await one.send("go")
            await runs.wait()
        async with await SessionManager.local(store=store, settings=settings, tools=[hold]) as second:
            again = await second.get_session("s")
            assert (await again.wait_turn(receipt)).text == "done"
            assert len(result_texts(await _check(again))) == 3
