"""Outcomes that the host itself gives, when the executor could not."""

from __future__ import annotations

from actors.domain.calls import ModelOutcome, Outcome, ToolOutcome
from actors.domain.tools import EffectClass
from actors.effect_host.ports import Call, CallResult
from actors.errors import InternalError


def undone(call: Call) -> CallResult:
    """The call was told to end and has not: it may or may not have had its effect."""
    if call.kind == "model":
        return ModelOutcome(
            outcome=Outcome.unknown,
            provider=call.llm.provider,
            model=call.llm.model,
            error="the model call did not end when it was cancelled",
        )
    return ToolOutcome(
        outcome=Outcome.unknown, content="The tool did not end when it was cancelled; verify what it did.", exit_code=1
    )


def broken(call: Call, error: BaseException | None, *, begun: bool) -> CallResult:
    """The executor raised; ``error`` is None when it was cancelled from within. Says no more than the kind.

    A tool that had begun may have had its effect before the failure, which is the host's own.
    """
    sentence = str(InternalError(type(error).__name__ if error is not None else "CancelledError"))
    if call.kind == "model":
        return ModelOutcome(
            outcome=Outcome.error,
            provider=call.llm.provider,
            model=call.llm.model,
            error_code="InternalError",
            error=sentence,
        )
    harmless = not begun or call.effect is EffectClass.pure
    return ToolOutcome(outcome=Outcome.error if harmless else Outcome.unknown, content=sentence, exit_code=1)
