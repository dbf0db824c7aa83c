"""What came of a call, as the record that closes it. Pure."""

from __future__ import annotations

import json
from typing import Any

from actors.domain import records as r
from actors.domain.blobs import Block
from actors.domain.calls import Attached, CallStatus, ModelOutcome, Outcome, ToolOutcome
from actors.domain.messages import PARSE_ERROR, Message, StopReason, ToolUseBlock
from actors.domain.records import Draft
from actors.domain.security import OnInjection
from actors.policy.security.results import released
from actors.session import asking, sampling
from actors.session.state import State
from actors.session.tool_call import CallPhase, ToolCallState
from actors.session.tool_steps import MAX_ARGS_BYTES
from actors.session.turn import ModelCallState, Turn


def closing_draft(state: State, answer: Attached) -> Draft | None:
    """The record for an answered attempt; None when the state waits for no such attempt (it is late or old)."""
    turn = state.turn
    if turn is None:
        return None
    if turn.model_call is not None and turn.model_call.key == answer.key:
        if turn.ending is None and _is_cancelled(answer):
            # Nobody here cancelled it: its host is going away, or took it for a call that was given up.
            return _model_failed(turn.turn_id, turn.model_call, "HostGone", "its host cancelled it", host_lost=True)
        return _model(turn, turn.model_call, answer)
    for call in turn.calls:
        if call.phase is CallPhase.started and call.key == answer.key:
            outcome = answer.outcome
            if turn.ending is None and isinstance(outcome, ToolOutcome) and outcome.outcome is Outcome.unknown:
                return _doubt(turn.turn_id, call, outcome.content)
            if isinstance(outcome, ToolOutcome) and outcome.asked is not None:
                return asking.required(turn.turn_id, call, outcome.asked)
            return _tool(turn, call, answer)
    return None


def _is_cancelled(answer: Attached) -> bool:
    return answer.outcome is not None and answer.outcome.outcome is Outcome.cancelled


def too_large_draft(draft: Draft) -> Draft:
    """Instead of a closing record that is larger than a record may be: the call came to an end that is of no use."""
    data = draft.data
    if isinstance(data, r.ToolCallCompleted.Data):
        update = {"outcome": Outcome.error, "exit_code": 1, "content": _TOO_LARGE, "metadata": {}}
        return Draft(draft.kind, data.model_copy(update=update), draft.turn_id, draft.cause)
    if isinstance(data, r.ToolCallLate.Data):
        return Draft(draft.kind, data.model_copy(update={"content": _TOO_LARGE}), draft.turn_id, draft.cause)
    if isinstance(data, r.ModelCallCompleted.Data):
        failed = r.ModelCallFailed.Data(
            call_id=data.call_id,
            attempt=data.attempt,
            code="ModelProtocolError",
            message=f"The answer of model {data.model!r} is too large to be kept.",
            error_args=(data.provider, "the answer is too large to be kept"),
            usage=data.usage,
            cost_usd=data.cost_usd,
            provider=data.provider,
            model=data.model,
        )
        return Draft(r.ModelCallFailed, failed, draft.turn_id, draft.cause)
    return draft


_TOO_LARGE = "The call ended, but what it gave is too large to be kept. Do it in smaller parts."


def lost_draft(state: State, answer: Attached, detail: str, *, untouched: bool) -> Draft | None:
    """The record for an attempt whose host is gone."""
    turn = state.turn
    if turn is None:
        return None
    if turn.model_call is not None and turn.model_call.key == answer.key:
        return _model_failed(turn.turn_id, turn.model_call, "HostGone", detail, host_lost=True)
    for call in turn.calls:
        if call.phase is CallPhase.started and call.key == answer.key:
            return _doubt(turn.turn_id, call, detail, untouched=untouched)
    return None


def late_draft(state: State, answer: Attached) -> Draft | None:
    """An outcome of a call that was closed without one; None when it is no news."""
    if not isinstance(answer.outcome, ToolOutcome) or answer.outcome.outcome is Outcome.unknown:
        return None
    if all(one.key != answer.key for one in state.unanswered):
        return None
    data = r.ToolCallLate.Data(
        call_id=answer.key.call_id,
        attempt=answer.key.attempt,
        outcome=answer.outcome.outcome,
        content=answer.outcome.parts,
    )
    return Draft(r.ToolCallLate, data, files=answer.outcome.files)


