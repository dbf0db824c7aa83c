"""A tool call that a test can stop in the middle: it says that it has begun, and goes on when it is told to."""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import signal
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Any

from ray.exceptions import RayActorError

from actors.cluster.links import actor_named, actor_names
from tests.integration.waiting import until_told

BOUND_S = 60.0
"""Longest wait for anything: far beyond what a recovery takes on a loaded machine."""


class Gate:
    """A bash command that writes a line when it begins, waits, and writes another when it ends.

    Args:
        directory: Where its files are; one gate a directory.
    """

    def __init__(self, directory: Path) -> None:
        self._begun = directory / "begun"
        self._go = directory / "go"
        self._lines = directory / "lines"
        os.mkfifo(self._begun)
        os.mkfifo(self._go)

    def prompt(self, answer: str = "done") -> str:
        """What makes ``scripted/prompt`` call the command once, then answer."""
        script = f"echo begin >> {self._lines}; echo x > {self._begun}; read x < {self._go}; echo end >> {self._lines}"
        return f"/tool bash {json.dumps({'command': script})}\n{answer}"

    async def begun(self) -> None:
        """The command is in its middle."""
        async with asyncio.timeout(BOUND_S):
            await asyncio.to_thread(self._begun.read_text)

    async def open(self) -> None:
        """Let it go on."""
        async with asyncio.timeout(BOUND_S):
            await asyncio.to_thread(self._go.write_text, "go\n")

    @property
    def lines(self) -> list[str]:
        """What the command has written, over all its runs."""
        return self._lines.read_text().split() if self._lines.exists() else []


def actors_of(runtime: str, kind: str) -> list[str]:
    """Names of a runtime's actors of one kind."""
    return actor_names(f"{runtime}.{kind}")


class Death(StrEnum):
    """How a process ends."""

    killed = "killed"
    exited = "exited"
    crashed = "crashed"


def end_this_process(how: Death) -> None:
    """End the process that runs this, with nothing cleaned up."""
    if how is Death.killed:
        os.kill(os.getpid(), signal.SIGKILL)
    elif how is Death.exited:
        os._exit(0)
    ctypes.string_at(0)


def _end(actor: Any, how: Death) -> None:
    end_this_process(how)


async def kill(handle: Any, how: Death = Death.killed) -> int:
    """End an actor's process: from outside as the kernel would, or from inside; returns its pid."""
    pid = await handle.pid.remote()
    if how is Death.killed:
        os.kill(pid, signal.SIGKILL)
        return pid
    with suppress(RayActorError):
        await handle.__ray_call__.remote(_end, how)
    return pid


async def kill_all(runtime: str, kind: str, how: Death = Death.killed) -> None:
    """Kill all of a runtime's actors of one kind; when the last was killed just now, the one that takes its place."""

    async def any_killed() -> bool:
        return any([await _kill_living(name, how) for name in actors_of(runtime, kind)])

    await until_told(any_killed, what=f"there is an actor of kind {kind} to be killed", within_s=BOUND_S)


async def _kill_living(name: str, how: Death) -> bool:
    """Kill an actor; False when it was dead already, though its name is still there."""
    handle = actor_named(name)
    if handle is None:
        return False
    try:
        await kill(handle, how)
    except RayActorError:
        return False
    return True
