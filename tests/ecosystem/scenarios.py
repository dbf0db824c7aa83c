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
from urllib.parse import urlsplit

import httpx

from actors import PermissionPolicy, SessionManager
from actors.domain.mcp import McpServerConfig
from actors.domain.session import Activity
from actors.handle import SessionHandle
from tests.unit.local.faulted import until_idle
from tests.unit.local.runtimes import calls, config, says

SCENARIO_S: Final = 60.0
"""Longest scenario."""

LOOK_S: Final = 0.05
"""Between two looks at a status."""

CLIENT_DOCUMENT: Final = "https://conformance-test.local/client-metadata.json"
"""What the suite wants a client to call itself."""

_EXAMPLES: Final = {"number": 1, "integer": 1, "string": "x", "boolean": True, "array": [], "object": {}}
_numbers = itertools.count(1)


async def live(manager: SessionManager, scenario: str, url: str, context: dict[str, Any]) -> str:
    """See a scenario through; what came of the calls."""
    name = f"tested-{next(_numbers)}"
    oauth = await asyncio.to_thread(_oauth, scenario, url, context)
    server = McpServerConfig.model_validate({"name": name, "transport": "http", "url": url, "oauth": oauth})
    person = asyncio.create_task(_agree_to_everything(manager, name))
    try:
        async with asyncio.timeout(SCENARIO_S):
            await manager.add_mcp_server(server)
            while not (status := (await manager.mcp_status())[name]).connected:
                if status.error is not None and status.authorization_url is None:
                    raise RuntimeError(status.error)
                await asyncio.sleep(LOOK_S)
            return f"ok {status}\n{await _call_every_tool(manager, scenario, name)}"
    finally:
        person.cancel()
        await manager.remove_mcp_server(name)


def _oauth(scenario: str, url: str, context: dict[str, Any]) -> dict[str, Any]:
    """The configuration that the scenario's documentation gives a client."""
    given = {name: context[name] for name in ("client_id", "client_secret") if name in context}
    match scenario:
        case "auth/client-credentials-jwt":
            key = {"private_key": context["private_key_pem"], "signing_algorithm": context["signing_algorithm"]}
            return given | key
        case "auth/client-credentials-basic":
            return given | {"grant": "client_credentials"}
        case "auth/cross-app-access-complete-flow":
            return given | {
                "issuer": _issuer_of(url),
                "id_token": context["idp_id_token"],
                "idp_client_id": context["idp_client_id"],
                "idp_token_url": context["idp_token_endpoint"],
            }
        case _:
            return given | {"client_metadata_url": CLIENT_DOCUMENT}


def _issuer_of(url: str) -> str:
    """What whoever configures a server knows: the suite tells it nowhere else."""
    parts = urlsplit(url)
    said = httpx.get(f"{parts.scheme}://{parts.netloc}/.well-known/oauth-protected-resource{parts.path}").json()
    return said["authorization_servers"][0]


async def _agree_to_everything(manager: SessionManager, name: str) -> None:
    """Be the person at the browser: visit each page once, and hand over where it leads."""
    visited: set[str] = set()
    async with httpx.AsyncClient() as browser:
        while True:
            status = (await manager.mcp_status()).get(name)
            page = status.authorization_url if status is not None else None
            if page is not None and page not in visited:
                visited.add(page)
                await manager.finish_mcp_authorization((await browser.get(page)).headers["location"])
            await asyncio.sleep(LOOK_S)


async def _call_every_tool(manager: SessionManager, scenario: str, server: str) -> str:
    tools = [tool for tool in await manager.list_tools() if tool.name.startswith(f"mcp__{server}__")]
    uses = [(tool.name, _arguments(tool.parameters)) for tool in tools]
    session = await manager.create_session(
        f"{scenario.replace('/', '-')}-{server}",
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
            form = {} if action.args["mode"] == "form" else None
            await session.resolve_action(action.action_id, "accept", content=form)


async def _main(url: str) -> None:
    async with await SessionManager.local() as manager:
        scenario = os.environ.get("MCP_CONFORMANCE_SCENARIO", "one")
        context = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT", "{}"))
        sys.stdout.write(await live(manager, scenario, url, context))


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[-1]))