def _model(turn: Turn, call: ModelCallState, answer: Attached) -> Draft:
    turn_id = turn.turn_id
    outcome = answer.outcome
    if not isinstance(outcome, ModelOutcome):
        detail = "the host lost what came of it" if answer.status is CallStatus.settled_dropped else "it was cancelled"
        return _model_failed(turn_id, call, "HostGone", detail, host_lost=True)
    if call.sampling is not None:
        outcome = sampling.bounded(outcome)
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
            summary_of=turn.summary_of if call.sampling is None else None,
            sampling=call.sampling,
            output_problem=outcome.output_problem,
        )
        return Draft(r.ModelCallCompleted, data, turn_id)
    return _model_failed_by(turn, call, outcome)


def _bounded(message: Message) -> Message:
    """The message as it fits into a record.

    Arguments beyond the limit, all calls counted together, become an error that the loop hands back to the model. Very
    long thinking is dropped with its seal: providers want it back whole or not at all.
    """
    changes: dict[str, Any] = {}
    if len(message.reasoning_content or "") + len(message.reasoning_signature or "") > MAX_THINKING_CHARS:
        changes |= {"reasoning_content": None, "reasoning_signature": None}
    room = MAX_ARGS_BYTES
    content: list[Block] = []
    for block in message.content:
        if isinstance(block, ToolUseBlock):
            size = len(json.dumps(block.input))
            if size > room:
                block = block.model_copy(update={"input": {PARSE_ERROR: _TOO_LONG}})
            else:
                room -= size
            block = block.model_copy(update={"id": block.id[:MAX_NAME_CHARS], "name": block.name[:MAX_NAME_CHARS]})
        content.append(block)
    return message.model_copy(update=changes | {"content": tuple(content)})


MAX_THINKING_CHARS = 48 * 1024
"""Longest thinking that is kept with an answer: at three bytes a character it leaves room for the arguments."""

MAX_NAME_CHARS = 256
"""Names and ids that a model makes up are cut there, since records repeat them; providers take 64 characters."""

_TOO_LONG = f"the arguments are larger than {MAX_ARGS_BYTES // 1024} KiB"


def _model_failed_by(turn: Turn, call: ModelCallState, outcome: ModelOutcome) -> Draft:
    cancelled = outcome.outcome is Outcome.cancelled
    # Of an answer the beginning is worth something, of a summary, or to a tool, it is not.
    kept = outcome.message if cancelled and turn.summary_of is None and call.sampling is None else None
    partial = kept if kept is not None and kept.text.strip() else None
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
        provider=outcome.provider,
        model=outcome.model,
    )
    return Draft(r.ModelCallFailed, data, turn.turn_id)


def _model_failed(turn_id: str, call: ModelCallState, code: str, message: str, *, host_lost: bool) -> Draft:
    data = r.ModelCallFailed.Data(
        call_id=call.call_id,
        attempt=call.attempt,
        code=code,
        message=message,
        retryable=True,
        host_lost=host_lost,
    )
    return Draft(r.ModelCallFailed, data, turn_id)


def _tool(turn: Turn, call: ToolCallState, answer: Attached) -> Draft:
    outcome = answer.outcome
    if answer.status is CallStatus.settled_dropped:
        return _doubt(turn.turn_id, call, "it did finish, but what came of it was lost")
    if not isinstance(outcome, ToolOutcome):
        outcome = ToolOutcome(outcome=Outcome.cancelled, content="The call was cancelled.", exit_code=1)
    values: dict[str, Any] = {
        "call_id": answer.key.call_id,
        "attempt": call.attempt,
        "index": call.index,
        "tool_use_id": call.tool_use_id,
        "name": call.name,
        "outcome": outcome.outcome,
        "content": outcome.content if not outcome.images else outcome.parts,
        "exit_code": outcome.exit_code,
        "metadata": outcome.metadata,
        "duration_ms": outcome.duration_ms,
    }
    if outcome.sifted.treated is not OnInjection.ask:
        return Draft(r.ToolCallCompleted, r.ToolCallCompleted.Data(**values), turn.turn_id, files=outcome.files)
    if turn.ending is None:
        held = r.ToolCallHeld.Data(**values, orders=outcome.sifted.orders)
        return Draft(r.ToolCallHeld, held, turn.turn_id, files=outcome.files)
    withheld = released(values, outcome.sifted.orders, OnInjection.block)
    return Draft(r.ToolCallCompleted, r.ToolCallCompleted.Data(**withheld), turn.turn_id)


def _doubt(turn_id: str, call: ToolCallState, detail: str, *, untouched: bool = False) -> Draft:
    data = r.ToolCallInDoubt.Data(
        call_id=call.call_id or "",
        attempt=call.attempt,
        index=call.index,
        tool_use_id=call.tool_use_id,
        name=call.name,
        detail=detail,
        untouched=untouched,
    )
    return Draft(r.ToolCallInDoubt, data, turn_id)
