"""The MCP servers of a round: one at a URL, which is started again when it is killed, and those over stdio."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from actors import McpServerConfig

ROOT = str(Path(__file__).resolve().parents[2])

OVER_STDIO, OVER_HTTP = "tests.chaos.mcp_over_stdio", "tests.chaos.mcp_over_http"


def over_stdio(name: str, directory: Path) -> McpServerConfig:
    """A server whose annotations are not believed."""
    transport = {"type": "stdio", "command": sys.executable, "args": ["-S", "-m", OVER_STDIO, str(directory)]}
    return McpServerConfig.model_validate({"name": name, "transport": transport | {"cwd": ROOT}, "sampling": "allow"})


@asynccontextmanager
async def over_http(name: str, directory: Path) -> AsyncGenerator[McpServerConfig]:
    """A server at a URL whose annotations are believed; it runs until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        keeper = asyncio.create_task(_kept_up(directory, listening))
        try:
            # Who comes while nobody serves waits: the socket listens all the time.
            transport = {"type": "streamable-http", "url": f"http://127.0.0.1:{listening.getsockname()[1]}/mcp"}
            believed = {"trust_annotations": True, "sampling": "allow"}
            yield McpServerConfig.model_validate({"name": name, "transport": transport, **believed})
        finally:
            keeper.cancel()
            with suppress(asyncio.CancelledError):
                await keeper


async def _kept_up(directory: Path, listening: socket.socket) -> None:
    command = (sys.executable, "-m", OVER_HTTP, str(directory), str(listening.fileno()))
    while True:
        process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, pass_fds=[listening.fileno()])
        try:
            await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


def server_processes(directory: Path, *, watched: bool = False) -> list[int]:
    """The processes of a round's servers; with those that watch over them when told so."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            ours = str(directory) in words and {OVER_STDIO, OVER_HTTP} & set(words)
            if ours and (watched or words.index("-m") < 3):
                found.append(int(entry.name))
    return sorted(found)
