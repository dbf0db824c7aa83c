"""The meaning of the records of a turn's model calls and tool calls.

Pure, as ``actors.session.fold``, which dispatches to these.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

from actors.domain import records as r
from actors.domain.calls import Outcome
from actors.domain.command import digest_of_json
from actors.domain.messages import BlobTextBlock, Message, StopReason, TextBlock, TokenUsage
from actors.errors import InternalError
from actors.session.batches import all_settled, calls_within
from actors.session.failure import NO_SUMMARY, NO_TITLE, Failure
from actors.session.questions import after_loss
from actors.session.spilling import with_artifacts
from actors.session.state import MAX_UNANSWERED, Entry, State
from actors.session.tool_call import CallPhase, ToolCallState
from actors.session.turn import ModelCallState, Stage, Turn, Unanswered


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
        "summary_of": data.summary_of,
        "continuations": turn.continuations + (1 if data.nudge else 0),
    }
    if first:
        changes |= {"failures": 0, "hosts_lost": 0, "failure": None}
    return change_turn(change(state, context=context), **changes)


def spent(state: State, usage: TokenUsage, cost_usd: str | None) -> State:
    """Add one model call's tokens and price to the turn and the session."""
    turn = open_turn(state)
    cost = None if cost_usd is None or turn.cost is None else turn.cost + Decimal(cost_usd)
    total = state.cost + Decimal(cost_usd) if cost_usd is not None else state.cost
    return change_turn(change(state, usage=state.usage + usage, cost=total), usage=turn.usage + usage, cost=cost)


def model_completed(state: State, record: r.ModelCallCompleted) -> State:
    """The answer joins the context; its tool calls open a round."""
    data = record.data
    if data.summary_of is not None:
        return _summary_completed(state, data)
    asked = data.message.tool_calls
    calls = tuple(
        ToolCallState(index=index, tool_use_id=block.id, name=block.name, args=block.input)
        for index, block in enumerate(asked)
    )
    state = spent(state, data.usage, data.cost_usd)
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
        output_problem=data.output_problem,
        compacted=None,
    )


def _summary_completed(state: State, data: r.ModelCallCompleted.Data) -> State:
    """A summary waits until the context is compacted, or the session named, with it."""
    state = spent(state, data.usage, data.cost_usd)
    title = open_turn(state).title
    parts = _texts(data.message)
    written = data.message.text.strip() or (not title and any(isinstance(part, BlobTextBlock) for part in parts))
    if not written or data.stop_reason is StopReason.refusal:
        failure = NO_TITLE if title else NO_SUMMARY
        return change_turn(state, stage=Stage.model, model_call=None, failure=failure)
    return change_turn(state, stage=Stage.model, model_call=None, failure=None, summary=parts)


def _answer_parts(message: Message) -> tuple[TextBlock | BlobTextBlock, ...]:
    """The answer's text piece by piece, when some of it is kept in the store."""
    parts = _texts(message)
    return parts if any(isinstance(part, BlobTextBlock) for part in parts) else ()


def _texts(message: Message) -> tuple[TextBlock | BlobTextBlock, ...]:
    return tuple(block for block in message.content if isinstance(block, TextBlock | BlobTextBlock))


def model_failed(state: State, record: r.ModelCallFailed) -> State:
    """The attempt is over; what had arrived of a cancelled one is kept."""
    data = record.data
    state = spent(state, data.usage, data.cost_usd) if data.usage.total_tokens else state
    turn = open_turn(state)
    if data.partial is not None:
        state = change(state, context=remember(state, record.seq, data.partial.encode()))
    failure = Failure.of(data)
    return change_turn(
        state,
        stage=Stage.model,
        model_call=None,
        failures=turn.failures + (0 if data.host_lost or failure.unsent else 1),
        hosts_lost=turn.hosts_lost + (1 if data.host_lost else 0),
        failure=failure,
    )


# --- tool calls ------------------------------------------------------------------------------------------------------


def change_call(state: State, index: int, **changes: Any) -> State:
    """A copy of the state with other values in one call of the open round."""
    calls = tuple(call.model_copy(update=changes) if call.index == index else call for call in open_turn(state).calls)
    return change_turn(state, calls=calls)


def call_at(state: State, index: int) -> ToolCallState:
    """A call of the open round."""
    return open_turn(state).calls[index]


