"""The calls that hosts carry out for a session now, with all that they need. Pure."""

from __future__ import annotations

from typing import Any

from actors.domain.calls import ModelCall, ToolCall
from actors.domain.llm import LlmConfig
from actors.domain.policies import SessionLane
from actors.domain.tools import ToolDefinition
from actors.policy.lanes import full_after_s
from actors.policy.permissions import demands_sandbox
from actors.policy.prompts import system_prompt
from actors.policy.security.offers import offered
from actors.session import asking, sampling, titles, unpriced, workspace
from actors.session.spilling import artifact_read_by
from actors.session.state import State
from actors.session.surroundings import Surroundings, model_of
from actors.session.tool_call import ToolCallState
from actors.session.turn import ModelCallState, Turn
from actors.session.withholding import tainted_of

ATTEMPT_DELAY_S = 0.1
"""The second attempt of a model call waits this long, the third twice as long: 100 ms times the attempts so far."""


def running(state: State, around: Surroundings) -> tuple[ModelCall | ToolCall, ...]:
    """The calls of the open turn that hosts carry out."""
    turn = state.turn
    if turn is None:
        return ()
    model = (_model_call(state, turn, turn.model_call, around),) if turn.model_call is not None else ()
    return (*model, *(_tool_call(state, turn, call, around) for call in turn.calls if call.runs))


def _whose(state: State, turn: Turn, call: ModelCallState | ToolCallState, around: Surroundings) -> dict[str, Any]:
    """What every call carries: which attempt of what it is, of whom, and what is withheld there."""
    security = state.config.security_in_force(around.security)
    return {
        "call_id": call.call_id,
        "attempt": call.attempt,
        "tenant": state.tenant,
        "journal_id": state.journal_id,
        "session_id": state.session_id,
        "turn_id": turn.turn_id,
        "epoch": state.epoch,
        "host": call.host,
        "security": security,
        "tainted": tainted_of(state, around) if security is not None else None,
    }


def _model_call(state: State, turn: Turn, call: ModelCallState, around: Surroundings) -> ModelCall:
    # Whoever took the default model away did not mean the call that is under way.
    model = model_of(state, around) or LlmConfig.of(call.model)
    config = state.config
    limit_s = config.queue.limit_s(SessionLane.generate)
    if limit_s is not None and limit_s < model.timeout_s:
        model = model.model_copy(update={"timeout_s": limit_s})
    if call.sampling is not None:
        return _for_tool(state, turn, call, around, model)
    if turn.title:
        model = model.model_copy(update={"max_tokens": min(model.max_tokens or titles.MAX_TOKENS, titles.MAX_TOKENS)})
    summing_up = turn.summary_of is not None
    return ModelCall.model_construct(
        **_whose(state, turn, call, around),
        kind="model",
        llm=model,
        system=system_prompt(config.system_prompt) if not summing_up else None,
        messages=tuple(entry.message for entry in state.context),
        tools=_tools(state, around) if not summing_up else (),
        thinking_budget=(config.thinking_budget or 1024) if config.thinking_enabled and not summing_up else None,
        priced_only=unpriced.is_refused(state, model),
        summary_of=turn.summary_of,
        output=turn.output if not summing_up else None,
        delay_s=ATTEMPT_DELAY_S * turn.failures,
    )


def _tools(state: State, around: Surroundings) -> tuple[ToolDefinition, ...]:
    definitions = tuple(spec.definition for _, spec in sorted(around.tools.items()))
    security = state.config.security_in_force(around.security)
    return offered(definitions, security.on_injection) if security is not None else definitions


def _for_tool(state: State, turn: Turn, call: ModelCallState, around: Surroundings, model: LlmConfig) -> ModelCall:
    """What a tool asks of a model: nothing of the session's goes with it but who pays."""
    question = sampling.asked(turn, call)
    wanted = question.sampling
    assert wanted is not None, "it is for a model"
    failures = max(call.attempt - 1, 0)
    return ModelCall.model_construct(
        **_whose(state, turn, call, around),
        kind="model",
        llm=sampling.model_for(question, model),
        system=wanted.system,
        messages=tuple(message.encode() for message in wanted.messages),
        aside=True,
        priced_only=unpriced.is_refused(state, model),
        delay_s=ATTEMPT_DELAY_S * failures,
    )


def _tool_call(state: State, turn: Turn, call: ToolCallState, around: Surroundings) -> ToolCall:
    if call.call_id is None or call.host is None:
        raise AssertionError("a started call has an id and a host")
    queue, lane = state.config.queue, call.lane
    return ToolCall(
        **_whose(state, turn, call, around),
        tool_use_id=call.tool_use_id,
        name=call.name,
        args=call.args,
        effect=call.effect,
        workspace=workspace.path_of(state, around),
        timeout_s=state.config.tool_timeout_s,
        limit_s=queue.limit_s(lane),
        artifact=artifact_read_by(state, call),
        sandboxed=demands_sandbox(state.config, around.global_policy),
        priority=lane.priority,
        full_after_s=full_after_s(queue.priority_boost),
        resume=asking.resume_of(call),
    )
