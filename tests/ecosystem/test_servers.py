"""Servers of other people, as they are: everything, filesystem and time, used through Greenroom."""

from __future__ import annotations

import base64
import os
import re
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from actors import PermissionPolicy
from actors.domain import records as r
from actors.domain.actions import Action
from actors.domain.calls import Outcome
from actors.domain.mcp import McpServerConfig
from actors.domain.tools import EffectClass
from actors.handle import SessionHandle
from tests.ecosystem import npm
from tests.unit.local.runtimes import calls, config, record_of, records, result_texts, runtime, says
from tests.unit.mcp.servers import Connected, connected

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
HELD = {"name": "Ada", "check": True, "integer": 7}


def everything(packages: Path) -> tuple[str, str]:
    return str(npm.node()), str(packages / "@modelcontextprotocol/server-everything/dist/index.js")


@contextmanager
def listening(packages: Path, mode: str) -> Generator[str]:
    """The server in one of its modes at a URL; its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {"PORT": str(port), "PATH": os.environ["PATH"]}
    with subprocess.Popen(
        [*everything(packages), mode], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        try:
            next(line for line in process.stdout if re.search(r"on port|running on", line))
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


@contextmanager
def reached(packages: Path, transport: str) -> Generator[McpServerConfig]:
    """How the server is configured over a transport."""

    def over(**given: Any) -> McpServerConfig:
        return McpServerConfig.model_validate({"name": "everything", "transport": transport, **given})

    match transport:
        case "stdio":
            command, program = everything(packages)
            yield over(command=command, args=[program, "stdio"])
        case "sse":
            with listening(packages, "sse") as url:
                yield over(url=f"{url}/sse")
        case _:
            with listening(packages, "streamableHttp") as url:
                yield over(url=f"{url}/mcp")


@pytest.fixture(params=["stdio", "streamable-http", "sse"])
async def everywhere(request: pytest.FixtureRequest, npm_packages: Path) -> AsyncGenerator[Connected]:
    """The server everything, connected over each transport."""
    with reached(npm_packages, request.param) as server:
        async with connected(server) as one:
            yield one


async def test_everything_gives_text_images_structure_resources_and_progress(everywhere: Connected) -> None:
    status = everywhere.connection.status
    assert (status.connected, status.protocol) == (True, "2025-11-25"), status
    names = {tool.name for tool in everywhere.connection.listing.published.definitions}
    assert "mcp__everything__trigger-elicitation-request" in names
    assert "mcp__everything__simulate-research-query" not in names, "it cannot be called but as a task"
    assert status.tools_left_out == 1

    assert (await everywhere.call("get-sum", {"a": 1, "b": 2})).content == "The sum of 1 and 2 is 3."
    refused = await everywhere.call("get-sum", {"a": "many"})
    assert refused.outcome is Outcome.error and "Invalid arguments" in refused.content
    (image,) = (await everywhere.call("get-tiny-image")).images
    assert image.source.type == "base64" and image.source.media_type == "image/png"
    weather = await everywhere.call("get-structured-content", {"location": "New York"})
    assert weather.metadata["structured_content"] == {"temperature": 33, "conditions": "Cloudy", "humidity": 82}
    assert "[Resource: demo://resource/dynamic/text/2]" in (await everywhere.call("get-resource-links")).content
    assert "Resource 1: This is a plaintext resource" in (await everywhere.call("get-resource-reference")).content
    everywhere.deltas.clear()
    done = await everywhere.call("trigger-long-running-operation", {"duration": 0.1, "steps": 2})
    assert done.content == "Long running operation completed. Duration: 0.1 seconds, Steps: 2."
    assert everywhere.deltas == ["[1/2]\n", "[2/2]\n"]


async def test_a_stdio_server_sees_no_secret_of_the_environment(
    npm_packages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_API_KEY", "canary")
    with reached(npm_packages, "stdio") as server:
        async with connected(server) as one:
            seen = (await one.call("get-env")).content
    assert '"PATH"' in seen and "canary" not in seen


async def question(session: SessionHandle, nth: int) -> Action:
    await record_of(session, r.ActionRequested, count=nth)
    (action,) = await session.actions()
    return action


async def test_everything_asks_for_forms_and_pages_and_is_told_to_stop(npm_packages: Path) -> None:
    ask, page = "mcp__everything__trigger-elicitation-request", "mcp__everything__trigger-url-elicitation"
    url = "https://example.com/consent"
    script = (
        calls((ask, {})),
        calls((page, {"url": url})),
        calls((page, {"url": url, "errorPath": True})),
        calls(("mcp__everything__trigger-long-running-operation", {"duration": 60, "steps": 600})),
        says("Not reached."),
    )
    with reached(npm_packages, "streamable-http") as server:
        async with runtime() as manager:
            await manager.add_mcp_server(server)
            one = await manager.create_session("a", config(*script))
            await one.send("go")
            form = await question(one, 1)
            assert form.args["mode"] == "form"
            await one.resolve_action(form.action_id, "accept", content=HELD)
            visit = await question(one, 2)
            assert (visit.args["mode"], visit.args["url"]) == ("url", url)
            await one.resolve_action(visit.action_id, "accept")
            before = await question(one, 3)
            assert before.args["url"] == "https://modelcontextprotocol.io"
            await one.resolve_action(before.action_id, "accept")
            again = await question(one, 4)
            await one.resolve_action(again.action_id, "decline")
            await record_of(one, r.ToolCallStarted, count=8)
            assert await one.cancel()
            await record_of(one, r.TurnCancelled)
            filled, visited, declined = result_texts(await one.history())[:3]
            assert "- Name: Ada" in filled and "- Favorite Integer: 7" in filled
            assert "User completed the URL elicitation flow" in visited
            assert "User declined to open the URL" in declined
            last = (await records(one, r.ToolCallCompleted))[-1]
            assert last.data.outcome is Outcome.cancelled
            assert (await manager.mcp_status())["everything"].connected


@asynccontextmanager
async def filesystem(packages: Path, folder: Path) -> AsyncGenerator[Connected]:
    program = str(packages / "@modelcontextprotocol/server-filesystem/dist/index.js")
    given = {"command": str(npm.node()), "args": [program, str(folder)], "trust_annotations": True}
    async with connected(McpServerConfig.model_validate({"name": "files", "transport": "stdio", **given})) as one:
        yield one


async def test_filesystem_reads_and_writes_below_its_directory_and_nowhere_else(
    npm_packages: Path, tmp_path: Path
) -> None:
    folder, outside = tmp_path / "folder", tmp_path / "outside.txt"
    folder.mkdir()
    outside.write_text("canary")
    (folder / "link").symlink_to(outside)
    (folder / "dot.png").write_bytes(base64.b64decode(PIXEL))
    async with filesystem(npm_packages, folder) as files:
        effects = {tool.name: tool.effect for tool in files.connection.listing.published.definitions}
        assert effects["mcp__files__read_text_file"] is EffectClass.pure
        assert effects["mcp__files__write_file"] is EffectClass.idempotent
        assert effects["mcp__files__move_file"] is EffectClass.unsafe
        note = str(folder / "note.txt")
        assert (await files.call("write_file", {"path": note, "content": "hello"})).outcome is Outcome.ok
        assert (await files.call("read_text_file", {"path": note})).content == "hello"
        assert "[FILE] note.txt" in (await files.call("list_directory", {"path": str(folder)})).content
        (image,) = (await files.call("read_media_file", {"path": str(folder / "dot.png")})).images
        assert image.source.type == "base64" and image.source.data == PIXEL
        for path in (outside, folder / ".." / "outside.txt", folder / "link"):
            refused = await files.call("read_text_file", {"path": str(path)})
            assert refused.outcome is Outcome.error and "Access denied" in refused.content
            refused = await files.call("write_file", {"path": str(path), "content": "gone"})
            assert refused.outcome is Outcome.error
    assert outside.read_text() == "canary"


async def test_permission_rules_tell_the_tools_of_a_server_apart(npm_packages: Path, tmp_path: Path) -> None:
    note = tmp_path / "note.txt"
    note.write_text("hello")
    program = str(npm_packages / "@modelcontextprotocol/server-filesystem/dist/index.js")
    given = {"command": str(npm.node()), "args": [program, str(tmp_path)]}
    policy = PermissionPolicy(allow=["mcp__files"], deny=["mcp__files__write_file"])
    script = calls(
        ("mcp__files__read_text_file", {"path": str(note)}),
        ("mcp__files__write_file", {"path": str(note), "content": "gone"}),
    )
    async with runtime() as manager:
        await manager.add_mcp_server(McpServerConfig.model_validate({"name": "files", "transport": "stdio", **given}))
        one = await manager.create_session("a", config(script, says("Done."), permission_policy=policy))
        read, written = result_texts((await one.generate("go")).messages)
        assert read == "hello" and "Permission denied" in written
    assert note.read_text() == "hello"


async def test_time_speaks_the_protocol_of_2026() -> None:
    server = {"name": "time", "transport": "stdio", "command": sys.executable, "args": ["-m", "mcp_server_time"]}
    async with connected(McpServerConfig.model_validate(server)) as clock:
        status = clock.connection.status
        assert (status.connected, status.protocol, status.tool_count) == (True, "2026-07-28", 2)
        noon = {"source_timezone": "UTC", "time": "12:00", "target_timezone": "Asia/Tokyo"}
        assert "T21:00:00+09:00" in (await clock.call("convert_time", noon)).content
        refused = await clock.call("get_current_time", {"timezone": "Atlantis"})
        assert refused.outcome is Outcome.error and "Atlantis" in refused.content