def _settle(state: State, seq: int, index: int, result: Message, *, malformed: bool = False) -> State:
    """A call has its result. When it was the round's last, the results join the context in the calls' order."""
    call = call_at(state, index)
    state = change_call(state, index, phase=CallPhase.settled, result=result.encode())
    state = _counted(state, call, malformed=malformed) if call.batch is None else _told(state, call.batch)
    calls = open_turn(state).calls
    if any(one.phase is not CallPhase.settled for one in calls):
        return state
    results = [one.result for one in calls if one.result is not None and one.batch is None]
    state = flush_held(change(state, context=remember(state, seq, *results)))
    return change_turn(state, calls=(), stage=Stage.model, call_id="", alerted=())


def _counted(state: State, call: ToolCallState, *, malformed: bool) -> State:
    """How often the model has sent the same, or what nobody can read."""
    turn = open_turn(state)
    digest = digest_of_json([call.name, call.args])
    return change_turn(
        state,
        parse_failures=turn.parse_failures + 1 if malformed else 0,
        repeats=turn.repeats + 1 if turn.repeated == digest else 1,
        repeated=digest,
    )


def _told(state: State, batch: int) -> State:
    """A call within a batch is settled; when it was the last one, the batch has what it waited for."""
    return change_call(state, batch, woken=True) if all_settled(open_turn(state).calls, batch) else state


def _joined(state: State, batch: ToolCallState) -> State:
    """The calls within a batch belong to the round."""
    turn = open_turn(state)
    within = calls_within(batch, len(turn.calls))
    return change_turn(state, calls=(*turn.calls, *within), tool_calls_count=turn.tool_calls_count + len(within))


def tool_started(state: State, record: r.ToolCallStarted) -> State:
    """The call is with its host."""
    data = record.data
    args = data.args if data.args is not None else call_at(state, data.index).args
    for_ms = data.wait.for_ms if data.wait is not None else None
    state = change_call(
        state,
        data.index,
        phase=CallPhase.started,
        call_id=data.call_id,
        attempt=data.attempt,
        seq=record.seq,
        host=data.host,
        effect=data.effect,
        args=args,
        wait=data.wait,
        woken=False,
        offer=data.offer,
        offered=call_at(state, data.index).offered and data.offer is not None,
        abandoned=data.abandon,
        wakes_at=record.at + timedelta(milliseconds=for_ms) if for_ms is not None else None,
    )
    return _joined(state, call_at(state, data.index)) if data.wait is not None and data.wait.calls else state


def tool_completed(state: State, record: r.ToolCallCompleted) -> State:
    """The call has a result."""
    data = record.data
    call = call_at(state, data.index)
    if data.outcome is Outcome.unknown and call.wait is None:
        host = call.host if call.phase is CallPhase.started else None
        state = still_news(state, Unanswered(call_id=data.call_id, attempt=data.attempt, host=host))
    state = with_artifacts(state, data)
    error = data.outcome is not Outcome.ok
    return _settle(state, record.seq, data.index, Message.tool_result(data.tool_use_id, data.content, is_error=error))


def tool_held(state: State, record: r.ToolCallHeld) -> State:
    """The call is over, and its result waits for a decision; what was decided about the call itself is done with."""
    held = record.data
    state = with_artifacts(state, held)
    return change_call(state, held.index, phase=CallPhase.held, held=held, decision=None, action_id=None)


def tool_denied(state: State, record: r.ToolCallDenied) -> State:
    """The call was never run; the model gets the reason."""
    data = record.data
    result = Message.tool_result(data.tool_use_id, data.reason, is_error=True)
    return _settle(state, record.seq, data.index, result, malformed=data.code == "malformed")


def tool_in_doubt(state: State, record: r.ToolCallInDoubt) -> State:
    """The attempt is lost."""
    data = record.data
    return change_call(
        still_news(state, Unanswered(call_id=data.call_id, attempt=data.attempt)),
        data.index,
        phase=CallPhase.in_doubt,
        doubt=data.detail,
        untouched=data.untouched,
        decision=None,
        action_id=None,
        asking=after_loss(call_at(state, data.index).asking),
    )


def tool_late(state: State, record: r.ToolCallLate) -> State:
    """What became of the attempt is known after all."""
    late = (record.data.call_id, record.data.attempt)
    state = with_artifacts(state, record.data)
    return change(state, unanswered=tuple(one for one in state.unanswered if (one.call_id, one.attempt) != late))


def still_news(state: State, one: Unanswered) -> State:
    """An outcome of this attempt would still be news. What a fork finds open is its source's to find out."""
    known = any(other.key == one.key for other in state.unanswered)
    if known or not one.call_id.startswith(f"{state.journal_id}:"):
        return state
    return change(state, unanswered=(*state.unanswered, one)[-MAX_UNANSWERED:])
