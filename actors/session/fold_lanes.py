"""The meaning of the records of lanes: what their limits need to know, repetitions, dead letters, counts.

Pure, as ``actors.session.fold``, which dispatches to these. A session without a ``queue_config`` has nothing of it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from actors.domain import records as r
from actors.domain.calls import Outcome
from actors.domain.lanes import DeadLetter, LaneCounts
from actors.domain.policies import SessionLane
from actors.policy.lanes import counted
from actors.session import fold_budgets as budgets
from actors.session import fold_calls as calls
from actors.session.external import OUTSIDE
from actors.session.fold_calls import call_at, change, change_call, change_turn, open_turn
from actors.session.questions import after_loss
from actors.session.state import State
from actors.session.tool_call import CallPhase, ToolCallState


def model_began(state: State, record: r.ModelCallStarted) -> State:
    """A model call is one of the lane ``generate``."""
    return _begun(state, SessionLane.generate, record.at)


def model_ended(state: State, *, well: bool) -> State:
    """An attempt of a model call is over."""
    return _ended(state, SessionLane.generate, well=well)


def tool_started(state: State, record: r.ToolCallStarted) -> State:
    """A tool's call is one of its lane; what the session itself carries out is not."""
    data = record.data
    state = budgets.tool_began(calls.tool_started(state, record), record)
    if data.wait is not None and data.offer is None:
        return state
    return _begun(state, call_at(state, data.index).lane, record.at)


def tool_completed(state: State, record: r.ToolCallCompleted) -> State:
    """The call has left its lane."""
    return _left(calls.tool_completed(state, record), call_at(state, record.data.index), record.data.outcome)


def tool_held(state: State, record: r.ToolCallHeld) -> State:
    """The call has left its lane; what becomes of its result is no matter of that."""
    return _left(calls.tool_held(state, record), call_at(state, record.data.index), record.data.outcome)


def _left(state: State, call: ToolCallState, outcome: Outcome) -> State:
    """The counts with a call as it was when it came to its end. A task outside may have been closed before that."""
    outside = call.phase is CallPhase.started and call.host == OUTSIDE
    return _ended(state, call.lane, well=outcome is Outcome.ok) if call.limited or outside else state


def _ended(state: State, lane: SessionLane, *, well: bool) -> State:
    """An attempt of a call of this lane is over."""
    return _count(state, lane, **{"completed" if well else "failed": 1})


def _begun(state: State, lane: SessionLane, at: datetime) -> State:
    """An attempt of a call of this lane begins."""
    queue = state.config.queue_config
    if queue is None:
        return state
    window = counted(queue.rate_limit, state.windows.get(lane), at)
    if window is not None:
        state = change(state, windows={**state.windows, lane: window})
    return _count(state, lane, started=1)


def _count(state: State, lane: SessionLane, **more: int) -> State:
    """The counts of a lane with so many more, when it counts."""
    queue = state.config.queue_config
    if queue is None or not queue.enable_metrics:
        return state
    counts = state.lane_counts.get(lane, LaneCounts())
    changed = counts.model_copy(update={name: getattr(counts, name) + number for name, number in more.items()})
    return change(state, lane_counts={**state.lane_counts, lane: changed})


def command_retried(state: State, record: r.CommandRetried) -> State:
    """The call waits until it is repeated."""
    data = record.data
    state = change_call(
        state,
        data.index,
        phase=CallPhase.delayed,
        retries=call_at(state, data.index).retries + 1,
        wait=None,
        wakes_at=record.at + timedelta(milliseconds=data.delay_ms),
        woken=False,
        asking=after_loss(call_at(state, data.index).asking),
    )
    return _count(state, data.lane, failed=1, retried=1)


def dead_lettered(state: State, record: r.CommandDeadLettered) -> State:
    """A note of the call is kept, as one of the newest."""
    data = record.data
    letter = DeadLetter(
        command_id=data.call_id,
        command_type=data.tool,
        lane=data.lane,
        error=data.error,
        attempts=data.attempts,
        at=record.at,
    )
    kept = state.config.queue.dead_letters_kept
    letters = (*state.dead_letters, letter)[-kept:] if kept else ()
    return _count(change(state, dead_letters=letters), data.lane, dead_lettered=1)


def queue_alert(state: State, record: r.QueueAlert) -> State:
    """It was told of; this round tells it no more."""
    data = record.data
    told = f"{data.alert_type}:{data.lane}:{data.threshold}"
    return change_turn(state, alerted=(*open_turn(state).alerted, told))
