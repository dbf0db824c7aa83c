"""Boundary between a tool and the process that runs it: what a tool is given, and what it hands back.

Above is the executor (``actors.tools.executor``), which validates arguments, bounds time and output and turns errors
into outcomes. Below are the tools themselves.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from actors.domain.artifacts import MAX_ARTIFACT_BYTES, MAX_SHOWN_BYTES
from actors.domain.calls import UNCLEAR, Outcome, Reconciled, ToolOutcome
from actors.domain.tools import ToolDefinition
from actors.errors import ToolError
from actors.tools.commands import Commands, Finished
from actors.tools.threads import awaited

MAX_OUTPUT_BYTES = MAX_SHOWN_BYTES
"""Text of one result for tools that can be asked for the rest: all of it goes to the model."""

MAX_BESIDE_IMAGES = 1024 * 1024
"""Text of a result that has images too: both travel in one frame."""

MAX_READ_LINES = 2000
"""Lines of one read; the next read goes on at the offset that the notice names."""

MAX_LINE_CHARS = 2000
"""Longer lines are generated or minified, and their tail says nothing to a model."""

_MARKER = "\n[... output truncated: {dropped} more bytes ...]\n"


async def _record_nowhere(facts: Mapping[str, Any]) -> None:
    del facts


async def _no_artifact() -> bytes:
    raise ToolError("The session has no such artifact.")


@dataclass(frozen=True, slots=True)
class ToolContext:
    """What a running tool knows of its call.

    Attributes:
        call_id: The same over all attempts of the call: the idempotency key for what the tool does elsewhere.
        workspace: Canonical directory that the tool works in.
        emit: Takes a piece of output for those who watch, on the loop or in a thread.
        timeout_s: Seconds that the call may take.
        record: Keeps facts that must be known even when no outcome is handed back, such as the hashes of a file
            before and after a change that is about to be made. They are durable when it returns, and outlive the host;
            those recorded before stay. ToolError when they cannot be kept: then do nothing that depends on them.
        recorded: In ``reconcile``: what the lost attempt had recorded.
        artifact: All of the text of the artifact that the call names, one of the session's own. ToolError when it
            cannot be had.
        sandboxed: The session's policy wants commands to run in a sandbox, or not at all.
        commands: How ``run_process`` runs them.
        leave: Says, while the call is being cancelled, that something of it goes on.
    """

    call_id: str
    tenant: str
    session_id: str
    workspace: Path
    emit: Callable[[str], None]
    timeout_s: float
    record: Callable[[Mapping[str, Any]], Awaitable[None]] = _record_nowhere
    recorded: Mapping[str, Any] = field(default_factory=dict[str, Any])
    artifact: Callable[[], Awaitable[bytes]] = _no_artifact
    sandboxed: bool = False
    commands: Commands = Commands()
    leave: Callable[[], None] = lambda: None

    async def run_process(
        self, *argv: str, timeout_s: float | None = None, variables: Mapping[str, str] | None = None
    ) -> Finished:
        """Run a program in the workspace as ``bash`` does; who watches sees its output.

        That is: in the sandbox where there is one, with few variables of the service's environment and no keys, and in
        a process group that ends with the call.

        Args:
            argv: Program and arguments; no shell is involved.
            timeout_s: Seconds until it is killed; the call's own time at most.
            variables: Further ones of its environment.

        Raises:
            ToolError: It could not be started, or the policy wants a sandbox and there is none.
            InvalidConfig: A variable that must not reach commands, such as a provider's key.
        """
        return await self.commands.run(
            argv,
            self.workspace,
            timeout_s=min(timeout_s or self.timeout_s, self.timeout_s),
            demanded=self.sandboxed,
            variables=variables,
            emit=self.emit,
        )

    def run_process_from_thread(
        self, *argv: str, timeout_s: float | None = None, variables: Mapping[str, str] | None = None
    ) -> Finished:
        """``run_process`` for tools that are plain functions, which run in a thread."""
        return awaited(self.run_process(*argv, timeout_s=timeout_s, variables=variables))

    def record_from_thread(self, facts: Mapping[str, Any]) -> None:
        """``record`` for tools that are plain functions, which run in a thread."""
        awaited(self.record(facts))


class Tool(ABC):
    """Something that a model can call.

    Attributes:
        definition: The tool as the model and the loop see it.
        bounds_itself: Whether the tool ends by itself within ``timeout_s``, with what it has by then.
    """

    definition: ToolDefinition
    bounds_itself: ClassVar[bool] = False

    @abstractmethod
    async def run(self, args: dict[str, Any], ctx: ToolContext) -> ToolOutcome:
        """Do it. ``args`` fit the definition's schema.

        Raises:
            ToolError: The tool says no; its sentence goes to the model.
        """

    async def reconcile(self, args: dict[str, Any], ctx: ToolContext) -> Reconciled:
        """Find out what became of a call whose outcome was lost with its host. Nothing of that host runs any more.

        Args:
            args: The call's arguments.
            ctx: The call's context; ``recorded`` is what it had recorded.
        """
        del args, ctx
        return UNCLEAR


def succeeded(content: str, **metadata: Any) -> ToolOutcome:
    """The outcome of a call that worked."""
    return ToolOutcome(outcome=Outcome.ok, content=content, metadata=metadata)


def failed(content: str, **metadata: Any) -> ToolOutcome:
    """The outcome of a call that did not work."""
    return ToolOutcome(outcome=Outcome.error, content=content, exit_code=1, metadata=metadata)


def capped(text: str, limit: int = MAX_ARTIFACT_BYTES) -> str:
    """The text within ``limit`` bytes of UTF-8; what is cut is counted in a marker at its end.

    >>> capped("abc")
    'abc'
    """
    raw = text.encode(errors="replace")
    if len(raw) <= limit:
        return raw.decode()
    kept = raw[: max(0, limit - len(_MARKER) - 20)].decode(errors="ignore")
    return kept + _MARKER.format(dropped=len(raw) - len(kept.encode()))


def schema(properties: Mapping[str, Mapping[str, Any]], *required: str) -> dict[str, Any]:
    """A JSON Schema of an object with these properties and no others."""
    return {
        "type": "object",
        "properties": {name: dict(value) for name, value in properties.items()},
        "required": list(required),
        "additionalProperties": False,
    }
