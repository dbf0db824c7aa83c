"""``apply(state, record) -> state``: the meaning of every record, and nothing else.

Pure: no clock, no randomness, no I/O. Time is the record's own ``at``. What happens to the calls of a turn is in
``actors.session.fold_calls``, ``fold_lanes``, ``fold_external`` and ``fold_waits``, to a long context in
``fold_compaction``, to what a session may take in ``fold_budgets``; where it comes from is in ``fold_origins``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast

from actors.domain import records as r
from actors.domain.base import as_one_line
from actors.domain.budgets import NOTHING
from actors.domain.policies import OnBusy
from actors.domain.security import MAX_TAINTS
from actors.domain.session import MAX_NAME, SessionState
from actors.errors import InternalError
from actors.policy.structured import asking_for
from actors.session import fold_asking as asking
from actors.session import fold_budgets as budgets
from actors.session import fold_calls as calls
from actors.session import fold_compaction as compaction
from actors.session import fold_external as external
from actors.session import fold_lanes as lanes
from actors.session import fold_origins as origins
from actors.session import fold_sampling as sampling
from actors.session import fold_waits as waits
from actors.session.failure import Ending
from actors.session.fold_calls import change, change_turn, flush_held, open_turn, remember
from actors.session.state import Entry, QueuedInput, State, turn_deadline
from actors.session.turn import Stage, Turn


def apply(state: State, record: r.Record) -> State:
    """The state after one more record.

    Raises:
        InternalError: the record does not follow the state's seq.
    """
    if record.seq != state.seq + 1:
        raise InternalError(f"record {record.seq} does not follow {state.seq}")
    folded = _HANDLERS[type(record)](budgets.worked(state, record), record)
    changes: dict[str, Any] = {"seq": record.seq, "epoch": record.epoch, "updated_at": record.at}
    state = folded.model_copy(update=changes)
    if state.turn is None:
        return state
    turn = _keep_time(state, state.turn, record)
    return state if turn is state.turn else state.model_copy(update={"turn": turn})


def fold(state: State, records: Iterable[r.Record]) -> State:
    """``apply`` over many records."""
    for record in records:
        state = apply(state, record)
    return state


def _keep_time(state: State, turn: Turn, record: r.Record) -> Turn:
    """Waits for people, children and timers do not count as the turn's wall time; being out of service is one."""
    stands = state.waits or state.lifecycle is not SessionState.active
    if stands and turn.waiting_since is None:
        return turn.model_copy(update={"waiting_since": record.at})
    if not stands and turn.waiting_since is not None:
        pushed = turn.deadline + (record.at - turn.waiting_since)
        return turn.model_copy(update={"waiting_since": None, "deadline": pushed})
    return turn


# --- session ---------------------------------------------------------------------------------------------------------


def _configured(state: State, record: r.SessionConfigured) -> State:
    wanted = record.data.change
    values = {name: getattr(wanted, name) for name in wanted.set_fields}
    if "budget" in values:
        # A budget that is set is what there is, whatever was granted before.
        state = budgets.change_account(state, raised=NOTHING)
    return change(state, config=state.config.model_copy(update=values))


def _cleared(state: State, record: r.SessionCleared) -> State:
    return change(state, context=(), held=(), context_used=0, context_since=record.seq)


def _rewound(state: State, record: r.SessionRewound) -> State:
    data = record.data
    return change(state, context=state.context[: data.keep], context_used=data.used, context_since=record.seq)


def _titling(state: State, _: r.SessionTitling) -> State:
    return change(state, titling=True)


def _renamed(state: State, record: r.SessionRenamed) -> State:
    # A journal may hold a name that a configuration refuses: its snapshot could not be read back.
    name = as_one_line(record.data.name)[:MAX_NAME]
    return change(state, config=state.config.model_copy(update={"name": name}), titling=False)


def _title_failed(state: State, _: r.SessionTitleFailed) -> State:
    return change(state, titling=False)


def _error(state: State, record: r.SessionError) -> State:
    # Nobody knows whether a session in a crash loop will ever answer, so that is what its parent is told.
    task = None if record.data.code == "crash_loop" else state.task
    return change(state, lifecycle=SessionState.error, task=task)


def _lifecycle(to: SessionState) -> Callable[[State, Any], State]:
    def handler(state: State, _: Any) -> State:
        return change(state, lifecycle=to)

    return handler


def _workspace_bound(state: State, record: r.WorkspaceBound) -> State:
    return change(state, workspace=record.data, workspace_given_up=False)


def _noted(state: State, record: r.SecurityNoted) -> State:
    known = {one.digest: one for one in (*state.taints, *record.data.taints)}
    return change(state, taints=tuple(known.values())[-MAX_TAINTS:])


def _tasks_updated(state: State, record: r.TasksUpdated) -> State:
    return change(state, tasks=record.data.tasks)


# --- input and turns -------------------------------------------------------------------------------------------------


def _user_message(state: State, record: r.UserMessage) -> State:
    data = record.data
    item = QueuedInput(
        input_id=data.input_id,
        seq=record.seq,
        message=asking_for(data.message, data.output).encode(),
        on_busy=data.on_busy,
        output=data.output,
    )
    first = data.on_busy is OnBusy.interrupt
    return change(state, queue=(item, *state.queue) if first else (*state.queue, item))


