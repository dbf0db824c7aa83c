"""The key of a model that is not in memory any more: the turn waits until it is given again. Pure.

Keys are in no journal, so a restart loses them. Until somebody gives the key, or says that it will not come, the turn
holds nothing; then its call is made again as the next attempt.
"""

from __future__ import annotations

from collections.abc import Iterator

from actors.domain import records as r
from actors.domain.actions import NO_CALL, ActionKind, Resolution
from actors.domain.command import digest_of_json
from actors.domain.ids import derived_id
from actors.domain.records import Draft
from actors.session.state import State
from actors.session.surroundings import Surroundings, model_of
from actors.session.turn import Turn

BY = "configuration"
"""Who decided, when the key was given."""


def steps(state: State, turn: Turn, around: Surroundings) -> Iterator[Draft]:
    """Ask for the key; once the model in force has another one, go on with that."""
    if not any(_pending(state)):
        yield _request(state, turn)
    elif _is_replaced(state, turn, around):
        yield from given(state)


def given(state: State) -> Iterator[Draft]:
    """Whoever gives a model its key has decided what is waited for."""
    for action_id, turn_id in _pending(state):
        data = r.ActionResolved.Data(action_id=action_id, resolution=Resolution.retry, by=BY)
        yield Draft(r.ActionResolved, data, turn_id)


def _pending(state: State) -> Iterator[tuple[str, str]]:
    for action in state.actions:
        if action.kind is ActionKind.credential:
            yield action.action_id, action.turn_id


def _is_replaced(state: State, turn: Turn, around: Surroundings) -> bool:
    model, failure = model_of(state, around), turn.failure
    missing = failure.error_args[-1] if failure is not None and failure.error_args else None
    return model is not None and model.credential_id != missing


def _request(state: State, turn: Turn) -> Draft:
    kind = ActionKind.credential
    data = r.ActionRequested.Data(
        action_id=derived_id("act_", state.journal_id, turn.turn_id, kind, turn.call_id, turn.attempts),
        kind=kind,
        index=NO_CALL,
        tool_use_id="",
        tool="",
        args={},
        args_digest=digest_of_json({}),
        detail=turn.failure.message if turn.failure is not None else "",
    )
    return Draft(r.ActionRequested, data, turn.turn_id)
