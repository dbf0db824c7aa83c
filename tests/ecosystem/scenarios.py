"""A scenario of the conformance suite, as a user of Greenroom lives it: ``python -m tests.ecosystem.scenarios URL``.

The URL is registered as an MCP server, an agent calls every tool of it, and questions are answered with what
their forms propose.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
from typing import Any, Final

from actors import PermissionPolicy, SessionManager
from actors.domain.mcp import McpServerConfig
from actors.domain.session import Activity
from actors.handle import SessionHandle
from tests.unit.local.faulted import until_idle
from tests.unit.local.runtimes import calls, config, says

SCENARIO_S: Final = 25.0
"""Longest scenario; the suite itself gives up after 30 s."""

_EXAMPLES: Final = {"number": 1, "integer": 1, "string": "x", "boolean": True, "array": [], "object": {}}
_numbers = itertools.count(1)


async def live(manager: SessionManager, scenario: str, url: str, context: dict[str, Any]) -> str:
    """See a scenario through; what came of the calls."""
    del context
    name = f"tested-{next(_numbers)}"
    server = McpServerConfig.model_validate({"name": name, "transport": "streamable-http", "url": url})
    try:
        async with asyncio.timeout(SCENARIO_S):
            status = await manager.add_mcp_server(server)
            return f"ok {status}\n{await _call_every_tool(manager, scenario, name)}"
    finally:
        await manager.remove_mcp_server(name)


async def _call_every_tool(manager: SessionManager, scenario: str, server: str) -> str:
    tools = [tool for tool in await manager.list_tools() if tool.name.startswith(f"mcp__{server}__")]
    uses = [(tool.name, _arguments(tool.parameters)) for tool in tools]
    session = await manager.create_session(
        scenario.replace("/", "-"),
        config(calls(*uses), says("done"), permission_policy=PermissionPolicy(allow=[f"mcp__{server}"])),
    )
    receipt = await session.send("go")
    await until_idle(session, lambda activity: _answer(session, activity))
    return str((await session.wait_turn(receipt)).messages)


def _arguments(schema: dict[str, Any]) -> dict[str, Any]:
    members: dict[str, Any] = schema.get("properties", {})
    return {name: _EXAMPLES[member.get("type", "string")] for name, member in members.items()}


async def _answer(session: SessionHandle, activity: Activity) -> None:
    if activity is Activity.requires_action:
        for action in await session.actions():
            await session.resolve_action(action.action_id, "accept", content={})


async def _main(url: str) -> None:
    async with await SessionManager.local() as manager:
        scenario = os.environ.get("MCP_CONFORMANCE_SCENARIO", "one")
        context = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT", "{}"))
        sys.stdout.write(await live(manager, scenario, url, context))


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[-1]))
