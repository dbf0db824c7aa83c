"""Results that give orders, which somebody looks at before the model does. Pure.

The call is over, and its outcome is durable in ``tool.call.held``; the session may hibernate. ``tool.call.completed``
follows with what was decided, or without the result where nobody decides.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from actors.domain import records as r
from actors.domain.actions import ActionKind, Resolution
from actors.domain.records import Draft
from actors.domain.security import OnInjection
from actors.policy.security import results
from actors.session.state import State
from actors.session.tool_call import ToolCallState
from actors.session.tool_drafts import question
from actors.session.turn import Turn

SHOWN_CHARS = 4096
"""Of the result a question tells so much; all of it is in ``tool.call.held`` or, beyond 100 KiB, in its artifact."""

_TREATED = {Resolution.approve: OnInjection.ask, Resolution.mark: OnInjection.note}


def steps(state: State, turn: Turn, call: ToolCallState) -> Iterator[Draft]:
    """Ask, unless somebody was asked; go on once that is decided. Where nothing is asked of anybody, it is marked."""
    if call.decision is not None:
        yield released(turn, call, _TREATED.get(call.decision, OnInjection.block))
    elif any(action.call_index == call.index for action in state.actions):
        return
    elif state.config.confirmation.enabled:
        yield _question(state, turn, call)
    else:
        yield released(turn, call, OnInjection.note)


def _question(state: State, turn: Turn, call: ToolCallState) -> Draft:
    shown: dict[str, Any] = {
        "orders": list(_of(call).orders),
        "result": results.text_of(_of(call).content)[:SHOWN_CHARS],
    }
    data = question(
        state,
        turn,
        call,
        ActionKind.injection,
        shown,
        call.attempt,
        timeout_ms=state.config.confirmation.default_timeout_ms,
        detail=f"The result of {call.name} reads like orders to the model ({', '.join(_of(call).orders)}).",
    )
    return Draft(r.ActionRequested, data, turn.turn_id)


def _of(call: ToolCallState) -> r.ToolCallHeld.Data:
    assert call.held is not None, "its result is held"
    return call.held


def released(turn: Turn, call: ToolCallState, how: OnInjection) -> Draft:
    """What the model reads of the result."""
    held = _of(call)
    values = {name: getattr(held, name) for name in r.ToolCallCompleted.Data.model_fields}
    data = r.ToolCallCompleted.Data(**results.released(values, held.orders, how))
    return Draft(r.ToolCallCompleted, data, turn.turn_id)
