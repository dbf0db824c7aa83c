"""Calls whose tool asks for something in the middle: the questions, and the next attempt with their answers. Pure.

Nothing is under way while a question is open, or only at a host that holds the call open by itself: the session may
hibernate. What was asked is recorded before anybody is told of it, and an answer before it is delivered.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from actors.domain import records as r
from actors.domain.actions import Action, ActionKind
from actors.domain.asking import MAX_ROUNDS, Asked, QuestionMode, Resume
from actors.domain.blobs import digest_of
from actors.domain.calls import HostRef, Outcome
from actors.domain.forms import filled, problems
from actors.domain.records import Draft
from actors.errors import InvalidRequest
from actors.session.state import State
from actors.session.tool_call import ToolCallState
from actors.session.tool_drafts import completed, question
from actors.session.turn import Turn


def required(turn_id: str, call: ToolCallState, asked: Asked) -> Draft:
    """The end of an attempt that asked. What the server wants back is kept apart: events show records."""
    state = asked.state.encode() if asked.state is not None else None
    data = r.ToolCallInputRequired.Data(
        call_id=call.call_id or "",
        attempt=call.attempt,
        index=call.index,
        tool_use_id=call.tool_use_id,
        name=call.name,
        questions=asked.questions,
        held=asked.held,
        state=digest_of(state) if state is not None else None,
        timeout_ms=int(asked.answer_within_s * 1000),
        roots=asked.roots,
    )
    return Draft(r.ToolCallInputRequired, data, turn_id, apart=state)


def steps(state: State, turn: Turn, call: ToolCallState) -> Iterator[Draft]:
    """Ask what has not been asked; a tool that asks again and again is not asked for."""
    if call.rounds > MAX_ROUNDS:
        yield ended(turn, call, f"it asked more than {MAX_ROUNDS} times")
        return
    asking = call.asking
    if asking is None:
        return
    answered = {answer.key for answer in asking.answers}
    pending = {action.action_id for action in state.actions}
    for nth, one in enumerate(asking.questions):
        if one.key in answered or asking.is_for_model(one):
            continue
        shown: dict[str, Any] = one.model_dump(mode="json", exclude_none=True)
        data = question(
            state,
            turn,
            call,
            ActionKind.input,
            shown,
            call.attempt,
            nth,
            timeout_ms=asking.timeout_ms,
            detail=one.message,
        )
        if data.action_id not in pending:
            yield Draft(r.ActionRequested, data, turn.turn_id)


def content_of(action: Action, content: dict[str, Any] | None, *, accepted: bool) -> dict[str, Any] | None:
    """What a filled form says, with the form's defaults.

    Raises:
        InvalidRequest: it does not fit the form, or there is none to fill.
    """
    if not accepted or action.args["mode"] != QuestionMode.form:
        if content is not None:
            raise InvalidRequest("Content is what a form is filled with, when it is accepted.")
        return None
    form = action.args["form"]
    whole = filled(form, content or {})
    wrong = problems(form, whole)
    if wrong:
        raise InvalidRequest(f"The content does not fit the form: {'; '.join(wrong[:5])}.")
    return whole


def holder(call: ToolCallState) -> HostRef | None:
    """Who holds the call open; None when anybody who has its tool can go on with it."""
    return call.asking.host if call.asking is not None and call.asking.held else None


def resume_of(call: ToolCallState) -> Resume | None:
    """What the host of the attempt that is under way needs to go on with the call; None for one from the start."""
    asking = call.asking
    if asking is None:
        return None
    return Resume(
        held=asking.held,
        answers=asking.answers,
        roots=asking.roots,
        state_digest=asking.state,
        abandon=call.abandoned,
    )


def ended(turn: Turn, call: ToolCallState, reason: str) -> Draft:
    """The call is not taken up again. Where it is held open, whoever holds it is told, in an attempt for that alone."""
    asking = call.asking
    assert asking is not None, "it asked"
    if not asking.held:
        text = f"The call of {call.name} asked for input, and was not gone on with: {reason}."
        return completed(turn, call, Outcome.cancelled, text, exit_code=1)
    data = r.ToolCallStarted.Data(
        call_id=call.call_id or "",
        attempt=call.attempt + 1,
        index=call.index,
        tool_use_id=call.tool_use_id,
        name=call.name,
        effect=call.effect,
        host=asking.host,
        offer=call.offer,
        abandon=True,
    )
    return Draft(r.ToolCallStarted, data, turn.turn_id)
