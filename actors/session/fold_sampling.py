"""The meaning of the records of model calls that answer a tool, and not the session.

Pure, as ``actors.session.fold``, which dispatches to these. Nothing of them joins the context; what they took counts.
"""

from __future__ import annotations

from typing import Any

from actors.domain import records as r
from actors.domain.asking import Answer, QuestionMode, SamplingOf
from actors.session import fold_calls as calls
from actors.session import fold_lanes as lanes
from actors.session.failure import Failure
from actors.session.fold_calls import call_at, change_call, change_turn, open_turn, spent
from actors.session.questions import Asking, SamplingAttempt
from actors.session.state import State
from actors.session.turn import ModelCallState


def model_started(state: State, record: r.ModelCallStarted) -> State:
    """A model call begins, for the turn or for a tool."""
    data = record.data
    state = lanes.model_began(state, record)
    if data.sampling is None:
        return calls.model_started(state, record)
    under_way = ModelCallState(
        call_id=data.call_id,
        attempt=data.attempt,
        seq=record.seq,
        host=data.host,
        model=data.model,
        sampling=data.sampling,
    )
    call = call_at(state, data.sampling.index)
    before = call.asking.attempt if call.asking is not None else None
    again = before is not None and before.call_id == data.call_id
    attempt = (before if again and before is not None else SamplingAttempt(call_id=data.call_id)).model_copy(
        update={"attempts": data.attempt, "failure": None}
    )
    state = _asking(state, data.sampling, attempt=attempt)
    state = change_call(state, call.index, samplings=call.samplings + (data.attempt == 1))
    return change_turn(state, model_call=under_way)


def model_completed(state: State, record: r.ModelCallCompleted) -> State:
    """The model has answered, the turn or a tool."""
    state = lanes.model_ended(state, well=True)
    wanted = _sampling(state)
    if wanted is None:
        return calls.model_completed(state, record)
    data = record.data
    content = {"text": data.message.text, "model": data.model, "stop_reason": data.stop_reason.value}
    state = spent(state, data.usage, data.cost_usd)
    return change_turn(_told(state, wanted, "accept", content), model_call=None)


def model_failed(state: State, record: r.ModelCallFailed) -> State:
    """The attempt is over."""
    state = lanes.model_ended(state, well=False)
    wanted = _sampling(state)
    if wanted is None:
        return calls.model_failed(state, record)
    data = record.data
    state = spent(state, data.usage, data.cost_usd) if data.usage.total_tokens else state
    asking = call_at(state, wanted.index).asking
    before = asking.attempt if asking is not None else None
    if before is not None:
        attempt = before.model_copy(
            update={
                "failure": Failure.of(data),
                "failures": before.failures + (not data.host_lost),
                "hosts_lost": before.hosts_lost + data.host_lost,
            }
        )
        state = _asking(state, wanted, attempt=attempt)
    return change_turn(state, model_call=None)


def unanswered(state: State, record: r.ToolCallUnanswered) -> State:
    """No model answers the question."""
    data = record.data
    return _told(state, SamplingOf(index=data.index, key=data.key), "decline", {"reason": data.reason})


def _sampling(state: State) -> SamplingOf | None:
    """The question of a tool that the model call under way answers."""
    call = open_turn(state).model_call
    return call.sampling if call is not None else None


def _told(state: State, wanted: SamplingOf, action: str, content: dict[str, Any]) -> State:
    asking = call_at(state, wanted.index).asking
    if asking is None:
        return state
    answer = Answer(key=wanted.key, action=action, content=content, mode=QuestionMode.sampling)
    return _asking(state, wanted, answers=(*asking.answers, answer), attempt=None)


def _asking(state: State, wanted: SamplingOf, **changes: Any) -> State:
    asking: Asking | None = call_at(state, wanted.index).asking
    if asking is None:
        return state
    return change_call(state, wanted.index, asking=asking.model_copy(update=changes))
