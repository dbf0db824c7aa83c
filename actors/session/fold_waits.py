"""The meaning of the records of what a turn waits for: actions, timers, children.

Pure, as ``actors.session.fold``, which dispatches to these.
"""

from __future__ import annotations

from datetime import timedelta

from actors.domain import records as r
from actors.domain.actions import CHOICES, Action, ActionKind, Resolution
from actors.domain.children import Signal
from actors.session import fold_asking as asking
from actors.session import fold_budgets as budgets
from actors.session.fold_calls import call_at, change, change_call, change_turn, open_turn
from actors.session.state import OpenChild, State
from actors.session.tool_call import CallPhase


def action_requested(state: State, record: r.ActionRequested) -> State:
    """The turn waits for a decision, mostly about one of its calls."""
    data = record.data
    expires = record.at + timedelta(milliseconds=data.timeout_ms) if data.timeout_ms is not None else None
    action = Action(
        action_id=data.action_id,
        kind=data.kind,
        session_id=state.session_id,
        turn_id=open_turn(state).turn_id,
        call_index=data.index,
        tool_use_id=data.tool_use_id,
        tool=data.tool,
        args=data.args,
        args_digest=data.args_digest,
        requested_at=record.at,
        expires_at=expires,
        detail=data.detail,
    )
    state = change(state, actions=(*state.actions, action))
    if data.kind in _NOT_DECIDING:
        return state
    call = call_at(state, data.index)
    phase = CallPhase.asked if call.phase is CallPhase.proposed else call.phase
    return change_call(state, data.index, phase=phase, action_id=data.action_id, decision=None)


_NOT_DECIDING = {ActionKind.workspace_lost, ActionKind.budget, ActionKind.credential, ActionKind.input}
"""What is asked, but not what becomes of the call."""


def action_resolved(state: State, record: r.ActionResolved) -> State:
    """The decision is there."""
    data = record.data
    action = next((one for one in state.actions if one.action_id == data.action_id), None)
    if action is None:
        return state
    state = change(
        state,
        actions=tuple(one for one in state.actions if one.action_id != data.action_id),
        expired=tuple(one for one in state.expired if one != data.action_id),
    )
    if action.kind is ActionKind.workspace_lost:
        return _workspace_decided(state, action, data)
    if action.kind is ActionKind.budget:
        return budgets.decided(state, action, data)
    if action.kind is ActionKind.credential:
        return _key_decided(state, data.resolution)
    if action.kind is ActionKind.input:
        return asking.answered(state, action, data)
    call = call_at(state, action.call_index)
    return change_call(
        state,
        action.call_index,
        phase=CallPhase.decided if call.phase is CallPhase.asked else call.phase,
        decision=data.resolution,
        reason=data.reason,
        value=data.value,
        args=data.args if data.args is not None else call.args,
    )


def _key_decided(state: State, resolution: Resolution) -> State:
    """The model is asked once more, in the next attempt of the same call; or it is not waited for any more."""
    failure = open_turn(state).failure
    if resolution is Resolution.retry and failure is not None:
        return change_turn(state, failure=failure.model_copy(update={"retryable": True}))
    return change_turn(state, keyless=True) if resolution is Resolution.reject else state


def _workspace_decided(state: State, action: Action, data: r.ActionResolved.Data) -> State:
    """The workspace may be elsewhere, or the call that needs it fails. What was decided about the call before stays."""
    if data.resolution is Resolution.approve:
        return change(state, workspace_given_up=True)
    if data.resolution is Resolution.reject:
        doubted = call_at(state, action.call_index).phase is CallPhase.in_doubt
        return change_call(
            state,
            action.call_index,
            phase=CallPhase.in_doubt if doubted else CallPhase.decided,
            decision=data.resolution,
            reason=data.reason or "its workspace is on a node that is gone",
        )
    return state


def timer_fired(state: State, record: r.TimerFired) -> State:
    """A moment has passed."""
    kind, _, which = record.data.name.partition(":")
    if kind == "turn":
        return change_turn(state, timed_out=True) if state.turn else state
    if kind == "call":
        return change_call(state, int(which), woken=True)
    if kind == "lease":
        return change_call(state, int(which), lapsed=True)
    if kind == "lane":
        return state
    return change(state, expired=(*state.expired, which))


def child_started(state: State, record: r.ChildStarted) -> State:
    """A child with a task works for the session from here; a call that started it waits for it."""
    data = record.data
    if data.task:
        state = change(state, children=(*state.children, OpenChild(data.child_journal_id, record.seq)))
    if data.index is None:
        return state
    return change_call(state, data.index, children=(*call_at(state, data.index).children, data.child_journal_id))


def child_signalled(state: State, record: r.ChildSignalled) -> State:
    """The child will be told; one that was told to give up is not told so again."""
    data = record.data
    if data.signal is not Signal.cancel:
        return state
    told = tuple(
        one._replace(cancelled=True) if one.journal_id == data.child_journal_id else one for one in state.children
    )
    return change(state, children=told)


def child_completed(state: State, record: r.ChildCompleted) -> State:
    """The call that waits for the child has its answer; when none does, the record is all there is."""
    report = record.data
    left = tuple(one for one in state.children if one.journal_id != report.child_journal_id)
    state = change(state, children=left)
    for call in state.turn.calls if state.turn else ():
        if call.waits and report.child_journal_id in call.children:
            return change_call(state, call.index, reports=(*call.reports, report))
    return state


def resolved_action(action: Action, record: r.ActionResolved) -> Action:
    """The action after its resolution, for the store's table."""
    data = record.data
    changes = {"resolution": data.resolution, "resolved_by": data.by, "resolved_at": record.at}
    return action.model_copy(update=changes)


def may_resolve(action: Action, resolution: Resolution) -> bool:
    """Whether a person may resolve the action this way."""
    return resolution in CHOICES[action.kind]
