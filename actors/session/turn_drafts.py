"""The records with which a turn ends, and those of its model calls, made from the state it has. Pure."""

from __future__ import annotations

from actors.domain import records as r
from actors.domain.compaction import SummaryOf
from actors.domain.outputs import json_part
from actors.domain.records import Draft
from actors.session.failure import Failure
from actors.session.state import State
from actors.session.surroundings import Surroundings, model_of
from actors.session.turn import Turn

MAX_HOSTS_LOST = 10
"""How often the host of one model call may go away before the call is given up: beyond that something is wrong."""


def may_retry(state: State, turn: Turn) -> bool:
    """Whether the model call that failed is made again."""
    failure = turn.failure
    if failure is None:
        return False
    if failure.host_lost:
        return turn.hosts_lost < MAX_HOSTS_LOST
    return failure.retryable and turn.failures < state.config.circuit_breaker_threshold


def call_model(
    state: State,
    turn: Turn,
    around: Surroundings,
    *,
    again: bool = False,
    nudge: str | None = None,
    summary_of: SummaryOf | None = None,
) -> Draft:
    """A model call begins, or its next attempt; without a model the turn fails instead."""
    model = model_of(state, around)
    if around.model_host is None or model is None:
        return failed(turn, no_host(around))
    # A summary is asked for between two rounds.
    new_round = 0 if again or summary_of is not None else 1
    data = r.ModelCallStarted.Data(
        call_id=turn.call_id if again else "",
        attempt=turn.attempts + 1 if again else 1,
        host=around.model_host,
        model=model.name,
        round=turn.round + new_round,
        nudge=nudge,
        summary_of=summary_of,
    )
    return Draft(r.ModelCallStarted, data, turn.turn_id)


def no_host(around: Surroundings) -> Failure:
    """Why no model can be asked."""
    code, message = around.model_error or ("NoModel", "No model is configured.")
    return Failure(code=code, message=message, retryable=False, host_lost=False)


def completed(turn: Turn) -> Draft:
    """The turn has its answer."""
    data = r.TurnCompleted.Data(
        text="" if turn.parts else turn.text if turn.output is None else json_part(turn.text),
        parts=turn.parts,
        usage=turn.usage,
        tool_calls_count=turn.tool_calls_count,
        cost_usd=str(turn.cost) if turn.cost is not None else None,
    )
    return Draft(r.TurnCompleted, data, turn.turn_id)


def failed(turn: Turn, failure: Failure, message: str | None = None) -> Draft:
    """The turn ends without an answer; ``message`` when there is more to say than the failure does."""
    data = r.TurnFailed.Data(
        code=failure.code, message=message or failure.message, error_args=failure.error_args, usage=turn.usage
    )
    return Draft(r.TurnFailed, data, turn.turn_id)


def stopped(turn: Turn, code: str, reason: str) -> Draft:
    """The same for a reason of the session's own."""
    return failed(turn, Failure(code=code, message=reason, retryable=False, host_lost=False))


def cancelled(turn: Turn, reason: str) -> Draft:
    """The turn was ended on request."""
    return Draft(r.TurnCancelled, r.TurnCancelled.Data(reason=reason, usage=turn.usage), turn.turn_id)
