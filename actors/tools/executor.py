"""Boundary between the effect host and the tools: a call comes in, an outcome goes out, whatever happens between.

Arguments are validated, time and output are bounded, and every failure becomes an outcome that tells the model what
to do next. Only cancellation passes through.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, overload
from weakref import WeakKeyDictionary

from jsonschema.protocols import Validator

from actors.domain.artifacts import MAX_ARTIFACT_BYTES
from actors.domain.calls import (
    RAISED,
    UNCLEAR,
    CallKey,
    Delta,
    Emit,
    ModelCall,
    ModelOutcome,
    Outcome,
    Reconciled,
    ToolCall,
    ToolOutcome,
    Verdict,
)
from actors.domain.tools import EffectClass
from actors.effect_host.ports import ResultSink
from actors.errors import GreenroomError, InvalidConfig, ToolError
from actors.policy.security.redaction import NOTHING_KNOWN, Known
from actors.tools.arguments import check, validator
from actors.tools.artifacts import Blobs, whole_artifact
from actors.tools.base import Tool, ToolContext, capped, failed
from actors.tools.bounding import bounded, clean, small_metadata
from actors.tools.facts import keep_facts
from actors.tools.registry import ToolRegistry
from actors.tools.threads import from_any_thread

log = logging.getLogger(__name__)

BOUND_MARGIN_S = 10.0
"""What a tool that bounds itself gets beyond its time, to kill what it started and to say what there is so far."""

MAX_RECORDED = 4096
"""Calls whose facts are kept. A host asks for those of a cancelled call at once; the oldest were never asked for."""

_MAX_ERROR_CHARS = 2000
"""Of an exception's text: its beginning says what is wrong."""

_TRANSIENT = re.compile(
    r"timeout|timed out|connection refused|connection reset|broken pipe|temporarily unavailable|os error (11|35)\b"
    r"|errno (11|35)\b|rate limit|too many requests|service unavailable|network( is)? unreachable",
    re.IGNORECASE,
)
_CANCELLED = "[the call was cancelled]"
_RETRY = "This may pass: trying again can help."
_CHANGE = "Trying the same again will not help: change the arguments, or find another way."


class _Run(NamedTuple):
    """A call that is about to run."""

    tool: Tool
    args: dict[str, Any]
    ctx: ToolContext


