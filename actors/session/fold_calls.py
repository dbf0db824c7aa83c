"""The meaning of the records of a turn's model calls, tool calls, actions and timers.

Pure, as ``actors.session.fold``, which dispatches to these.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

from actors.domain import records as r
from actors.domain.actions import CHOICES, Action, Resolution
from actors.domain.calls import Outcome
from actors.domain.commands import digest_of_json
from actors.domain.messages import BlobTextBlock, Message, TextBlock, TokenUsage
from actors.errors import InternalError
from actors.session.state import (
    CallPhase,
    Entry,
    Failure,
    ModelCallState,
    Stage,
    State,
    ToolCallState,
    Turn,
)


def change(state: State, **changes: Any) -> State:
    """A copy of the state with other values."""
    return state.model_copy(update=changes)


def change_turn(state: State, **changes: Any) -> State:
    """A copy of the state with other values in its open turn."""
    return change(state, turn=open_turn(state).model_copy(update=changes))


def open_turn(state: State) -> Turn:
    """The open turn; a record that needs one cannot come without it."""
    if state.turn is None:
        raise InternalError("record of a turn without an open turn")
    return state.turn


def flush_held(state: State) -> State:
    """Messages that were added in the middle of a round join the context once nothing can be torn apart."""
    return change(state, context=(*state.context, *state.held), held=()) if state.held else state


def remember(state: State, seq: int, *messages: bytes) -> tuple[Entry, ...]:
    """The context with messages added."""
    return (*state.context, *(Entry(seq, message) for message in messages))


# --- model calls -----------------------------------------------------------------------------------------------------


def model_started(state: State, record: r.ModelCallStarted) -> State:
    """The turn waits for this attempt."""
    data = record.data
    state = flush_held(state)
    turn = open_turn(state)
    first = data.attempt == 1
    context = remember(state, record.seq, Message.user(data.nudge).encode()) if data.nudge else state.context
    changes: dict[str, Any] = {
        "stage": Stage.calling,
        "model_call": ModelCallState(
            call_id=data.call_id, attempt=data.attempt, seq=record.seq, host=data.host, model=data.model
        ),
        "call_id": data.call_id,
        "attempts": data.attempt,
        "round": data.round,
        "continuations": turn.continuations + (1 if data.nudge else 0),
    }
    if first:
        changes |= {"failures": 0, "hosts_lost": 0, "failure": None}
    return change_turn(change(state, context=context), **changes)


def _spent(state: State, usage: TokenUsage, cost_usd: str | None) -> State:
    """Add one model call's tokens and price to the turn and the session."""
    turn = open_turn(state)
    cost = None if cost_usd is None or turn.cost is None else turn.cost + Decimal(cost_usd)
    total = state.cost + Decimal(cost_usd) if cost_usd is not None else state.cost
    return change_turn(change(state, usage=state.usage + usage, cost=total), usage=turn.usage + usage, cost=cost)


def model_completed(state: State, record: r.ModelCallCompleted) -> State:
    """The answer joins the context; its tool calls open a round."""
    data = record.data
    asked = data.message.tool_calls
    calls = tuple(
        ToolCallState(index=index, tool_use_id=block.id, name=block.name, args=block.input)
        for index, block in enumerate(asked)
    )
    state = _spent(state, data.usage, data.cost_usd)
    turn = open_turn(state)
    state = change(
        state,
        context=remember(state, record.seq, data.message.encode()),
        context_used=data.usage.prompt_tokens or state.context_used,
    )
    return change_turn(
        state,
        stage=Stage.tools if calls else Stage.answered,
        model_call=None,
        failures=0,
        hosts_lost=0,
        failure=None,
        calls=calls,
        used_tools=turn.used_tools or bool(calls),
        tool_calls_count=turn.tool_calls_count + len(calls),
        text=data.message.text,
        parts=_answer_parts(data.message),
        stop_reason=data.stop_reason,
    )


def _answer_parts(message: Message) -> tuple[TextBlock | BlobTextBlock, ...]:
    """The answer's text piece by piece, when some of it is kept in the store."""
    parts = tuple(block for block in message.content if isinstance(block, TextBlock | BlobTextBlock))
    return parts if any(isinstance(part, BlobTextBlock) for part in parts) else ()


def model_failed(state: State, record: r.ModelCallFailed) -> State:
    """The attempt is over; what had arrived of a cancelled one is kept."""
    data = record.data
    state = _spent(state, data.usage, data.cost_usd) if data.usage.total_tokens else state
    turn = open_turn(state)
    if data.partial is not None:
        state = change(state, context=remember(state, record.seq, data.partial.encode()))
    failure = Failure(
        code=data.code,
        message=data.message,
        error_args=data.error_args,
        retryable=data.retryable,
        host_lost=data.host_lost,
    )
    return change_turn(
        state,
        stage=Stage.model,
        model_call=None,
        failures=turn.failures + (0 if data.host_lost else 1),
        hosts_lost=turn.hosts_lost + (1 if data.host_lost else 0),
        failure=failure,
    )


