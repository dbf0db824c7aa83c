"""Servers for tests, their connections, and calls of their tools."""

from __future__ import annotations

import asyncio
import itertools
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from actors.domain.calls import HostRef, ToolCall, ToolOutcome
from actors.domain.mcp import McpServerConfig
from actors.domain.tools import EffectClass
from actors.mcp.connection import McpConnection
from actors.mcp.executor import McpExecutor

RAW = str(Path(__file__).with_name("raw_server.py"))
ASKING = str(Path(__file__).with_name("asking_server.py"))

LIMIT_S = 20.0
"""Longest wait for anything that has to happen."""


def raw(*args: str, name: str = "raw", **more: Any) -> McpServerConfig:
    """The server that misbehaves on demand."""
    return McpServerConfig.model_validate(
        {"name": name, "transport": "stdio", "command": sys.executable, "args": ["-I", "-S", RAW, *args], **more}
    )


@contextmanager
def serving(program: str, *args: str) -> Generator[str]:
    """A server of the SDK in a process of its own, on a listening socket whose descriptor comes last; its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        command = [sys.executable, program, *args, str(listening.fileno())]
        process = subprocess.Popen(command, pass_fds=[listening.fileno()])
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/mcp"
        finally:
            process.kill()
            process.wait()


class Connected:
    """A connection whose changes can be waited for."""

    def __init__(self, config: McpServerConfig) -> None:
        self._changed = asyncio.Event()
        self.connection = McpConnection(config, "/", {}, self._changed.set, back_off_s=0.01)
        self.executor = McpExecutor(self.connection)
        self.deltas: list[str] = []
        self._seqs = itertools.count(1)

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(LIMIT_S):
            while not true():
                self._changed.clear()
                await self._changed.wait()

    def call(self, tool: str, args: dict[str, Any] | None = None, **more: Any) -> Awaitable[ToolOutcome]:
        return self.execute(self.tool_call(tool, args, **more))

    def tool_call(self, tool: str, args: dict[str, Any] | None = None, **more: Any) -> ToolCall:
        return ToolCall(
            call_id=f"j:1:{next(self._seqs)}",
            tenant="default",
            journal_id="j",
            session_id="s",
            turn_id="t",
            epoch=1,
            host=HostRef(host_id="h", incarnation="1"),
            tool_use_id="u",
            name=f"mcp__{self.connection.config.name}__{tool}",
            args=args or {},
            effect=more.pop("effect", EffectClass.unsafe),
            **more,
        )

    def _emit(self, channel: str, text: str) -> None:
        del channel
        self.deltas.append(text)

    async def execute(self, call: ToolCall) -> ToolOutcome:
        async with asyncio.timeout(LIMIT_S):
            outcome = await self.executor.execute(call, self._emit)
        assert isinstance(outcome, ToolOutcome)
        return outcome


@asynccontextmanager
async def connected(config: McpServerConfig) -> AsyncGenerator[Connected]:
    """A connection to a server, as far as it came."""
    one = Connected(config)
    one.connection.start()
    try:
        async with asyncio.timeout(LIMIT_S):
            await one.connection.first()
        yield one
    finally:
        await one.connection.close()
