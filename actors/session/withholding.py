"""What people, workers and other sessions tell a session, before it is written down. Pure.

What models and tools give is changed by their hosts, before it comes here. The fold changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

from actors.domain import records as r
from actors.domain.base import Frozen
from actors.domain.calls import Attached, ModelOutcome
from actors.domain.messages import WITHHELD, Message
from actors.domain.records import Draft
from actors.domain.security import SecurityConfig, Sifted
from actors.domain.session import SessionConfig
from actors.errors import InvalidRequest
from actors.policy.security.configured import secret_in
from actors.policy.security.guard import Guard
from actors.policy.security.injections import injections
from actors.policy.security.results import judged, text_of
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


def withheld(state: State, around: Surroundings, drafts: Sequence[Draft]) -> list[Draft]:
    """The records of a command without what the session withholds, and one more that says that there was something.

    Raises:
        InvalidRequest: what would have to be withheld are arguments of a call that somebody approves, answers to a tool
            that asks, or a configuration.
    """
    config = state.config.security_in_force(around.security)
    if config is None:
        return list(drafts)
    guard = Guard(config)
    kept = [_kept(guard, draft) for draft in drafts]
    found, kept = _judged(config, kept)
    sifted = found.model_copy(update={"withheld": dict(guard.counts)})
    if not sifted:
        return kept
    source = "result" if found else "input"
    data = r.SecurityNoted.Data(source=source, **dict(sifted))
    return [*kept, Draft(r.SecurityNoted, data, kept[-1].turn_id, kept[-1].cause)]


def _kept(guard: Guard, draft: Draft) -> Draft:
    _usable(guard, draft)
    changes = {name: _without(guard, getattr(draft.data, name)) for name in _TEXTS.get(draft.kind, ())}
    birth = draft.birth
    if birth is not None and birth.task is not None:
        birth = birth.model_copy(update={"task": guard.message(birth.task)})
    return replace(draft, data=draft.data.model_copy(update=changes), birth=birth)


def _usable(guard: Guard, draft: Draft) -> None:
    """Refuse what counts as it was written down, and so would have to be written down with a secret in it."""
    data = draft.data
    if isinstance(data, r.ActionResolved.Data):
        for given in (data.args, data.content):
            why = guard.arguments(given).get(WITHHELD) if given is not None else None
            if why is not None:
                raise InvalidRequest(f"The arguments cannot be used: {why}. Give the tool its secrets in another way.")
    config = draft.birth.config if draft.birth is not None else None
    if isinstance(data, r.SessionConfigured.Data):
        config = SessionConfig(name=data.change.name or "", system_prompt=data.change.system_prompt)
    why = secret_in(guard, config) if config is not None else None
    if why is not None:
        raise InvalidRequest(f"This configuration is not kept: {why}")


def _judged(config: SecurityConfig, drafts: list[Draft]) -> tuple[Sifted, list[Draft]]:
    """What a worker outside gave as the result of a call, if it gives orders, as a tool's own is treated."""
    for place, draft in enumerate(drafts):
        if not isinstance(draft.data, r.ToolCallCompleted.Data):
            continue
        orders = injections(text_of(draft.data.content))
        if orders:
            result = judged(draft.data, orders, config.on_injection)
            kind = r.ToolCallHeld if isinstance(result, r.ToolCallHeld.Data) else r.ToolCallCompleted
            drafts[place] = replace(draft, kind=kind, data=result)
            return Sifted(orders=orders, treated=config.on_injection), drafts
    return Sifted(), drafts


def noted(answer: Attached, closing: Draft) -> Draft | None:
    """What its host has withheld of what a call gave; None when that was nothing."""
    sifted = answer.outcome.sifted if answer.outcome is not None else Sifted()
    if not sifted:
        return None
    tool = getattr(closing.data, "name", None)
    data = r.SecurityNoted.Data(
        source="answer" if isinstance(answer.outcome, ModelOutcome) else "result",
        call_id=answer.key.call_id,
        tool=tool,
        **dict(sifted),
    )
    return Draft(r.SecurityNoted, data, closing.turn_id)


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
