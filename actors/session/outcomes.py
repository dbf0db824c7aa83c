"""What came of a call, as the record that closes it. Pure."""

from __future__ import annotations

import json

from actors.domain import records as r
from actors.domain.calls import Attached, CallStatus, ModelOutcome, Outcome, ToolOutcome
from actors.domain.messages import PARSE_ERROR, Message, StopReason, ToolUseBlock
from actors.domain.records import Draft
from actors.session.state import CallPhase, ModelCallState, State, ToolCallState
from actors.session.tool_steps import MAX_ARGS_BYTES


def closing_draft(state: State, answer: Attached) -> Draft | None:
    """The record for an answered attempt; None when the state waits for no such attempt (it is late or old)."""
    turn = state.turn
    if turn is None:
        return None
    if turn.model_call is not None and turn.model_call.key == answer.key:
        return _model(turn.turn_id, turn.model_call, answer)
    for call in turn.calls:
        if call.phase is CallPhase.started and call.key == answer.key:
            return _tool(turn.turn_id, call, answer)
    return None


def lost_draft(state: State, answer: Attached, detail: str) -> Draft | None:
    """The record for an attempt whose host is gone."""
    turn = state.turn
    if turn is None:
        return None
    if turn.model_call is not None and turn.model_call.key == answer.key:
        return _model_failed(turn.turn_id, turn.model_call, "HostGone", detail, retryable=True, host_lost=True)
    for call in turn.calls:
        if call.phase is CallPhase.started and call.key == answer.key:
            return _doubt(turn.turn_id, call, detail)
    return None


def late_draft(answer: Attached) -> Draft | None:
    """An outcome that nobody waits for any more."""
    if not isinstance(answer.outcome, ToolOutcome):
        return None
    data = r.ToolCallLate.Data(
        call_id=answer.key.call_id,
        attempt=answer.key.attempt,
        outcome=answer.outcome.outcome,
        content=answer.outcome.parts,
    )
    return Draft(r.ToolCallLate, data)


def _model(turn_id: str, call: ModelCallState, answer: Attached) -> Draft:
    outcome = answer.outcome
    if not isinstance(outcome, ModelOutcome):
        detail = "the host lost what came of it" if answer.status is CallStatus.settled_dropped else "it was cancelled"
        return _model_failed(turn_id, call, "HostGone", detail, retryable=True, host_lost=True)
    if outcome.outcome is Outcome.ok and outcome.message is not None and outcome.stop_reason is not None:
        data = r.ModelCallCompleted.Data(
            call_id=call.call_id,
            attempt=call.attempt,
            message=_bounded(outcome.message),
            stop_reason=StopReason.tool_use if outcome.message.tool_calls else outcome.stop_reason,
            usage=outcome.usage,
            cost_usd=outcome.cost_usd,
            provider=outcome.provider,
            model=outcome.model,
            duration_ms=outcome.duration_ms,
        )
        return Draft(r.ModelCallCompleted, data, turn_id)
    return _model_failed_by(turn_id, call, outcome)


def _bounded(message: Message) -> Message:
    """The message with over-long arguments replaced by an error that the loop hands back to the model."""
    if not any(len(json.dumps(block.input)) > MAX_ARGS_BYTES for block in message.tool_calls):
        return message
    reason = f"the arguments are larger than {MAX_ARGS_BYTES // 1024} KiB"
    content = tuple(
        block.model_copy(update={"input": {PARSE_ERROR: reason}})
        if isinstance(block, ToolUseBlock) and len(json.dumps(block.input)) > MAX_ARGS_BYTES
        else block
        for block in message.content
    )
    return message.model_copy(update={"content": content})


def _model_failed_by(turn_id: str, call: ModelCallState, outcome: ModelOutcome) -> Draft:
    cancelled = outcome.outcome is Outcome.cancelled
    partial = outcome.message if cancelled and outcome.message and outcome.message.text.strip() else None
    data = r.ModelCallFailed.Data(
        call_id=call.call_id,
        attempt=call.attempt,
        code="cancelled" if cancelled else outcome.error_code or "ModelError",
        message="cancelled" if cancelled else outcome.error or "the model call failed",
        error_args=outcome.error_args,
        retryable=outcome.retryable and not cancelled,
        partial=Message.assistant(partial.text) if partial else None,
        usage=outcome.usage,
        cost_usd=outcome.cost_usd,
    )
    return Draft(r.ModelCallFailed, data, turn_id)


def _model_failed(
    turn_id: str, call: ModelCallState, code: str, message: str, *, retryable: bool, host_lost: bool
) -> Draft:
    data = r.ModelCallFailed.Data(
        call_id=call.call_id,
        attempt=call.attempt,
        code=code,
        message=message,
        retryable=retryable,
        host_lost=host_lost,
    )
    return Draft(r.ModelCallFailed, data, turn_id)


def _tool(turn_id: str, call: ToolCallState, answer: Attached) -> Draft:
    outcome = answer.outcome
    if answer.status is CallStatus.settled_dropped:
        return _doubt(turn_id, call, "it did finish, but what came of it was lost")
    if not isinstance(outcome, ToolOutcome):
        outcome = ToolOutcome(outcome=Outcome.cancelled, content="The call was cancelled.", exit_code=1)
    data = r.ToolCallCompleted.Data(
        call_id=answer.key.call_id,
        attempt=call.attempt,
        index=call.index,
        tool_use_id=call.tool_use_id,
        name=call.name,
        outcome=outcome.outcome,
        content=outcome.content if not outcome.images else outcome.parts,
        exit_code=outcome.exit_code,
        metadata=outcome.metadata,
        duration_ms=outcome.duration_ms,
    )
    return Draft(r.ToolCallCompleted, data, turn_id)


def _doubt(turn_id: str, call: ToolCallState, detail: str) -> Draft:
    data = r.ToolCallInDoubt.Data(
        call_id=call.call_id or "",
        attempt=call.attempt,
        index=call.index,
        tool_use_id=call.tool_use_id,
        name=call.name,
        detail=detail,
    )
    return Draft(r.ToolCallInDoubt, data, turn_id)
