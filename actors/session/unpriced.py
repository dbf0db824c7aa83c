"""A model whose price nobody knows, in a session whose budget bounds money: somebody has to agree first. Pure.

Its host refuses such a call (``ModelCall.priced_only``), since only hosts know prices. Then the turn asks, as when a
budget is used up; whoever approves says that calls of this model go on without being counted in money.
"""

from __future__ import annotations

from collections.abc import Iterator

from actors.domain import records as r
from actors.domain.actions import NO_CALL, ActionKind, Resolution
from actors.domain.budgets import Resource
from actors.domain.command import digest_of_json
from actors.domain.ids import derived_id
from actors.domain.llm import LlmConfig
from actors.domain.records import Draft
from actors.policy.budgets import UNPRICED
from actors.session import budgets
from actors.session.state import State
from actors.session.surroundings import Surroundings, model_of
from actors.session.turn import Turn


def is_refused(state: State, model: LlmConfig) -> bool:
    """Whether a call of this model is only to be made when its price is known."""
    return Resource.usd in budgets.total(state).bounds and model.name not in state.account.unpriced


def steps(state: State, turn: Turn, around: Surroundings) -> Iterator[Draft]:
    """Ask; once there is another model, or money is not bounded any more, go on with that."""
    action, model = budgets.pending(state), model_of(state, around)
    if action is None:
        yield _request(state, turn)
    elif model is None or model.name != action.args.get(UNPRICED) or not is_refused(state, model):
        data = r.ActionResolved.Data(
            action_id=action.action_id,
            resolution=Resolution.cancelled,
            by="budget",
            reason="the model is another one, or money is not bounded any more",
        )
        yield Draft(r.ActionResolved, data, turn.turn_id)


def _request(state: State, turn: Turn) -> Draft:
    failure = turn.failure
    args = {UNPRICED: failure.error_args[0] if failure is not None and failure.error_args else ""}
    data = r.ActionRequested.Data(
        action_id=derived_id("act_", state.journal_id, turn.turn_id, "unpriced", turn.call_id, turn.attempts),
        kind=ActionKind.budget,
        index=NO_CALL,
        tool_use_id="",
        tool="",
        args=args,
        args_digest=digest_of_json(args),
        detail=failure.message if failure is not None else "",
    )
    return Draft(r.ActionRequested, data, turn.turn_id)
