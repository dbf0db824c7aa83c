"""Calls that somebody outside carries out: offered as tasks, claimed under leases, settled once. Pure.

A task belongs to one attempt of one call. Nothing here ever runs a call a second time by itself: a task whose worker is
gone is offered again when a second run changes nothing, and is in doubt when it may.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pydantic import ValidationError

from actors.domain import commands as c
from actors.domain import records as r
from actors.domain.actions import Resolution
from actors.domain.calls import RAISED, HostRef, Outcome, ToolOutcome
from actors.domain.external_tasks import NO_REASON, ExternalTaskResult, TaskOutput
from actors.domain.ids import derived_id
from actors.domain.lanes import LaneHandlerConfig
from actors.domain.records import Draft, Offer, ResultContent, Wait
from actors.domain.tools import EffectClass
from actors.errors import ExternalTaskNotFound, InvalidRequest, TaskLeased, TaskLeaseLost
from actors.session.ports import ToolSpec
from actors.session.state import State
from actors.session.tool_call import ToolCallState
from actors.session.tool_drafts import completed, started
from actors.session.turn import Turn, Unanswered

OUTSIDE: Final = HostRef(host_id="external", incarnation="external")
"""In the place of a host in the records of these calls."""


def begun(
    state: State, turn: Turn, call: ToolCallState, spec: ToolSpec, host: HostRef, handler: LaneHandlerConfig
) -> Draft:
    """The call begins, and somebody outside takes part in it. That they are told follows from it."""
    task_id = derived_id("task_", state.journal_id, turn.turn_id, turn.round, call.index, call.attempt + 1)
    offer = Offer(task_id=task_id, mode=handler.mode, timeout_ms=handler.timeout_ms)
    wait = Wait(for_ms=handler.timeout_ms) if host == OUTSIDE else None
    return started(turn, call, spec, host, wait, offer)


def following(turn: Turn, call: ToolCallState) -> Iterator[Draft]:
    """What follows for a call that is under way; nothing while its worker is waited for."""
    if call.offer is not None and not call.offered:
        yield _offered(turn, call, call.offer)
    elif call.task is None:
        return
    elif call.woken:
        yield from _timed_out(turn, call)
    elif call.lapsed:
        yield from _abandoned(turn, call)


def told(turn: Turn, call: ToolCallState, data: r.ToolCallCompleted.Data | r.ToolCallInDoubt.Data) -> Iterator[Draft]:
    """What those outside are told of the end of an attempt that they only watched."""
    if not call.offered or call.outside:
        return
    by = call.host.host_id if call.host else ""
    if isinstance(data, r.ToolCallInDoubt.Data):
        yield _settled(turn, call, Resolution.lost, by, data.detail)
        return
    ok = data.outcome is Outcome.ok
    yield _settled(turn, call, Resolution.completed if ok else Resolution.failed, by, None if ok else data.outcome)


def cancelled(turn: Turn, call: ToolCallState, reason: str) -> Iterator[Draft]:
    """Nobody waits for the task any longer. What a worker that has claimed it does meanwhile, nobody knows."""
    yield _settled(turn, call, Resolution.cancelled, "cancel", reason)
    if call.leased_until is None:
        text = f"The call of {call.name} was withdrawn before anybody had claimed it: {reason}."
        yield completed(turn, call, Outcome.cancelled, text, exit_code=1)
    else:
        text = f"The call of {call.name} was cancelled while a worker had it: {reason}. It may have been carried out."
        yield completed(turn, call, Outcome.unknown, text, exit_code=1)


def _offered(turn: Turn, call: ToolCallState, offer: Offer) -> Draft:
    data = r.TaskOffered.Data(
        task_id=offer.task_id,
        mode=offer.mode,
        lane=call.lane,
        call_id=call.call_id or "",
        attempt=call.attempt,
        index=call.index,
        tool_use_id=call.tool_use_id,
        tool=call.name,
        args=call.args,
        effect=call.effect,
        timeout_ms=offer.timeout_ms,
    )
    return Draft(r.TaskOffered, data, turn.turn_id)


def _timed_out(turn: Turn, call: ToolCallState) -> Iterator[Draft]:
    waited = call.offer.timeout_ms / 1000 if call.offer else 0
    text = f"The external task timed out: no result within {waited:g} s."
    yield _settled(turn, call, Resolution.timeout, "timeout", text)
    doubt = "" if call.effect is EffectClass.pure else " It may have been carried out: verify before you go on."
    yield completed(turn, call, Outcome.timeout, text + doubt, exit_code=1)


def _abandoned(turn: Turn, call: ToolCallState) -> Iterator[Draft]:
    """The worker's claim ran out: another one may do it, unless that could do it twice."""
    if call.effect is not EffectClass.unsafe and call.offer is not None:
        yield _offered(turn, call, call.offer)
        return
    why = "the worker that had claimed it was not heard of again"
    yield _settled(turn, call, Resolution.lost, "lease", why)
    data = r.ToolCallInDoubt.Data(
        call_id=call.call_id or "",
        attempt=call.attempt,
        index=call.index,
        tool_use_id=call.tool_use_id,
        name=call.name,
        detail=why,
    )
    yield Draft(r.ToolCallInDoubt, data, turn.turn_id)