class ToolExecutor:
    """Runs tool calls for an effect host.

    Args:
        workspace: Directory for calls that name none; None refuses such calls.
        registry: The tools; the built-in ones when None.
        sink: Where facts are kept that tools record. Without one they end with the process, and no call of this
            executor can be reconciled.
        blobs: Finds the content of artifacts. Without it none can be read.
        known: Finds what is withheld from all sessions, and so is not kept.
        elsewhere: The workspace may be on another node: its tools are told where it is, and it need not be here.
    """

    def __init__(
        self,
        workspace: Path | str | None,
        registry: ToolRegistry | None = None,
        sink: ResultSink | None = None,
        blobs: Blobs | None = None,
        *,
        known: Callable[[], Known] = lambda: NOTHING_KNOWN,
        elsewhere: bool = False,
    ) -> None:
        self.registry = ToolRegistry.with_builtins() if registry is None else registry
        self.workspace = None if workspace is None else Path(workspace)
        self._validators: WeakKeyDictionary[Tool, Validator] = WeakKeyDictionary()
        self._recorded: dict[CallKey, dict[str, Any]] = {}
        self._left_behind: set[str] = set()
        self._sink = sink
        self._blobs = blobs
        self._known = known
        self._elsewhere = elsewhere

    @overload
    async def execute(self, call: ToolCall, emit: Emit) -> ToolOutcome: ...

    @overload
    async def execute(self, call: ModelCall | ToolCall, emit: Emit) -> ModelOutcome | ToolOutcome: ...

    async def execute(self, call: ModelCall | ToolCall, emit: Emit) -> ModelOutcome | ToolOutcome:
        """Run a call to its end.

        Raises:
            asyncio.CancelledError: The host cancelled it; ``cancelled`` tells what it gave.
        """
        if call.kind != "tool":
            return ModelOutcome(outcome=Outcome.error, error_code="InternalError", error="This host runs tools.")
        started = time.monotonic()
        try:
            outcome = await self._run(self._prepare(call, emit))
        except ToolError as error:
            outcome = failed(error.message)
        outcome = self._bounded(call, outcome)
        # Kept until here only: what is known of a cancelled call is still wanted by `cancelled`.
        self._recorded.pop(call.key, None)
        self._left_behind.discard(call.call_id)
        return outcome.model_copy(update={"duration_ms": int((time.monotonic() - started) * 1000)})

    @overload
    def cancelled(self, call: ToolCall, deltas: Sequence[Delta]) -> ToolOutcome: ...

    @overload
    def cancelled(self, call: ModelCall | ToolCall, deltas: Sequence[Delta]) -> ModelOutcome | ToolOutcome: ...

    def cancelled(self, call: ModelCall | ToolCall, deltas: Sequence[Delta]) -> ModelOutcome | ToolOutcome:
        """The outcome of a cancelled call: the output so far, and what it has recorded."""
        if call.kind != "tool":
            return ModelOutcome(outcome=Outcome.cancelled)
        text = "".join(delta.text for delta in deltas if delta.channel == "output")
        lost = f"[{deltas[0].index} earlier pieces of output are lost]\n" if deltas and deltas[0].index else ""
        left_behind = call.call_id in self._left_behind
        self._left_behind.discard(call.call_id)
        note = "[the call was cancelled, and may go on: verify what it did]" if left_behind else _CANCELLED
        content = f"{capped(lost + text, MAX_ARTIFACT_BYTES - len(note) - 1)}\n{note}".lstrip("\n")
        metadata = self._recorded.pop(call.key, {})
        outcome = Outcome.unknown if left_behind else Outcome.cancelled
        return ToolOutcome(outcome=outcome, content=clean(content), exit_code=1, metadata=small_metadata(metadata))

    async def reconcile(self, call: ToolCall, recorded: bytes | None) -> Reconciled:
        """What became of a call whose outcome was lost with its host.

        Args:
            call: The call.
            recorded: What it had recorded, as JSON; None when that was nothing.
        """
        try:
            run = self._prepare(call, _emit_nowhere)
            facts = json.loads(recorded) if recorded is not None else {}
            async with asyncio.timeout(run.ctx.timeout_s):
                found = await run.tool.reconcile(run.args, replace(run.ctx, recorded=facts))
        except Exception as error:
            log.info("tool %s cannot tell what became of call %s: %s", call.name, call.call_id, type(error).__name__)
            return UNCLEAR
        if found.outcome is None:
            return found if found.verdict is not Verdict.done else UNCLEAR
        return Reconciled.done(self._bounded(call, found.outcome))

    def _prepare(self, call: ToolCall, emit: Emit) -> _Run:
        tool = self.registry.get(call.name)
        if tool is None:
            names = ", ".join(definition.name for definition in self.registry.definitions())
            raise ToolError(f"Unknown tool: {call.name}. Use one of: {names}.")
        check(self._validator(tool), call.name, call.args)
        ctx = ToolContext(
            call_id=call.call_id,
            tenant=call.tenant,
            session_id=call.session_id,
            workspace=self._workspace(call),
            emit=from_any_thread(lambda text: emit("output", text)),
            timeout_s=min(tool.definition.timeout_s or call.timeout_s, call.limit_s or math.inf),
            record=lambda facts: self._record(call, facts),
            artifact=lambda: whole_artifact(call, self._blobs),
            sandboxed=call.sandboxed,
            commands=self.registry.commands,
            leave=lambda: self._left_behind.add(call.call_id),
        )
        return _Run(tool, call.args, ctx)

    def _validator(self, tool: Tool) -> Validator:
        found = self._validators.get(tool)
        if found is None:
            try:
                found = self._validators[tool] = validator(tool.definition.parameters)
            except InvalidConfig as error:
                raise ToolError(error.message) from error
        return found

    def _workspace(self, call: ToolCall) -> Path:
        chosen = Path(call.workspace) if call.workspace else self.workspace
        if chosen is None:
            raise ToolError("The session has no workspace. Set SessionConfig.workspace to a directory.")
        if self._elsewhere:
            return chosen
        try:
            canonical = chosen.resolve(strict=True)
        except (OSError, RuntimeError) as error:
            raise ToolError(f"The workspace {str(chosen)!r} does not exist on this host.") from error
        if not canonical.is_dir():
            raise ToolError(f"The workspace {str(chosen)!r} is not a directory.")
        return canonical

    async def _record(self, call: ToolCall, facts: Mapping[str, Any]) -> None:
        while len(self._recorded) >= MAX_RECORDED:
            del self._recorded[next(iter(self._recorded))]
        known = self._recorded[call.key] = self._recorded.get(call.key, {}) | dict(facts)
        if self._sink is not None:
            await keep_facts(self._sink, call, known, self._known())

    async def _run(self, run: _Run) -> ToolOutcome:
        limit = run.ctx.timeout_s
        outer = limit + BOUND_MARGIN_S if run.tool.bounds_itself else limit
        clock = asyncio.timeout(outer)
        try:
            async with clock:
                return await run.tool.run(run.args, run.ctx)
        except asyncio.CancelledError:
            if _is_ours():
                if run.tool.definition.effect is EffectClass.pure:
                    # What goes on changes nothing.
                    self._left_behind.discard(run.ctx.call_id)
                raise
            return failed(f"Tool execution error: the tool cancelled itself. {_CHANGE}", **{RAISED: "CancelledError"})
        except Exception as error:
            if clock.expired():
                end = "may still go on" if run.ctx.call_id in self._left_behind else "was stopped"
                text = f"The call of {run.tool.definition.name} timed out after {limit:g} s and {end}."
                return ToolOutcome(outcome=Outcome.timeout, content=text, exit_code=1, metadata={"timed_out": True})
            if isinstance(error, ToolError):
                raise
            return failed(_error_text(error), **{RAISED: type(error).__name__})

    def _bounded(self, call: ToolCall, outcome: ToolOutcome) -> ToolOutcome:
        return bounded(outcome, self._recorded.get(call.key, {}))


def _is_ours() -> bool:
    """Whether somebody has cancelled the task that runs the call, not the tool itself."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _error_text(error: Exception) -> str:
    known = error.message if isinstance(error, GreenroomError) else f"{type(error).__name__}: {error}"
    text = known[:_MAX_ERROR_CHARS].rstrip(" .")
    kinds = (TimeoutError, ConnectionError, BlockingIOError)
    transient = isinstance(error, kinds) or bool(_TRANSIENT.search(text))
    return f"Tool execution error: {text}. {_RETRY if transient else _CHANGE}"


def _emit_nowhere(channel: str, text: str) -> None:
    del channel, text
