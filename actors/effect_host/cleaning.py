"""What a call gave, without what is withheld of it. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from actors.domain.asking import Question
from actors.domain.calls import ModelOutcome, Outcome, ToolOutcome
from actors.domain.security import OnInjection
from actors.effect_host.ports import CallResult
from actors.errors import SecurityUnavailable
from actors.policy.security.guard import Guard
from actors.policy.security.injections import injections
from actors.policy.security.offers import SHOWN, reworded
from actors.policy.security.results import INJECTION, treated


def cleaned(guard: Guard, outcome: CallResult) -> Any:
    """The outcome without what the guard withholds, and with a note of what that was."""
    if not guard:
        return outcome
    return _model(guard, outcome) if isinstance(outcome, ModelOutcome) else _tool(guard, outcome)


def _model(guard: Guard, outcome: ModelOutcome) -> ModelOutcome:
    changes: dict[str, Any] = {
        "message": guard.message(outcome.message) if outcome.message is not None else None,
        "error": _maybe(guard.text, outcome.error),
        "error_args": guard.value(outcome.error_args),
        "output_problem": _maybe(guard.text, outcome.output_problem),
    }
    return outcome.model_copy(update=changes | {"sifted": guard.sifted()})


def _maybe(change: Callable[[str], str], text: str | None) -> str | None:
    return change(text) if text else text


def _tool(guard: Guard, outcome: ToolOutcome) -> ToolOutcome:
    content = guard.text(outcome.content)
    metadata = cast("dict[str, Any]", guard.value(outcome.metadata))
    changes: dict[str, Any] = {"content": content, "metadata": metadata}
    if outcome.files:
        named = [one.model_copy(update={"name": guard.text(one.name)}) for one in outcome.files]
        changes["files"] = tuple(one for one in named if not guard.tells(one.raw))
    if outcome.asked is not None:
        asked = tuple(_question(guard, one) for one in outcome.asked.questions)
        changes["asked"] = outcome.asked.model_copy(update={"questions": asked})
    sifted = guard.sifted()
    found = (*injections(content), *guard.orders(outcome.content)) if guard.config is not None else ()
    if found and guard.config is not None:
        how = guard.config.on_injection
        changes |= {"content": treated(content, found, how), "metadata": metadata | {INJECTION: list(found)}}
        if how is OnInjection.block:
            changes |= {"images": (), "files": (), "exit_code": 1}
            changes |= {"outcome": Outcome.error} if outcome.outcome is Outcome.ok else {}
        sifted = sifted.model_copy(update={"orders": found, "treated": how})
    return outcome.model_copy(update=changes | {"sifted": sifted})


def _question(guard: Guard, question: Question) -> Question:
    """What people and models read of it. Names of fields, choices and the page's address have to stay as they are."""
    form, wanted = question.form, question.sampling
    if wanted is not None:
        said = {"system": _maybe(guard.text, wanted.system), "messages": tuple(map(guard.message, wanted.messages))}
        wanted = wanted.model_copy(update=said)
    told = {"form": reworded(form, guard.text, SHOWN) if form is not None else None, "sampling": wanted}
    return question.model_copy(update={"message": guard.text(question.message)} | told)


def refused(outcome: CallResult, why: str) -> CallResult:
    """An outcome that nobody could look through: nothing of it is shown, but that the call came to its end."""
    if isinstance(outcome, ModelOutcome):
        return ModelOutcome(
            outcome=Outcome.error,
            usage=outcome.usage,
            cost_usd=outcome.cost_usd,
            provider=outcome.provider,
            model=outcome.model,
            error_code=SecurityUnavailable.__name__,
            error=why,
            duration_ms=outcome.duration_ms,
        )
    text = f"The call came to its end ({outcome.outcome}), and its result is withheld: {why}"
    ended = Outcome.error if outcome.outcome in {Outcome.ok, Outcome.input_required} else outcome.outcome
    return ToolOutcome(outcome=ended, content=text, exit_code=1, duration_ms=outcome.duration_ms)
