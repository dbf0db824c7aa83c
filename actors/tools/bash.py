"""The tool that runs shell commands: ``bash -c`` in the workspace, with a bounded run time, output and environment."""

from __future__ import annotations

import codecs
import os
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from actors.domain.artifacts import MAX_ARTIFACT_BYTES
from actors.domain.calls import Outcome, ToolOutcome
from actors.domain.tools import EffectClass, ToolDefinition
from actors.tools.base import Tool, ToolContext, schema
from actors.tools.environment import command_environment
from actors.tools.process import Ended, run_command
from actors.tools.sandbox import Sandbox

DEFAULT_TIMEOUT_MS = 120_000
"""Two minutes: a build or a test run of one module."""

MAX_TIMEOUT_MS = 600_000
"""Ten minutes: what runs longer belongs into a background service, not into a turn."""

_TAIL_BYTES = 1024 * 1024
"""Kept of the end of an output that is too long to be kept whole: errors and summaries stand there."""

_NOTES_BYTES = 512
"""Room for the marker and the line that says how the command ended."""

_HEAD_BYTES = MAX_ARTIFACT_BYTES - _TAIL_BYTES - _NOTES_BYTES

_MAX_LIVE_BYTES = 1 << 20
"""Output shown live; who watches a flood has seen enough after 1 MiB."""


class BashTool(Tool):
    """Runs a shell command."""

    bounds_itself: ClassVar[bool] = True

    definition = ToolDefinition(
        name="bash",
        description=(
            "Run a command with bash in the workspace. stdout and stderr come together; stdin is empty. What the "
            "command leaves in the background is ended with it."
        ),
        parameters=schema(
            {
                "command": {"type": "string", "minLength": 1, "description": "The command line."},
                "timeout": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": MAX_TIMEOUT_MS,
                    "default": DEFAULT_TIMEOUT_MS,
                    "description": "Milliseconds until it is killed.",
                },
            },
            "command",
        ),
        effect=EffectClass.unsafe,
        line_argument="command",
    )

    def __init__(self, environment: Mapping[str, str] | None = None, sandbox: Sandbox | None = None) -> None:
        """Make the tool.

        Args:
            environment: Variables for commands beside the few that come from the host.
            sandbox: How commands are confined; not at all when None.

        Raises:
            InvalidConfig: A variable that must not reach commands.
        """
        self._environment = command_environment(os.environ, environment)
        self._sandbox = sandbox or Sandbox()

    async def run(self, args: dict[str, Any], ctx: ToolContext) -> ToolOutcome:
        """Run the command; exit codes other than 0 are errors, with the output so far."""
        timeout_s = min(args.get("timeout", DEFAULT_TIMEOUT_MS) / 1000, ctx.timeout_s)
        output = Output(ctx.emit)
        ended = await run_command(
            self._sandbox.command(("bash", "-c", args["command"]), ctx.workspace, demanded=ctx.sandboxed),
            directory=ctx.workspace,
            environment=self._environment | {"PWD": str(ctx.workspace)},
            timeout_s=timeout_s,
            on_output=output.add,
        )
        return _outcome(output.finish(), ended, timeout_s, sandboxed=self._sandbox.works)


class Output:
    """A command's output: head and tail of it for the result, pieces of valid text for those who watch."""

    def __init__(self, emit: Callable[[str], None]) -> None:
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
        if text:
            self._emit(text)


def _outcome(text: str, ended: Ended, timeout_s: float, *, sandboxed: bool) -> ToolOutcome:
    metadata: dict[str, Any] = {"exit_code": ended.exit_code, "sandbox": sandboxed}
    if ended.timed_out:
        note = f"[the command timed out after {timeout_s:g} s and was killed, with all its processes]"
        return _noted(text, note, Outcome.timeout, metadata | {"timed_out": True})
    if ended.exit_code is None:
        return _noted(text, "[the command was killed from outside]", Outcome.error, metadata)
    if ended.exit_code:
        return _noted(text, f"[exit code {ended.exit_code}]", Outcome.error, metadata)
    return ToolOutcome(outcome=Outcome.ok, content=text, metadata=metadata)


def _noted(text: str, note: str, outcome: Outcome, metadata: dict[str, Any]) -> ToolOutcome:
    gap = "" if not text or text.endswith("\n") else "\n"
    return ToolOutcome(outcome=outcome, content=f"{text}{gap}{note}", exit_code=1, metadata=metadata)
