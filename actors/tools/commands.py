"""Commands of tools: in the sandbox where there is one, with a filtered environment, in a process group of their own.

Between tools, which say what to run, and ``actors.tools.process``, which runs it.
"""

from __future__ import annotations

import codecs
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from actors.domain.artifacts import MAX_ARTIFACT_BYTES
from actors.tools.environment import command_environment
from actors.tools.process import Ended, run_command
from actors.tools.sandbox import Sandbox

_TAIL_BYTES: Final = 1024 * 1024
"""Kept of the end of an output that is too long to be kept whole: errors and summaries stand there."""

_NOTES_BYTES: Final = 512
"""Room for the marker and the line that says how the command ended."""

_HEAD_BYTES: Final = MAX_ARTIFACT_BYTES - _TAIL_BYTES - _NOTES_BYTES

_MAX_LIVE_BYTES: Final = 1 << 20
"""Output shown live; who watches a flood has seen enough after 1 MiB."""


@dataclass(frozen=True, slots=True)
class Finished:
    """What came of a command.

    Attributes:
        output: stdout and stderr as they came; of more than 4 MiB the beginning and the end.
        exit_code: 128 + N after signal N; None when it was killed from outside.
        timed_out: Its time was over, and it was killed with all its processes.
    """

    output: str
    exit_code: int | None
    timed_out: bool = False

    @property
    def ok(self) -> bool:
        """Whether it ended by itself and says that it worked."""
        return self.exit_code == 0 and not self.timed_out


@dataclass(frozen=True, slots=True)
class Commands:
    """How commands of one host are run.

    Attributes:
        variables: Of the operator, beside the few that commands get from the host's environment.
        sandbox: How they are confined.
    """

    variables: Mapping[str, str] = field(default_factory=dict[str, str])
    sandbox: Sandbox = Sandbox()

    def __post_init__(self) -> None:
        self.environment()  # What must not reach commands is refused at once.

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """All of a command's environment.

        Raises:
            InvalidConfig: A variable that must not reach commands.
        """
        return command_environment(os.environ, {**self.variables, **(more or {})})

    async def run(
        self,
        argv: Sequence[str],
        workspace: Path,
        *,
        timeout_s: float,
        demanded: bool = False,
        variables: Mapping[str, str] | None = None,
        emit: Callable[[str], None] | None = None,
    ) -> Finished:
        """Run a command to its end, or to ``timeout_s``; when this returns or raises, nothing of it runs any more.

        Args:
            argv: Program and arguments; no shell is involved.
            workspace: Canonical directory where it starts; in the sandbox the only one it can write to.
            timeout_s: Seconds after which it is killed.
            demanded: The session's policy wants a sandbox.
            variables: Further ones of its environment.
            emit: Takes its output as it comes.

        Raises:
            ToolError: It could not be started, or there is no sandbox and one is wanted.
            InvalidConfig: A variable that must not reach commands.
        """
        output = _Output(emit)
        ended: Ended = await run_command(
            self.sandbox.command(argv, workspace, demanded=demanded),
            directory=workspace,
            environment=self.environment({"PWD": str(workspace), **(variables or {})}),
            timeout_s=timeout_s,
            on_output=output.add,
        )
        return Finished(output.finish(), ended.exit_code, ended.timed_out)


class _Output:
    """A command's output: head and tail of it for the result, pieces of valid text for those who watch."""

    def __init__(self, emit: Callable[[str], None] | None) -> None:
        self._emit = emit
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._head = bytearray()
        self._tail = bytearray()
        self._total = 0

    def add(self, data: bytes) -> None:
        """Take a piece as it was read."""
        if self._total < _MAX_LIVE_BYTES:
            self._show(self._decoder.decode(data))
        self._total += len(data)
        room = _HEAD_BYTES - len(self._head)
        self._head += data[:room]
        self._tail += data[room:]
        if len(self._tail) > 2 * _TAIL_BYTES:
            del self._tail[:-_TAIL_BYTES]

    def finish(self) -> str:
        """The text of the result, once nothing more comes."""
        if self._total < _MAX_LIVE_BYTES:
            self._show(self._decoder.decode(b"", final=True))
        tail = self._tail[-_TAIL_BYTES:]
        dropped = self._total - len(self._head) - len(tail)
        if not dropped:
            return (self._head + tail).decode(errors="replace")
        head, end = self._head.decode(errors="ignore"), tail.decode(errors="ignore")
        return f"{head}\n[... output truncated: {dropped} bytes left out ...]\n{end}"

    def _show(self, text: str) -> None:
        if text and self._emit is not None:
            self._emit(text)