def _message_added(state: State, record: r.MessageAdded) -> State:
    message = record.data.message.encode()
    if state.turn is None:
        return change(state, context=remember(state, record.seq, message))
    return change(state, held=(*state.held, Entry(record.seq, message)))


def _withdrawn(state: State, record: r.InputWithdrawn) -> State:
    input_id = record.data.input_id
    queue = tuple(item for item in state.queue if item.input_id != input_id)
    return change(state, queue=queue, task=_still_owed(state, input_id))


def _still_owed(state: State, *answered: str) -> str | None:
    """The task, unless it is among these inputs: what became of them is in the record at hand."""
    return None if state.task in answered else state.task


def _take(state: State, inputs: tuple[str, ...]) -> State:
    taken = [item for item in state.queue if item.input_id in inputs]
    entries = tuple(Entry(item.seq, item.message) for item in taken)
    rest = tuple(item for item in state.queue if item.input_id not in inputs)
    return change(state, queue=rest, context=(*state.context, *entries))


def _turn_started(state: State, record: r.TurnStarted) -> State:
    inputs = record.data.inputs
    turn = Turn(
        turn_id=cast("str", record.turn_id),
        inputs=inputs,
        output=next((item.output for item in state.queue if item.input_id in inputs), None),
        deadline=turn_deadline(state.config, record.at),
        title=record.data.title,
    )
    return change(_take(state, inputs), turn=turn, turns=state.turns + 1)


def _turn_steered(state: State, record: r.TurnSteered) -> State:
    inputs = (*open_turn(state).inputs, *record.data.inputs)
    # An answer that was there already does not answer what came after it.
    return change_turn(_take(state, record.data.inputs), inputs=inputs, stage=Stage.model)


def _turn_cancelling(state: State, record: r.TurnCancelling) -> State:
    data = record.data
    return change_turn(state, ending=Ending(reason=data.reason, then=data.then, code=data.code))


def _turn_ended(state: State, _: Any) -> State:
    task = _still_owed(state, *open_turn(state).inputs)
    return change(flush_held(state), turn=None, actions=(), expired=(), task=task)


_HANDLERS: dict[type[Any], Callable[[State, Any], State]] = {
    r.SessionCreated: origins.created,
    r.SessionForked: origins.forked,
    r.SessionImported: origins.imported,
    r.TasksUpdated: _tasks_updated,
    r.SessionConfigured: _configured,
    r.SessionPaused: _lifecycle(SessionState.paused),
    r.SessionResumed: _lifecycle(SessionState.active),
    r.SessionCompleted: _lifecycle(SessionState.completed),
    r.SessionError: _error,
    r.SessionBudgetReached: budgets.reached,
    r.SessionCleared: _cleared,
    r.SessionRewound: _rewound,
    r.SessionCompacting: compaction.compacting,
    r.SessionCompacted: compaction.compacted,
    r.SessionCompactionFailed: compaction.failed,
    r.SessionTitling: _titling,
    r.SessionRenamed: _renamed,
    r.SessionTitleFailed: _title_failed,
    r.UserMessage: _user_message,
    r.MessageAdded: _message_added,
    r.InputWithdrawn: _withdrawn,
    r.TurnStarted: _turn_started,
    r.TurnSteered: _turn_steered,
    r.TurnCancelling: _turn_cancelling,
    r.TurnCompleted: _turn_ended,
    r.TurnFailed: _turn_ended,
    r.TurnCancelled: _turn_ended,
    r.ModelCallStarted: sampling.model_started,
    r.ModelCallCompleted: sampling.model_completed,
    r.ModelCallFailed: sampling.model_failed,
    r.ToolCallStarted: lanes.tool_started,
    r.ToolCallCompleted: lanes.tool_completed,
    r.ToolCallDenied: calls.tool_denied,
    r.ToolCallInDoubt: calls.tool_in_doubt,
    r.ToolCallInputRequired: asking.input_required,
    r.ToolCallUnanswered: sampling.unanswered,
    r.ToolCallHeld: lanes.tool_held,
    r.SecurityNoted: _noted,
    r.ToolCallLate: calls.tool_late,
    r.TaskOffered: external.task_offered,
    r.TaskLeased: external.task_leased,
    r.TaskCompleted: external.task_completed,
    r.CommandRetried: lanes.command_retried,
    r.CommandDeadLettered: lanes.dead_lettered,
    r.QueueAlert: lanes.queue_alert,
    r.ActionRequested: waits.action_requested,
    r.ActionResolved: waits.action_resolved,
    r.TimerFired: waits.timer_fired,
    r.WorkspaceBound: _workspace_bound,
    r.ChildStarted: waits.child_started,
    r.ChildCompleted: waits.child_completed,
    r.ChildSignalled: waits.child_signalled,
    r.LeaseGranted: budgets.lease_granted,
    r.LeaseEnded: budgets.lease_ended,
    r.LeaseReturned: budgets.lease_returned,
}
