"""Questions of tools that a model answers: model calls of the turn, recorded, counted and paid for like others. Pure.

It is told what the tool's server says and nothing of the conversation. One is under way at a time. Its answer goes with
the next attempt of the tool's call.
"""

from __future__ import annotations

from collections.abc import Iterator

from actors.domain import records as r
from actors.domain.asking import MAX_SAMPLED_BYTES, Question, SamplingOf
from actors.domain.calls import ModelOutcome
from actors.domain.llm import LlmConfig
from actors.domain.messages import Message, StopReason
from actors.domain.records import Draft
from actors.policy.budgets import FOR_MODEL
from actors.session import budgets
from actors.session.questions import SamplingAttempt
from actors.session.state import State
from actors.session.surroundings import Surroundings, model_of
from actors.session.tool_call import ToolCallState
from actors.session.turn import ModelCallState, Turn
from actors.session.turn_drafts import MAX_HOSTS_LOST, no_host


def steps(state: State, turn: Turn, around: Surroundings) -> Iterator[Draft]:
    """The next model call that a tool asks for begins; or what has to come before that, or comes in its place."""
    found = turn.for_model
    if found is None:
        return
    call, question = found
    before = call.asking.attempt if call.asking is not None else None
    why = _refusal(state, around, call, question, before)
    if why is not None:
        data = r.ToolCallUnanswered.Data(
            index=call.index, tool_use_id=call.tool_use_id, name=call.name, key=question.key, reason=why
        )
        yield Draft(r.ToolCallUnanswered, data, turn.turn_id)
    elif budgets.is_used_up(state, FOR_MODEL):
        yield from budgets.held(state, turn, FOR_MODEL)
    else:
        yield _started(state, turn, around, call, question, before)


def _refusal(
    state: State, around: Surroundings, call: ToolCallState, question: Question, before: SamplingAttempt | None
) -> str | None:
    """Why no model is asked, or is not asked again; None when it is."""
    if around.model_host is None or model_of(state, around) is None:
        return no_host(around).message.rstrip(".")
    failure = before.failure if before is not None else None
    if before is None or failure is None:
        limit = question.sampling.limit if question.sampling is not None else 0
        return f"one call may ask for {limit} answers of a model" if call.samplings >= limit else None
    if failure.host_lost:
        again = before.hosts_lost < MAX_HOSTS_LOST
    else:
        again = failure.retryable and before.failures < state.config.circuit_breaker_threshold
    return None if again else failure.message.rstrip(".")


def _started(
    state: State,
    turn: Turn,
    around: Surroundings,
    call: ToolCallState,
    question: Question,
    before: SamplingAttempt | None,
) -> Draft:
    model = model_of(state, around)
    assert around.model_host is not None and model is not None, "it was looked at"
    data = r.ModelCallStarted.Data(
        call_id=before.call_id if before is not None else "",
        attempt=before.attempts + 1 if before is not None else 1,
        host=around.model_host,
        model=model.name,
        round=turn.round,
        sampling=SamplingOf(index=call.index, key=question.key),
    )
    return Draft(r.ModelCallStarted, data, turn.turn_id)


def asked(turn: Turn, call: ModelCallState) -> Question:
    """The question that a model call answers."""
    assert call.sampling is not None, "it answers a tool"
    asking = turn.calls[call.sampling.index].asking
    assert asking is not None, "the tool asks"
    return next(one for one in asking.questions if one.key == call.sampling.key)


def model_for(question: Question, model: LlmConfig) -> LlmConfig:
    """The session's model, within what the question may have."""
    wanted = question.sampling
    assert wanted is not None, "it is for a model"
    changes = {"max_tokens": min(model.max_tokens or wanted.max_tokens, wanted.max_tokens)}
    temperature = wanted.temperature if wanted.temperature is not None else model.temperature
    return model.model_copy(update=changes | {"temperature": temperature})


def bounded(outcome: ModelOutcome) -> ModelOutcome:
    """An answer as a tool gets it: its text, within bounds."""
    text = outcome.message.text if outcome.message is not None else ""
    short = text.encode(errors="replace")[:MAX_SAMPLED_BYTES].decode(errors="ignore")
    cut = {"stop_reason": StopReason.max_tokens} if short != text else {}
    return outcome.model_copy(update={"message": Message.assistant(short)} | cut)
