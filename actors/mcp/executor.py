"""Runs calls of MCP tools for an effect host."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any, Final

from actors.domain.calls import (
    RAISED,
    UNCLEAR,
    Delta,
    Emit,
    ModelCall,
    ModelOutcome,
    Outcome,
    Reconciled,
    ToolCall,
    ToolOutcome,
)
from actors.domain.tools import EffectClass
from actors.mcp.connection import Lost, McpConnection, NotConnected
from actors.mcp.problems import hidden
from actors.mcp.results import outcome_of
from actors.tools.base import capped, failed

CONNECT_WAIT_S: Final = 10.0
"""How long a call waits for a server that is being connected again."""

MAX_ATTEMPTS: Final = 3
"""How often a call that may be repeated is made when the server goes away under it."""

MAX_PROGRESS_CHARS: Final = 500
_MAX_ERROR_CHARS: Final = 2000
_TIMED_OUT: Final = -32001


class McpExecutor:
    """``Executor`` over one connection."""

    def __init__(self, connection: McpConnection) -> None:
        self._connection = connection

    async def execute(self, call: ModelCall | ToolCall, emit: Emit) -> ModelOutcome | ToolOutcome:
        """See ``Executor.execute``."""
        if call.kind != "tool":
            return ModelOutcome(outcome=Outcome.error, error_code="InternalError", error="This host runs tools.")
        started = time.monotonic()
        outcome = await self._run(call, emit)
        return outcome.model_copy(update={"duration_ms": int((time.monotonic() - started) * 1000)})

    def cancelled(self, call: ModelCall | ToolCall, deltas: Sequence[Delta]) -> ModelOutcome | ToolOutcome:
        """See ``Executor.cancelled``: the server was told, and nobody knows what it has done of it."""
        if call.kind != "tool":
            return ModelOutcome(outcome=Outcome.cancelled)
        text = "".join(delta.text for delta in deltas if delta.channel == "output")
        note = "[the call was cancelled, and the server told; verify what it did]"
        return ToolOutcome(outcome=Outcome.cancelled, content=f"{capped(text)}\n{note}".lstrip("\n"), exit_code=1)

    async def reconcile(self, call: ToolCall, recorded: bytes | None) -> Reconciled:
        """See ``Executor.reconcile``: the protocol has no such question."""
        del call, recorded
        return UNCLEAR

    async def _run(self, call: ToolCall, emit: Emit) -> ToolOutcome:
        name = (self._connection.published.names or {}).get(call.name)
        attempts = 1 if call.effect is EffectClass.unsafe else MAX_ATTEMPTS
        timeout_s = min(self._connection.config.tool_timeout_s, call.limit_s or math.inf)
        server = self._connection.config.name
        if name is None:
            # Its tools are known only once it is there.
            try:
                await self._connection.client(min(CONNECT_WAIT_S, timeout_s))
            except NotConnected as exc:
                return self._failed(
                    f"MCP server {server} cannot be reached: {exc}. The call was not made.", "NotConnected"
                )
            name = (self._connection.published.names or {}).get(call.name)
            if name is None:
                return failed(f"MCP server {server} has no tool {call.name} any more.")
        for attempt in range(1, attempts + 1):
            try:
                return await self._ask(name, call, timeout_s, emit)
            except Lost as exc:
                if attempt == attempts:
                    return self._lost(call, exc)
            except NotConnected as exc:
                return self._failed(
                    f"MCP server {server} cannot be reached: {exc}. The call was not made.", "NotConnected"
                )
        raise AssertionError("a loop over at least one attempt ends inside")

    def _lost(self, call: ToolCall, why: Lost) -> ToolOutcome:
        more = "" if call.effect is not EffectClass.unsafe else " The call may or may not have taken effect: verify."
        return self._failed(
            f"MCP server {self._connection.config.name} went away during the call: {why}.{more}", "Lost"
        )

    async def _ask(self, name: str, call: ToolCall, timeout_s: float, emit: Emit) -> ToolOutcome:
        from mcp import MCPError

        async def progress(done: float, total: float | None, message: str | None) -> None:
            share = f"{done:g}" if total is None else f"{done:g}/{total:g}"
            emit("output", f"[{share}] {(message or '')[:MAX_PROGRESS_CHARS]}".rstrip() + "\n")

        try:
            result: Any = await self._connection.call(
                name, call.args, timeout_s, progress, min(CONNECT_WAIT_S, timeout_s)
            )
            return outcome_of(result)
        except (Lost, NotConnected):
            raise
        except MCPError as exc:
            if exc.code == _TIMED_OUT:
                return self._late(timeout_s)
            return self._failed(
                f"MCP server {self._connection.config.name} refused the call: {exc.message}", "MCPError"
            )
        except TimeoutError:
            return self._late(timeout_s)
        except Exception as exc:
            text = f"MCP server {self._connection.config.name} gave no valid answer: {exc}"
            return self._failed(text, type(exc).__name__)

    def _late(self, timeout_s: float) -> ToolOutcome:
        text = f"The call timed out after {timeout_s:g} s. The server was told to stop; verify what it did."
        return ToolOutcome(outcome=Outcome.timeout, content=text, exit_code=1, metadata={"timed_out": True})

    def _failed(self, text: str, kind: str) -> ToolOutcome:
        return failed(hidden(text[:_MAX_ERROR_CHARS], self._connection.config.secrets), **{RAISED: kind})