# --- tool calls ------------------------------------------------------------------------------------------------------


def _change_call(state: State, index: int, **changes: Any) -> State:
    calls = tuple(call.model_copy(update=changes) if call.index == index else call for call in open_turn(state).calls)
    return change_turn(state, calls=calls)


def _call(state: State, index: int) -> ToolCallState:
    return open_turn(state).calls[index]


def _settle(state: State, seq: int, index: int, result: Message, *, malformed: bool = False) -> State:
    """A call has its result. When it was the round's last, the results join the context in the calls' order."""
    call = _call(state, index)
    turn = open_turn(state)
    digest = digest_of_json([call.name, call.args])
    state = _change_call(state, index, phase=CallPhase.settled, result=result.encode())
    state = change_turn(
        state,
        parse_failures=turn.parse_failures + 1 if malformed else 0,
        repeats=turn.repeats + 1 if turn.repeated == digest else 1,
        repeated=digest,
    )
    calls = open_turn(state).calls
    if any(one.phase is not CallPhase.settled for one in calls):
        return state
    results = [one.result for one in calls if one.result is not None]
    state = flush_held(change(state, context=remember(state, seq, *results)))
    return change_turn(state, calls=(), stage=Stage.model, call_id="")


def tool_started(state: State, record: r.ToolCallStarted) -> State:
    """The call is with its host."""
    data = record.data
    args = data.args if data.args is not None else _call(state, data.index).args
    return _change_call(
        state,
        data.index,
        phase=CallPhase.started,
        call_id=data.call_id,
        attempt=data.attempt,
        seq=record.seq,
        host=data.host,
        effect=data.effect,
        args=args,
    )


def tool_completed(state: State, record: r.ToolCallCompleted) -> State:
    """The call has a result."""
    data = record.data
    error = data.outcome is not Outcome.ok
    return _settle(state, record.seq, data.index, Message.tool_result(data.tool_use_id, data.content, is_error=error))


def tool_denied(state: State, record: r.ToolCallDenied) -> State:
    """The call was never run; the model gets the reason."""
    data = record.data
    result = Message.tool_result(data.tool_use_id, data.reason, is_error=True)
    return _settle(state, record.seq, data.index, result, malformed=data.code == "malformed")


def tool_in_doubt(state: State, record: r.ToolCallInDoubt) -> State:
    """Nobody knows whether the call ran."""
    data = record.data
    return _change_call(state, data.index, phase=CallPhase.in_doubt, doubt=data.detail, decision=None, action_id=None)


# --- actions, timers, children ---------------------------------------------------------------------------------------


def action_requested(state: State, record: r.ActionRequested) -> State:
    """The call waits for a decision."""
    data = record.data
    expires = record.at + timedelta(milliseconds=data.timeout_ms) if data.timeout_ms is not None else None
    action = Action(
        action_id=data.action_id,
        kind=data.kind,
        session_id=state.session_id,
        turn_id=open_turn(state).turn_id,
        call_index=data.index,
        tool_use_id=data.tool_use_id,
        tool=data.tool,
        args=data.args,
        args_digest=data.args_digest,
        requested_at=record.at,
        expires_at=expires,
        detail=data.detail,
    )
    call = _call(state, data.index)
    phase = CallPhase.asked if call.phase is CallPhase.proposed else call.phase
    state = _change_call(state, data.index, phase=phase, action_id=data.action_id, decision=None)
    return change(state, actions=(*state.actions, action))


def action_resolved(state: State, record: r.ActionResolved) -> State:
    """The call has its decision."""
    data = record.data
    action = next((one for one in state.actions if one.action_id == data.action_id), None)
    if action is None:
        return state
    call = _call(state, action.call_index)
    state = _change_call(
        state,
        action.call_index,
        phase=CallPhase.decided if call.phase is CallPhase.asked else call.phase,
        decision=data.resolution,
        reason=data.reason,
        value=data.value,
        args=data.args if data.args is not None else call.args,
    )
    return change(
        state,
        actions=tuple(one for one in state.actions if one.action_id != data.action_id),
        expired=tuple(one for one in state.expired if one != data.action_id),
    )


def timer_fired(state: State, record: r.TimerFired) -> State:
    """A moment has passed."""
    kind, _, action_id = record.data.name.partition(":")
    if kind == "turn":
        return change_turn(state, timed_out=True) if state.turn else state
    return change(state, expired=(*state.expired, action_id))


def resolved_action(action: Action, record: r.ActionResolved) -> Action:
    """The action after its resolution, for the store's table."""
    data = record.data
    changes = {"resolution": data.resolution, "resolved_by": data.by, "resolved_at": record.at}
    return action.model_copy(update=changes)


def may_resolve(action: Action, resolution: Resolution) -> bool:
    """Whether a person may resolve the action this way."""
    return resolution in CHOICES[action.kind]
