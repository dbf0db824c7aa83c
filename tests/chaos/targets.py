"""The processes that can be hit, found from outside: by the titles that Ray gives them."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.chaos.mcp_servers import server_processes
from tests.integration.processes import alive, descendants

TITLES = {
    "session": "SessionActor",
    "tools": "ToolActor",
    "models": "ModelActor",
    "mcp": "McpActor",
    "store": "StoreActor",
    "registry": "RegistryActor",
    "replica": "ServeReplica",
    "proxy": "ProxyActor",
}
"""What is in the title of a process, by kind."""


def found(kind: str, below: int | str, servers: Path | None = None) -> list[int]:
    """The live processes of a kind among the descendants of one, ``"self"`` for this one.

    Args:
        servers: The directory whose MCP servers are meant: they descend from nobody.
    """
    if kind == "server":
        return [pid for pid in server_processes(servers) if alive(pid)] if servers is not None else []
    return sorted(pid for pid in descendants(below) if TITLES[kind] in _title(pid) and alive(pid))


async def one(kind: str, below: int | str, which: float, servers: Path) -> int:
    """One of them, as soon as there is one; ``which`` is from 0 to 1."""
    while not (pids := await asyncio.to_thread(found, kind, below, servers)):  # noqa: ASYNC110 - nobody announces it
        await asyncio.sleep(0.05)
    return pids[int(which * len(pids))]


def _title(pid: int) -> str:
    """Empty for what is no process of Ray's, or has ended."""
    try:
        title = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ""
    return title.split(b"\0")[0].decode(errors="replace") if title.startswith(b"ray::") else ""
