"""The way into processes that run already: their named places are armed, and what went wrong there is read."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from actors.faults import DONE, Fault

PASSED_WITHIN_S = 2.0
"""How long a place stays armed: under load, most are passed within milliseconds."""


class Pipes:
    """The processes that were started with ``GREENROOM_FAULT_PIPES`` set to a directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def arm(self, pid: int, fault: Fault) -> bool:
        """Arm a place of a process until it is passed, or for two seconds; whether it was passed."""
        wanted = f"{pid} {fault.point} {fault.what}"
        before = self._done().count(wanted)
        async with self._armed(pid, fault) as armed:
            with suppress(TimeoutError):
                async with asyncio.timeout(PASSED_WITHIN_S):
                    while armed and self._done().count(wanted) == before:  # noqa: ASYNC110 - nobody announces it
                        await asyncio.sleep(0.02)
        return self._done().count(wanted) > before

    def _done(self) -> list[str]:
        file = self._directory / DONE
        return file.read_text().splitlines() if file.exists() else []

    @asynccontextmanager
    async def _armed(self, pid: int, fault: Fault) -> AsyncGenerator[bool]:
        written = self._write(pid, f"{fault.point}:{fault.nth}:{fault.what}")
        try:
            yield written
        finally:
            self._write(pid, "")

    def _write(self, pid: int, line: str) -> bool:
        """False when the process is not there, or not yet or no more listening."""
        try:
            pipe = os.open(self._directory / str(pid), os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            return False
        try:
            os.write(pipe, f"{line}\n".encode())
        except BrokenPipeError:
            return False
        finally:
            os.close(pipe)
        return True
