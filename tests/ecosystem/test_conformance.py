"""The official conformance suite for MCP clients, against sessions whose agents use MCP servers."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from actors import SessionManager
from tests.ecosystem import npm
from tests.ecosystem.scenarios import live

RELAY = Path(__file__).with_name("relay.py")

SUITE_S = 60.0
"""Longest run of the whole suite, whose scenarios run at the same time; it takes six seconds."""

_VERDICT = re.compile(r"^([✓✗]) (\S+): ", re.MULTILINE)


@asynccontextmanager
async def relayed(manager: SessionManager, folder: Path) -> AsyncGenerator[str]:
    """The command that the suite takes for a client."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            said = await live(manager, **json.loads(await reader.readline()))
        except Exception as exc:
            said = f"failed: {type(exc).__name__}: {exc}"
        writer.write(said.encode())
        writer.close()

    path = folder / "relay"
    server = await asyncio.start_unix_server(serve, path)
    try:
        yield f"{sys.executable} -I -S {RELAY} {path}"
    finally:
        server.close()


async def verdicts(command: str, packages: Path) -> tuple[dict[str, bool], str]:
    """Run all scenarios: which have passed, and what the suite said."""
    program = packages / "@modelcontextprotocol/conformance/dist/index.js"
    process = await asyncio.create_subprocess_exec(
        npm.node(), program, "client", "--suite", "all", "--verbose", "--command", command,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        async with asyncio.timeout(SUITE_S):
            said = (await process.communicate())[0].decode()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return {name: mark == "✓" for mark, name in _VERDICT.findall(said)}, said


async def test_every_scenario_of_the_suite_passes(npm_packages: Path, tmp_path: Path) -> None:
    async with await SessionManager.local() as manager, relayed(manager, tmp_path) as command:
        found, said = await verdicts(command, npm_packages)
    assert len(found) == 26, said
    assert [name for name, passed in found.items() if not passed] == [], said
