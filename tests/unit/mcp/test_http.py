"""Servers at a URL: both transports, tokens, progress, floods, and a server that goes away under a call."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from actors.domain.calls import Outcome
from actors.domain.mcp import McpServerConfig, McpState
from tests.unit.mcp.servers import connected

SERVER = str(Path(__file__).with_name("http_server.py"))
TOKEN = "canary-token-4711"


@contextmanager
def serving(*arguments: str) -> Generator[str]:
    """A server process; its URL is good at once, since the socket listens already."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        command = [sys.executable, SERVER, str(listening.fileno()), *arguments]
        process = subprocess.Popen(command, pass_fds=[listening.fileno()])
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            process.kill()
            process.wait()


def at(url: str, transport: str = "streamable-http", **more: Any) -> McpServerConfig:
    path = "/sse" if transport == "sse" else "/mcp"
    return McpServerConfig.model_validate({"name": "web", "transport": transport, "url": url + path, **more})


@pytest.mark.parametrize("transport", ["streamable-http", "sse"])
async def test_a_tool_is_called_over_both_transports_with_its_progress(transport: str) -> None:
    with serving() as url:
        async with connected(at(url, transport)) as server:
            assert server.connection.status.connected, server.connection.status
            assert server.connection.status.protocol == "2026-07-28"
            assert (await server.call("add", {"a": 1, "b": 2})).content == "3"
            assert (await server.call("steps")).content == "done"
            assert server.deltas == ["[1/2] half\n"]


@pytest.mark.parametrize("transport", ["streamable-http", "sse"])
async def test_a_flood_costs_its_call_and_the_connection_which_is_made_again(
    transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.mcp.unasked.UNASKED_AT_ONCE", 100)
    monkeypatch.setattr("actors.mcp.unasked.UNASKED_PER_S", 10)
    with serving() as url:
        async with connected(at(url, transport)) as server:
            assert len((await server.call("big", {"size": 500_000})).content) == 500_000
            outcome = await server.call("big", {"size": 20_000_000})
            assert (outcome.outcome, len(outcome.content) < 1000) == (Outcome.error, True)
            assert (await server.call("add", {"a": 1, "b": 2})).content == "3"
            assert server.connection.tries == 2
            assert "went away" in (await server.call("chatter")).content
            await server.until(lambda: "it floods" in (server.connection.status.error or ""))


@pytest.mark.parametrize(
    "proof",
    [
        {"oauth": {"access_token": TOKEN}},
        {"headers": {"Authorization": f"Bearer {TOKEN}"}},
        {"oauth": {"token_url": "/token", "client_id": "id", "client_secret": "secret"}},
    ],
)
async def test_a_server_that_wants_a_token_gets_it(proof: dict[str, Any]) -> None:
    with serving(TOKEN) as url:
        if "token_url" in proof.get("oauth", {}):
            proof = {"oauth": proof["oauth"] | {"token_url": f"{url}/token"}}
        async with connected(at(url, **proof)) as server:
            assert (await server.call("add", {"a": 1, "b": 2})).content == "3"
            assert TOKEN not in server.connection.status.model_dump_json() + repr(server.connection.config)


@pytest.mark.parametrize("proof", [{}, {"oauth": {"access_token": "wrong-canary-815"}}])
async def test_without_it_the_status_says_so_and_shows_no_secret(proof: dict[str, Any]) -> None:
    with serving(TOKEN) as url:
        async with connected(at(url, **proof)) as server:
            status = server.connection.status
            assert status.state is McpState.reconnecting
            assert status.error
            assert "canary" not in status.model_dump_json()


async def test_a_server_that_goes_away_under_a_call_fails_it_and_says_that_it_may_have_happened() -> None:
    with serving() as url:
        async with connected(at(url)) as server:
            outcome = await server.call("leave")
            assert outcome.outcome is Outcome.error
            assert "may or may not have taken effect" in outcome.content


async def test_nobody_there_is_an_error_of_the_status() -> None:
    async with connected(at("http://127.0.0.1:9")) as server:
        assert server.connection.status.state is McpState.reconnecting
        assert server.connection.status.error