def _settled(turn: Turn, call: ToolCallState, how: Resolution, by: str, error: str | None = None) -> Draft:
    data = r.TaskCompleted.Data(
        task_id=call.offer.task_id if call.offer else "",
        index=call.index,
        success=how is Resolution.completed,
        resolution=how,
        by=by,
        error=error,
    )
    return Draft(r.TaskCompleted, data, turn.turn_id)


# --- what workers say ------------------------------------------------------------------------------------------------


def lease(state: State, command: c.LeaseTask) -> list[Draft]:
    """A worker claims a task, or prolongs its claim."""
    turn, call = _open_task(state, command.task_id)
    terms = call.task.task if call.task else None
    held = terms.lease if terms else None
    if held is not None and held.lease_id != command.lease_id:
        raise TaskLeased(command.task_id, held.worker, held.expires_at.isoformat())
    if held is None and command.prolongs:
        raise TaskLeaseLost(command.task_id)
    data = r.TaskLeased.Data(
        task_id=command.task_id,
        index=call.index,
        lease_id=command.lease_id,
        worker=command.worker,
        lease_ms=command.lease_ms,
    )
    return [Draft(r.TaskLeased, data, turn.turn_id)]


def complete(state: State, command: c.CompleteTask) -> list[Draft]:
    """A worker says what came of its task: the call has its outcome, or what nobody knew of it is written down."""
    late = next((one for one in state.unanswered if one.task == command.task_id), None)
    if late is not None:
        return [_late(late, command.result)]
    turn, call = _open_task(state, command.task_id)
    terms = call.task.task if call.task else None
    held = terms.lease if terms else None
    if (held.lease_id if held else None) != command.lease_id:
        raise TaskLeaseLost(command.task_id)
    by = held.worker if held else "external"
    result = command.result
    if not result.success:
        error = result.error or NO_REASON
        failed = completed(turn, call, Outcome.error, error, exit_code=1, metadata={RAISED: "external task"})
        return [_settled(turn, call, Resolution.failed, by, error[:_MAX_ERROR]), failed]
    done = _outcome(result)
    content: ResultContent = done.parts if done.images else done.content
    return [
        _settled(turn, call, Resolution.completed, by),
        completed(turn, call, done.outcome, content, exit_code=done.exit_code, metadata=done.metadata),
    ]


def _outcome(result: ExternalTaskResult) -> ToolOutcome:
    output = output_of(result.result)
    return ToolOutcome(
        outcome=Outcome.ok if output.exit_code == 0 else Outcome.error,
        content=output.output,
        images=output.images,
        exit_code=output.exit_code,
        metadata=output.metadata,
    )


def _late(attempt: Unanswered, result: ExternalTaskResult) -> Draft:
    """Nobody waits for it any more, but now it is known."""
    failed = ToolOutcome(outcome=Outcome.error, content=result.error or NO_REASON, exit_code=1)
    done = _outcome(result) if result.success else failed
    data = r.ToolCallLate.Data(
        call_id=attempt.call_id, attempt=attempt.attempt, outcome=done.outcome, content=done.parts
    )
    return Draft(r.ToolCallLate, data)


_MAX_ERROR = 4096
"""Characters of a failure that ``task.completed`` repeats; the call's own record has all of it."""


def output_of(result: object) -> TaskOutput:
    """What a successful task gives, read.

    Raises:
        InvalidRequest: it is no object with a text ``output``.
    """
    try:
        return TaskOutput.model_validate(result)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, ("result", *first["loc"])))
        raise InvalidRequest(
            f"{where}: {first['msg']}. The result of a task is an object with a text 'output', and if need be "
            f"'exit_code', 'metadata' and 'images'."
        ) from None


def _open_task(state: State, task_id: str) -> tuple[Turn, ToolCallState]:
    turn = state.turn
    for call in turn.calls if turn is not None else ():
        if turn is not None and call.task is not None and call.task.action_id == task_id:
            return turn, call
    raise ExternalTaskNotFound(task_id)
