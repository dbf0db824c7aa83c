"""An MCP server in an actor of its own: used by sessions, killed with its actor, found by a new registry."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import ray

from actors import McpInput, McpServerConfig, PermissionPolicy, SessionConfig, SessionManager
from actors.cluster.links import NAMESPACE, actor_names
from actors.domain import records as r
from actors.domain.policies import OnInDoubt
from actors.errors import AuthorizationNotFound, McpRefused
from tests.integration.processes import none_left
from tests.integration.runtimes import MakeRuntime, NewId
from tests.integration.waiting import LONG_S, action_of, event_of
from tests.unit.mcp.auth_server import AuthServer
from tests.unit.mcp.servers import ASKING, RAW

CANARY = "canary-of-a-secret"


def server(**more: Any) -> McpServerConfig:
    args = ["-I", "-S", RAW, "/dev/null"]
    return McpServerConfig.model_validate(
        {"name": "raw", "transport": "stdio", "command": sys.executable, "args": args, "env": {"TOKEN": CANARY}, **more}
    )


def _library() -> McpServerConfig:
    args = ["-I", "-S", str(Path(RAW).with_name("library_server.py")), "plain"]
    return McpServerConfig.model_validate(
        {"name": "lib", "transport": "stdio", "command": sys.executable, "args": args}
    )


def actor_of(manager: SessionManager) -> Any:
    (name,) = actor_names(f"{manager.settings.runtime}.mcp.")
    return ray.get_actor(name, namespace=NAMESPACE)


async def _connected(manager: SessionManager, name: str = "raw") -> None:
    """No event tells of it: the registry asks the new actor."""
    while True:
        if (await manager.mcp_status())[name].connected:
            return
        await asyncio.sleep(0.05)


async def test_a_server_outlives_the_registry_and_its_calls_are_in_doubt_when_its_own_actor_dies(
    fresh_runtime: MakeRuntime,
) -> None:
    manager = await fresh_runtime()
    assert (await manager.add_mcp_server(server(sampling="allow"))).connected
    config = SessionConfig(permission_policy=PermissionPolicy.permissive(), on_in_doubt=OnInDoubt.report)
    one = await manager.create_session("one", config)
    first = await one.generate('/tool mcp__raw__add {"a": 1, "b": 2}\n/tool mcp__raw__pid {}\nfinished', timeout=LONG_S)
    answers = [str(block.content) for message in first.messages[2:-1] for block in message.content]  # pyright: ignore
    assert answers[0] == "3"

    # What it offers beside tools is asked of its actor; a model that answers a tool is asked of a model host.
    library = await manager.add_mcp_server(_library())
    assert library.connected
    assert (await manager.read_mcp_resource("lib", "note://a"))[0].text == "alpha"
    with pytest.raises(McpRefused):
        await one.read_mcp_resource("lib", "note://none")
    greeting = McpInput(server="lib", prompt="greet", arguments={"who": "Ada"})
    assert (await one.generate(greeting, timeout=LONG_S)).messages[-2].text == "Greet Ada."
    said = {"role": "user", "content": {"type": "text", "text": "/say four"}}
    asks = {"method": "sampling/createMessage", "params": {"messages": [said], "maxTokens": 9}}
    sampled = await one.generate(f"/tool mcp__raw__ask {json.dumps(asks)}\nfinished", timeout=LONG_S)
    assert "four" in str(sampled.messages[-2])
    assert await manager.remove_mcp_server("lib")

    # A registry that is killed finds the actor again, and with it the secrets.
    registry: Any = ray.get_actor(f"{manager.settings.runtime}.registry", namespace=NAMESPACE)
    os.kill(await registry.pid.remote(), signal.SIGKILL)
    assert (await manager.mcp_status())["raw"].connected
    actor = actor_of(manager)
    assert CANARY not in str(await manager.mcp_status())

    receipt = await one.send("/tool mcp__raw__deaf {}\nwent on")
    await event_of(one, r.ToolCallStarted, nth=5)
    os.kill(await actor.pid.remote(), signal.SIGKILL)
    result = await one.wait_turn(receipt, timeout=LONG_S)
    assert result.text == "went on"
    assert "unknown" in str(result.messages)
    assert not none_left([int(answers[1])], LONG_S)

    # Another actor has taken its place.
    async with asyncio.timeout(LONG_S):
        await _connected(manager)
    again = await one.generate('/tool mcp__raw__add {"a": 2, "b": 2}\nfinished', timeout=LONG_S)
    assert "4" in str(again.messages[-2])
    assert await manager.remove_mcp_server("raw")
    assert not actor_names(f"{manager.settings.runtime}.mcp.")


async def test_a_question_survives_hibernation_its_session_s_process_and_its_server_s_actor(
    fresh_runtime: MakeRuntime, tmp_path: Path
) -> None:
    booked = tmp_path / "booked"
    config = McpServerConfig.model_validate(
        {"name": "asking", "transport": "stdio", "command": sys.executable, "args": [ASKING, str(booked)]}
    )
    manager = await fresh_runtime()
    await manager.add_mcp_server(config)
    one = await manager.create_session("one", SessionConfig(permission_policy=PermissionPolicy.permissive()))
    receipt = await one.send('/tool mcp__asking__book {"seats": 2}\nfinished')
    first = await action_of(one)
    assert await one.hibernate() is True
    held = [ray.get_actor(name, namespace=NAMESPACE) for name in actor_names(f"{manager.settings.runtime}.session")]
    assert held
    for actor in (*held, actor_of(manager)):
        os.kill(await actor.pid.remote(), signal.SIGKILL)
    await one.resolve_action(first.action_id, "accept", content={"name": "Ada"})
    second = await action_of(one, nth=2)
    assert (first.detail, second.detail) == ("Who comes?", "Really Ada?")
    await one.resolve_action(second.action_id, "accept", content={"sure": True})
    result = await one.wait_turn(receipt, timeout=LONG_S)
    assert (result.text, booked.read_text()) == ("finished", "Ada\n")
    assert "2 for Ada, 30" in str(result.messages)


async def test_a_server_is_authorized_through_its_actor(runtime: SessionManager, new_id: NewId) -> None:
    async with AuthServer().serving() as web:
        config = {"name": "web", "transport": "http", "url": f"{web.url}/mcp"}
        status = await runtime.add_mcp_server(McpServerConfig.model_validate(config))
        assert status.authorization_url is not None, status
        back = await web.agree(status.authorization_url)
        await runtime.finish_mcp_authorization(back)
        async with asyncio.timeout(LONG_S):
            await _connected(runtime, "web")
        with pytest.raises(AuthorizationNotFound):
            await runtime.finish_mcp_authorization(back)
        one = await runtime.create_session(new_id(), SessionConfig(permission_policy=PermissionPolicy.permissive()))
        result = await one.generate('/tool mcp__web__add {"a": 1, "b": 2}\nfinished', timeout=LONG_S)
        assert "3" in str(result.messages[-2])
        await runtime.remove_mcp_server("web")
