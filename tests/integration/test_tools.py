"""Tools of the user's own: functions, and names of functions."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import SecretStr

from actors import LlmConfig, PermissionPolicy, SecurityConfig, SessionConfig, SessionManager, errors
from actors.cluster.placed_tools import PlacedTools
from actors.domain.messages import ToolResultBlock
from actors.domain.tools import ToolDefinition
from actors.tools.sandbox import Sandbox
from tests.integration.runtimes import MODEL, MakeRuntime, NewId
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


async def test_what_a_session_withholds_and_keys_of_providers_are_told_by_no_host(
    manager: SessionManager, new_id: NewId, permissive: SessionConfig
) -> None:
    key = "Canary-key-of-a-provider"
    model = LlmConfig(provider="scripted", model="prompt", api_key=SecretStr(key))
    session = await manager.create_session(
        new_id(), permissive.model_copy(update={"model": model, "security": SecurityConfig()})
    )

    stream = await session.generate_streaming(f'/tool shout {{"text": "akiaiosfodnn7example"}}\nit is {key}')
    shown = [repr(event) async for event in stream]
    result = await stream.result()

    assert result.text == "it is [REDACTED:SECRET]"
    (told,) = [block for block in result.messages[2].content if isinstance(block, ToolResultBlock)]
    assert told.content == "[REDACTED:AWS_KEY]"
    assert not [event for event in shown if "AKIAIOSFODNN7EXAMPLE" in event]
    assert key in "".join(shown[:1]), "the words of a user are theirs: only what looks like a secret is taken out"


@pytest.mark.skipif(not Sandbox.find().works, reason=f"no sandbox here: {Sandbox.find().why_not}")
async def test_commands_of_the_service_and_of_a_users_tool_are_confined_and_the_tool_streams(
    fresh_runtime: MakeRuntime, tmp_path: Path
) -> None:
    workspace, outside = tmp_path / "workspace", tmp_path / "outside"
    workspace.mkdir()
    outside.mkdir()
    manager = await fresh_runtime(
        sandbox="required", workspace=str(workspace), tools=("tests.integration.given_tools:built",)
    )
    assert set((await manager.runtime_status())["sandboxes"].values()) == {"bubblewrap, no network"}
    policy = PermissionPolicy(allow=["built", "bash"], require_sandbox=True)
    session = await manager.create_session("s", SessionConfig(permission_policy=policy))
    prompt = (
        f'/tool built {{"outside": "{outside}"}}\n/tool bash {{"command": "touch by-bash {outside}/by-bash"}}\nended'
    )
    stream = await session.generate_streaming(prompt)
    pieces = [event.text async for event in stream if event.type == "tool.output.delta"]
    result = await stream.result()

    assert (result.text, pieces[0]) == ("ended", "building\n")
    assert (sorted(path.name for path in workspace.iterdir()), list(outside.iterdir())) == (["by-bash", "made"], [])
    (told,) = [str(block.content) for block in result.messages[2].content if isinstance(block, ToolResultBlock)]
    assert "PATH=" in told and not any(name in told for name in ("GREENROOM_", "RAY_"))


async def test_a_tool_with_resources_runs_in_a_host_that_ray_placed_and_another_takes_its_place(
    fresh_runtime: MakeRuntime, permissive: SessionConfig
) -> None:
    given = ("tests.integration.given_tools:on_gpu", "tests.integration.given_tools:never")
    manager = await fresh_runtime(tools=given)
    session = await manager.create_session("s", permissive)

    async def pid() -> int:
        result = await session.generate("/tool on_gpu {}\nended", timeout=LONG_S)
        blocks = result.messages[-2].content
        (told,) = [json.loads(str(one.content)) for one in blocks if isinstance(one, ToolResultBlock)]
        assert (told["gpu"], told["workspace"]) == (0.5, manager.settings.workspace)
        return told["pid"]

    first = await pid()
    assert "never" not in [one.name for one in await manager.list_tools()]
    status = (await manager.runtime_status())["placed_tools"]
    assert (status["GPU 0.5"].startswith("on "), status["nowhere 1"]) == (True, "waits for these resources")
    os.kill(first, signal.SIGKILL)
    assert await pid() != first


async def test_those_who_are_told_that_a_placed_host_is_up_do_not_wait_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    told = asyncio.Event()

    async def at_once(*_: Any) -> None:
        return None

    async def ask() -> None:
        await placed.specs()
        told.set()

    monkeypatch.setattr(PlacedTools, "_open", at_once)
    nobody = cast("Any", None)
    placed = PlacedTools(nobody, nobody, nobody, at_once, ask)
    tool = ToolDefinition(name="on_gpu", description="", parameters={}, timeout_s=1.0, resources={"GPU": 1.0})
    placed.begin([tool], {})
    async with asyncio.timeout(5.0):
        await told.wait()


@pytest.mark.parametrize("wrong", ["tests.integration.given_tools:nothing", "nowhere:at_all", "no colon", 7])
async def test_what_is_no_tool_is_refused(wrong: Any) -> None:
    with pytest.raises(errors.InvalidConfig):
        await SessionManager.local(MODEL, tools=[wrong])
