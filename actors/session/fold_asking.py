"""The meaning of the records of calls that ask: the questions, and what is said to them.

Pure, as ``actors.session.fold``, which dispatches to these.
"""

from __future__ import annotations

from actors.domain import records as r
from actors.domain.actions import Action, Resolution
from actors.domain.asking import Answer, QuestionMode
from actors.session.fold_calls import call_at, change_call
from actors.session.questions import Asking
from actors.session.state import State
from actors.session.tool_call import CallPhase


def input_required(state: State, record: r.ToolCallInputRequired) -> State:
    """The attempt is over, and its tool waits to be told more."""
    data = record.data
    call = call_at(state, data.index)
    assert call.host is not None, "a started call has a host"
    asking = Asking(
        questions=data.questions,
        held=data.held,
        host=call.host,
        state=data.state,
        timeout_ms=data.timeout_ms,
        roots=data.roots,
    )
    return change_call(state, data.index, phase=CallPhase.input_required, asking=asking, rounds=call.rounds + 1)


def answered(state: State, action: Action, data: r.ActionResolved.Data) -> State:
    """One question less, or one that a model answers now. One that was withdrawn has no answer: its call ends."""
    asking = call_at(state, action.call_index).asking
    if asking is None or data.resolution is Resolution.cancelled:
        return state
    key, mode = action.args["key"], QuestionMode(action.args["mode"])
    if mode is QuestionMode.sampling and data.resolution is Resolution.accept:
        agreed = asking.model_copy(update={"agreed": (*asking.agreed, key)})
        return change_call(state, action.call_index, asking=agreed)
    content = {"reason": data.reason or "nobody agreed"} if mode is QuestionMode.sampling else data.content
    answer = Answer(key=key, action=data.resolution, content=content, mode=mode)
    asking = asking.model_copy(update={"answers": (*asking.answers, answer)})
    return change_call(state, action.call_index, asking=asking)
