"""Boundary between asyncio and one command under the reaper: start it, read it, end it with all its children."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from actors.errors import ToolError
from actors.tools.by_force import end_by_force, end_unguarded, wake

MAX_ARGUMENT_BYTES = 128 * 1024 - 1
"""Linux refuses a single argument of 128 KiB and more (MAX_ARG_STRLEN)."""

GRACE_S = 0.3
"""Between SIGTERM and SIGKILL: enough to remove a lock file, too short to be noticed by who waits."""

END_S = 7.0
"""Longest wait for a killed command: the grace, the reaper's own 5 s for SIGKILL, and slack."""

_REAPER = str(Path(__file__).with_name("reaper.py"))
_CHUNK = 1 << 16

_LAST_OUTPUT_S = 1.0
"""After the reaper has gone, reading the 64 KiB that a pipe holds takes far less."""

_FLOOD_BYTES = 1 << 20
_FLOOD_PAUSE_S = 0.002
"""A command that has written 1 MiB is read at 32 MB/s at most: nobody sees that output, and the loop has others."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended. ``exit_code`` is 128 + N after signal N, and None when the reaper was killed."""

    exit_code: int | None
    timed_out: bool


async def run_command(
    argv: Sequence[str],
    *,
    directory: Path,
    environment: Mapping[str, str],
    timeout_s: float,
    on_output: Callable[[bytes], None],
) -> Ended:
    """Run a command to its end, or to ``timeout_s``; when this returns or raises, nothing of it runs any more.

    Args:
        argv: Program and arguments; no shell is involved.
        directory: Where it starts.
        environment: All of its environment.
        timeout_s: Seconds after which it is killed.
        on_output: Takes pieces of stdout and stderr, as they come.

    Raises:
        ToolError: It could not be started.
    """
    if any(len(argument.encode(errors="replace")) > MAX_ARGUMENT_BYTES for argument in argv):
        raise ToolError("The command is longer than 128 KiB. Write it to a file and run that.")
    command = _Command(argv, directory, environment, on_output)
    timed_out = False
    try:
        async with asyncio.timeout(timeout_s):
            await asyncio.shield(command.finished)
    except TimeoutError:
        timed_out = True
    finally:
        await command.end()
    if command.error is not None:
        raise ToolError(f"The command could not be started: {command.error}.")
    return Ended(command.exit_code, timed_out)


class _Command:
    """One running command; ``finished`` is done when the reaper has gone and all output was read."""

    def __init__(
        self, argv: Sequence[str], directory: Path, environment: Mapping[str, str], on_output: Callable[[bytes], None]
    ) -> None:
        self.exit_code: int | None = None
        self.error: str | None = None
        self._loop = asyncio.get_running_loop()
        self.finished: asyncio.Future[None] = self._loop.create_future()
        self._on_output = on_output
        self._pid: int | None = None
        self._reaper: int | None = None
        self._status = b""
        self._read = 0
        self._process, self._control, self._output, self._report = _start(argv, directory, environment)
        self._loop.add_reader(self._output, self._on_readable)
        self._loop.add_reader(self._report, self._on_report)

    async def end(self) -> None:
        """Stop the command if it runs; bounded, and complete even when the waiter is cancelled."""
        # The reaper takes the end of this pipe as the word to kill.
        self._control = _closed(self._control)
        if self._reaper is not None and self._report >= 0:
            # As long as the report is open it lives: the number is its own.
            wake(self._reaper)
        try:
            async with asyncio.timeout(END_S):
                await asyncio.shield(self.finished)
        except TimeoutError:
            if self._reaper is not None and self._report >= 0:
                end_by_force(self._reaper)
        finally:
            self._close_output()
            self._close_report()

    def _on_readable(self) -> None:
        try:
            data = os.read(self._output, _CHUNK)
        except (BlockingIOError, InterruptedError):
            return
        if not data:
            self._close_output()
            return
        self._read += len(data)
        self._on_output(data)
        if self._read > _FLOOD_BYTES:
            self._loop.remove_reader(self._output)
            self._loop.call_later(_FLOOD_PAUSE_S, self._resume)

    def _resume(self) -> None:
        if self._output >= 0:
            self._loop.add_reader(self._output, self._on_readable)

    def _on_report(self) -> None:
        try:
            data = os.read(self._report, _CHUNK)
        except (BlockingIOError, InterruptedError):
            return
        self._status += data
        if not data:
            self._close_report()
            return
        for line in self._status.decode(errors="replace").splitlines():
            self._take(line)

    def _take(self, line: str) -> None:
        what, _, value = line.partition(" ")
        if what == "pid" and value.isdigit():
            self._pid = int(value)
        elif what == "reaper" and value.isdigit():
            self._reaper = int(value)
        elif what == "exit" and value.isdigit():
            self.exit_code = int(value)
        elif what == "error":
            self.error = value

    def _close_output(self) -> None:
        if self._output >= 0:
            self._loop.remove_reader(self._output)
            self._output = _closed(self._output)
        self._settle()

    def _close_report(self) -> None:
        if self._report >= 0:
            self._loop.remove_reader(self._report)
            self._report = _closed(self._report)
            # What was started directly has forked and gone by now.
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=1)
            self._kill_unguarded()
            # Whatever still holds the output open has escaped the reaper; it is not waited for.
            self._loop.call_later(_LAST_OUTPUT_S, self._close_output)
        self._settle()

    def _settle(self) -> None:
        if self._output < 0 and self._report < 0 and not self.finished.done():
            self.finished.set_result(None)

    def _kill_unguarded(self) -> None:
        """Kill the command when somebody has killed the reaper."""
        if self.exit_code is None and self._pid is not None:
            end_unguarded(self._pid)


def _start(
    argv: Sequence[str], directory: Path, environment: Mapping[str, str]
) -> tuple[subprocess.Popen[bytes], int, int, int]:
    """Start the reaper; returns it and the host's ends: control (write), output and report (read, non-blocking)."""
    pipes: list[int] = []
    try:
        for _ in range(3):
            pipes.extend(os.pipe())
        control_end, control, output, output_end, report, report_end = pipes
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", _REAPER, str(directory), str(int(GRACE_S * 1000)), "-", *argv],
            stdin=control_end,
            stdout=output_end,
            stderr=report_end,
            env=dict(environment),
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        for end in pipes:
            os.close(end)
        raise ToolError(f"The command could not be started: {error}.") from error
    for end in (control_end, output_end, report_end):
        os.close(end)
    os.set_blocking(output, False)
    os.set_blocking(report, False)
    return process, control, output, report


def _closed(handle: int) -> int:
    if handle >= 0:
        os.close(handle)
    return -1
