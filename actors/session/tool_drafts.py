"""The records of one tool call of the open round, made from the state it has. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from actors.domain import records as r
from actors.domain.actions import ActionKind, Resolution
from actors.domain.calls import HostRef, Outcome
from actors.domain.command import digest_of_json
from actors.domain.ids import derived_id
from actors.domain.records import Draft, Offer, ResultContent, Wait
from actors.policy.effects import effect_of
from actors.session.ports import ToolSpec
from actors.session.state import State
from actors.session.tool_call import ToolCallState
from actors.session.turn import Turn


def question(
    state: State,
    turn: Turn,
    call: ToolCallState,
    kind: ActionKind,
    args: dict[str, Any],
    *which: int,
    timeout_ms: int | None = None,
    detail: str = "",
) -> r.ActionRequested.Data:
    """What somebody is asked about it. ``which``: what tells it from other questions of its kind about the call."""
    # Actions of one append are listed by their ids, and people read them in the calls' order.
    prefix = f"act_{call.index:02}_"
    return r.ActionRequested.Data(
        action_id=derived_id(prefix, state.journal_id, turn.turn_id, turn.round, call.index, kind, *which),
        kind=kind,
        index=call.index,
        tool_use_id=call.tool_use_id,
        tool=call.name,
        args=args,
        args_digest=digest_of_json(args),
        timeout_ms=timeout_ms,
        detail=detail,
    )


def denied(turn: Turn, call: ToolCallState, code: str, reason: str) -> Draft:
    """It is never run; ``reason`` is what the model reads."""
    data = r.ToolCallDenied.Data(
        index=call.index, tool_use_id=call.tool_use_id, name=call.name, code=code, reason=reason
    )
    return Draft(r.ToolCallDenied, data, turn.turn_id)


def unknown(turn: Turn, call: ToolCallState, tools: Iterable[str]) -> Draft:
    """There is no such tool."""
    return denied(turn, call, "unknown_tool", f"Unknown tool: {call.name}. Use one of: {', '.join(sorted(tools))}.")


def forbidden(turn: Turn, call: ToolCallState) -> Draft:
    """The permission policy denies it."""
    return denied(turn, call, "permission", f"Permission denied: the policy does not allow {call.name} with this.")


def rejected(turn: Turn, call: ToolCallState) -> Draft:
    """Whoever was asked said no."""
    because = f" Reason: {call.reason}." if call.reason else ""
    return denied(
        turn, call, "rejected", f"The call of {call.name} was rejected.{because} Do not try it again unless asked to."
    )


def repeated(turn: Turn, call: ToolCallState) -> Draft:
    """The model has sent it too often in a row."""
    text = (
        "Error: this is the same call with the same arguments as the calls before, and it was not run again. "
        "Use the results you have, or do something else."
    )
    return denied(turn, call, "duplicate", text)


def started(
    turn: Turn, call: ToolCallState, spec: ToolSpec, host: HostRef, wait: Wait | None = None, offer: Offer | None = None
) -> Draft:
    """Its next attempt begins."""
    data = r.ToolCallStarted.Data(
        call_id=call.call_id or "",
        attempt=call.attempt + 1,
        index=call.index,
        tool_use_id=call.tool_use_id,
        name=call.name,
        effect=effect_of(spec.definition, call.args),
        host=host,
        args=call.args if call.decision is Resolution.approve or call.batch is not None else None,
        wait=wait,
        offer=offer,
    )
    return Draft(r.ToolCallStarted, data, turn.turn_id)


def completed(
    turn: Turn,
    call: ToolCallState,
    outcome: Outcome,
    content: ResultContent,
    *,
    exit_code: int = 0,
    metadata: dict[str, Any] | None = None,
) -> Draft:
    """It has an outcome that no host gave."""
    data = r.ToolCallCompleted.Data(
        call_id=call.call_id or "",
        attempt=call.attempt,
        index=call.index,
        tool_use_id=call.tool_use_id,
        name=call.name,
        outcome=outcome,
        content=content,
        exit_code=exit_code,
        metadata=metadata or {},
    )
    return Draft(r.ToolCallCompleted, data, turn.turn_id)
