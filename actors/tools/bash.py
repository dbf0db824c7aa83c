"""The tool that runs shell commands: ``bash -c`` in the workspace, with a bounded run time, output and environment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from actors.domain.calls import Outcome, ToolOutcome
from actors.domain.tools import EffectClass, ToolDefinition
from actors.tools.base import Tool, ToolContext, schema
from actors.tools.commands import Commands, Finished
from actors.tools.sandbox import Sandbox

DEFAULT_TIMEOUT_MS = 120_000
"""Two minutes: a build or a test run of one module."""

MAX_TIMEOUT_MS = 600_000
"""Ten minutes: what runs longer belongs into a background service, not into a turn."""


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
        self._commands = Commands(environment or {}, sandbox or Sandbox())

    async def run(self, args: dict[str, Any], ctx: ToolContext) -> ToolOutcome:
        """Run the command; exit codes other than 0 are errors, with the output so far."""
        timeout_s = min(args.get("timeout", DEFAULT_TIMEOUT_MS) / 1000, ctx.timeout_s)
        finished = await self._commands.run(
            ("bash", "-c", args["command"]),
            ctx.workspace,
            timeout_s=timeout_s,
            demanded=ctx.sandboxed,
            emit=ctx.emit,
        )
        return _outcome(finished, timeout_s, sandboxed=self._commands.sandbox.works)


def _outcome(ended: Finished, timeout_s: float, *, sandboxed: bool) -> ToolOutcome:
    text = ended.output
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
