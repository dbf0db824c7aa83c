"""The meaning of the records of external tasks, for the state and for the row that the store keeps of each.

Pure, as ``actors.session.fold``, which dispatches to these.
"""

from __future__ import annotations

from datetime import timedelta

from actors.domain import records as r
from actors.domain.actions import Action, ActionKind, Resolution, TaskLease, TaskTerms
from actors.domain.command import digest_of_json
from actors.domain.lanes import TaskHandlerMode
from actors.session.fold_calls import call_at, change_call, still_news
from actors.session.state import State
from actors.session.turn import Unanswered


def task_offered(state: State, record: r.TaskOffered) -> State:
    """The call waits for somebody outside; of a hybrid one those outside are only told."""
    index = record.data.index
    if record.data.mode is not TaskHandlerMode.external:
        return change_call(state, index, offered=True)
    open_task = call_at(state, index).task
    task = offered(record) if open_task is None else unclaimed(open_task)
    return change_call(state, index, offered=True, task=task, lapsed=False)


def task_leased(state: State, record: r.TaskLeased) -> State:
    """A worker has it."""
    task = call_at(state, record.data.index).task
    return state if task is None else change_call(state, record.data.index, task=leased(task, record), lapsed=False)


def task_completed(state: State, record: r.TaskCompleted) -> State:
    """Nobody outside has anything to do with this attempt any more; what a worker may say of it is still news."""
    data = record.data
    call = call_at(state, data.index)
    if call.task is not None and data.resolution not in {Resolution.completed, Resolution.failed}:
        lost = Unanswered(call_id=call.call_id or "", attempt=call.attempt, task=data.task_id)
        state = still_news(state, lost)
    return change_call(state, data.index, offer=None, offered=False, task=None, lapsed=False)


def offered(record: r.TaskOffered) -> Action:
    """The task as it is at first."""
    data = record.data
    return Action(
        action_id=data.task_id,
        kind=ActionKind.external_task,
        session_id=record.session_id,
        turn_id=record.turn_id or "",
        call_index=data.index,
        tool_use_id=data.tool_use_id,
        tool=data.tool,
        args=data.args,
        args_digest=digest_of_json(data.args),
        requested_at=record.at,
        expires_at=record.at + timedelta(milliseconds=data.timeout_ms),
        task=TaskTerms(
            lane=data.lane,
            timeout_ms=data.timeout_ms,
            call_id=data.call_id,
            attempt=data.attempt,
            effect=data.effect,
        ),
    )


def unclaimed(task: Action) -> Action:
    """The task for whoever comes next."""
    return task.model_copy(update={"task": task.task.model_copy(update={"lease": None}) if task.task else None})


def leased(task: Action, record: r.TaskLeased) -> Action:
    """The task as it is claimed."""
    data = record.data
    lease = TaskLease(
        lease_id=data.lease_id, worker=data.worker, expires_at=record.at + timedelta(milliseconds=data.lease_ms)
    )
    return task.model_copy(update={"task": task.task.model_copy(update={"lease": lease}) if task.task else None})


def settled(task: Action, record: r.TaskCompleted) -> Action:
    """The task after its end."""
    data = record.data
    changes = {"resolution": data.resolution, "resolved_by": data.by, "resolved_at": record.at}
    return task.model_copy(update=changes)


def changed_tasks(before: State, records: tuple[r.Record, ...]) -> tuple[Action, ...]:
    """The rows of tasks that these records change, as they are after them."""
    known = {task.action_id: task for task in before.external_tasks}
    touched: dict[str, Action] = {}
    for record in records:
        if isinstance(record, r.TaskOffered) and record.data.mode is TaskHandlerMode.external:
            task_id = record.data.task_id
            touched[task_id] = unclaimed(known[task_id]) if task_id in known else offered(record)
        elif isinstance(record, r.TaskLeased):
            touched[record.data.task_id] = leased(known[record.data.task_id], record)
        elif isinstance(record, r.TaskCompleted) and record.data.task_id in known:
            touched[record.data.task_id] = settled(known[record.data.task_id], record)
        known |= touched
    return tuple(touched.values())
