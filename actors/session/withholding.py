"""What people, workers and other sessions tell a session, before it is written down. Pure.

What models and tools give is changed by their hosts, before it comes here. The fold changes nothing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from actors.domain import records as r
from actors.domain.base import Frozen
from actors.domain.messages import WITHHELD, Message
from actors.domain.records import Draft
from actors.errors import InvalidRequest
from actors.policy.security.guard import Guard
from actors.session.state import State
from actors.session.surroundings import Surroundings

_TEXTS: dict[type[r.RecordBase], tuple[str, ...]] = {
    r.UserMessage: ("message",),
    r.MessageAdded: ("message",),
    r.ActionResolved: ("reason", "value"),
    r.ChildCompleted: ("text", "parts", "message"),
    r.SessionError: ("message",),
    r.TasksUpdated: ("tasks",),
    r.TaskCompleted: ("error",),
    r.ToolCallCompleted: ("content", "metadata"),
    r.TurnCancelling: ("reason",),
}
"""Where words stand in the records that commands cause."""


def withheld(state: State, around: Surroundings, draft: Draft) -> Draft:
    """The record of a command without what the session withholds.

    Raises:
        InvalidRequest: somebody approves a call with arguments that would have to be withheld.
    """
    config = state.config.security_in_force(around.security)
    if config is None:
        return draft
    guard = Guard(config)
    if isinstance(draft.data, r.ActionResolved.Data) and draft.data.args is not None:
        why = guard.arguments(draft.data.args).get(WITHHELD)
        if why is not None:
            raise InvalidRequest(f"The arguments cannot be used: {why}. Give the tool its secrets in another way.")
    changes = {name: _without(guard, getattr(draft.data, name)) for name in _TEXTS.get(draft.kind, ())}
    birth = draft.birth
    if birth is not None and birth.task is not None:
        birth = birth.model_copy(update={"task": guard.message(birth.task)})
    return replace(draft, data=draft.data.model_copy(update=changes), birth=birth)


def _without(guard: Guard, value: Any) -> Any:
    if isinstance(value, Message):
        return guard.message(value)
    if isinstance(value, Frozen):
        texts = {name: _without(guard, getattr(value, name)) for name in type(value).model_fields if name in _WORDS}
        return value.model_copy(update=texts)
    if isinstance(value, tuple):
        return tuple(_without(guard, one) for one in cast("tuple[Any, ...]", value))
    return guard.value(value)


_WORDS = frozenset({"text", "content", "success_criteria"})
"""Members of blocks and tasks that are for reading."""
