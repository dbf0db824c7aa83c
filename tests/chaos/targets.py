"""The processes that can be hit, found from outside: by the titles that Ray gives them."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.integration.processes import alive, descendants

TITLES = {
    "session": "SessionActor",
    "tools": "ToolActor",
    "models": "ModelActor",
    "store": "StoreActor",
    "registry": "RegistryActor",
    "replica": "ServeReplica",
    "proxy": "ProxyActor",
}
"""What is in the title of a process, by kind."""


def found(kind: str, below: int | str) -> list[int]:
    """The live processes of a kind among the descendants of one, ``"self"`` for this one."""
    return sorted(pid for pid in descendants(below) if TITLES[kind] in _title(pid) and alive(pid))


async def one(kind: str, below: int | str, which: float) -> int:
    """One of them, as soon as there is one; ``which`` is from 0 to 1."""
    while not (pids := await asyncio.to_thread(found, kind, below)):  # noqa: ASYNC110 - nobody announces it
        await asyncio.sleep(0.05)
    return pids[int(which * len(pids))]


def _title(pid: int) -> str:
    """Empty for what is no process of Ray's, or has ended."""
    try:
        title = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ""
    return title.split(b"\0")[0].decode(errors="replace") if title.startswith(b"ray::") else ""
