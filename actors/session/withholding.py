"""What people, workers and other sessions tell a session, before it is written down. Pure.

What models and tools give is changed by their hosts, before it comes here. The fold changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from actors.domain import records as r
from actors.domain.base import Frozen
from actors.domain.calls import Attached, ModelOutcome
from actors.domain.inspection import Inspection
from actors.domain.messages import WITHHELD, Message
from actors.domain.records import Draft
from actors.domain.security import SecurityConfig, Sifted, Tainted
from actors.domain.session import SessionConfig
from actors.errors import InvalidRequest, SecurityUnavailable
from actors.policy.security.configured import secret_in
from actors.policy.security.guard import UNCHECKED, Guard
from actors.policy.security.injections import injections
from actors.policy.security.results import judged, text_of
from actors.policy.security.taints import key_of
from actors.session.state import State
from actors.session.surroundings import Surroundings

Inspected = Mapping[str, Inspection] | SecurityUnavailable | None
"""What providers have found in the texts of a command; why they do not answer; None where nobody was asked."""

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


def withheld(state: State, around: Surroundings, drafts: Sequence[Draft], inspected: Inspected = None) -> list[Draft]:
    """The records of a command without what the session withholds, and one more that says that there was something.

    Args:
        inspected: Nothing found in nothing: providers do not answer, and the command is one that cannot be refused, so
            that its texts are withheld.

    Raises:
        SecurityUnavailable: the providers do not answer, or were not asked about all of it: it was another command a
            moment ago.
        InvalidRequest: what would have to be withheld are arguments of a call that somebody approves, answers to a tool
            that asks, or a configuration.
    """
    config = state.config.security_in_force(around.security)
    if config is None:
        return list(drafts)
    if not config.providers:
        inspected = None
    elif isinstance(inspected, SecurityUnavailable):
        raise inspected
    guard = Guard(config, inspected=inspected, tainted=tainted_of(state, around))
    orders, written = _judged(guard, config, drafts)
    if config.providers and (inspected is None or (inspected and guard.counts[UNCHECKED])):
        raise SecurityUnavailable(config.providers[0], "it was not asked about this yet")
    treated = config.on_injection if orders else None
    sifted = guard.sifted().model_copy(update={"orders": orders, "treated": treated})
    if not sifted:
        return written
    data = r.SecurityNoted.Data(source="result" if orders else "input", **dict(sifted))
    return [*written, Draft(r.SecurityNoted, data, written[-1].turn_id, written[-1].cause)]


def tainted_of(state: State, around: Surroundings) -> Tainted | None:
    """What the session knows again; None where the store's secret is not at hand."""
    return Tainted(key=key_of(around.secret, state.tenant), taints=state.taints) if around.secret else None


def kept(guard: Guard, draft: Draft) -> Draft:
    """A record of a command without what is withheld.

    Raises:
        InvalidRequest: see ``withheld``.
    """
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
    # It is not shown to providers: what it says it says at once.
    why = secret_in(Guard(guard.config), config) if config is not None else None
    if why is not None:
        raise InvalidRequest(f"This configuration is not kept: {why}")


def _judged(guard: Guard, config: SecurityConfig, drafts: Sequence[Draft]) -> tuple[tuple[str, ...], list[Draft]]:
    """The records as they are kept. What a worker outside gave as a result is treated as what a tool gave."""
    written = [kept(guard, draft) for draft in drafts]
    for place, draft in enumerate(drafts):
        data = written[place].data
        if isinstance(draft.data, r.ToolCallCompleted.Data) and isinstance(data, r.ToolCallCompleted.Data):
            orders = (*injections(text_of(data.content)), *guard.orders(text_of(draft.data.content)))
            if orders:
                result = judged(data, orders, config.on_injection)
                kind = r.ToolCallHeld if isinstance(result, r.ToolCallHeld.Data) else r.ToolCallCompleted
                written[place] = replace(written[place], kind=kind, data=result)
                return orders, written
    return (), written


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
