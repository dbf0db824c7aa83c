"""The end of a turn whose session goes on elsewhere: what had begun is unknown here, the rest was never run. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from actors.domain import records as r
from actors.domain.calls import Outcome
from actors.domain.records import Draft
from actors.domain.security import OnInjection
from actors.session import held
from actors.session.tool_call import CallPhase
from actors.session.tool_drafts import completed, denied
from actors.session.turn import Turn

_BEGUN = {CallPhase.started, CallPhase.in_doubt, CallPhase.delayed, CallPhase.input_required}


def closing(turn: Turn, reason: str) -> Iterator[Draft]:
    """The records that close an open turn; ``reason`` is a sentence without its end."""
    model = turn.model_call
    if model is not None:
        failed = r.ModelCallFailed.Data(
            call_id=model.call_id, attempt=model.attempt, code="cancelled", message=reason, retryable=False
        )
        yield Draft(r.ModelCallFailed, failed, turn.turn_id)
    for call in turn.calls:
        if call.phase in _BEGUN:
            text = f"The outcome of this call is unknown: {reason}. It may or may not have run: verify it."
            yield completed(turn, call, Outcome.unknown, text, exit_code=1)
        elif call.phase is CallPhase.held:
            yield held.released(turn, call, OnInjection.block)
        elif call.phase is not CallPhase.settled:
            yield denied(turn, call, "cancelled", f"The call of {call.name} was not run: {reason}.")
    yield Draft(r.TurnCancelled, r.TurnCancelled.Data(reason=reason, usage=turn.usage), turn.turn_id)
