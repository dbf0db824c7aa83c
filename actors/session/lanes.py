"""The lanes of a session at work: which call may begin now, what a failure leads to, how they stand. Pure.

Lanes limit, and never reorder: when the lane of a call is full, the calls behind it in the model's answer wait as well.
What the session itself carries out (``spawn_children``, ``sleep``) takes nobody's place and is not limited.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from actors.domain import records as r
from actors.domain.calls import RAISED, Outcome
from actors.domain.lanes import LaneStatus, QueueStats
from actors.domain.messages import TextBlock
from actors.domain.policies import SessionLane
from actors.domain.records import Draft
from actors.domain.tools import EffectClass
from actors.policy.lanes import DEPTHS, closed_until, counted, retry_delay_ms
from actors.session import external
from actors.session.state import State
from actors.session.tool_call import CallPhase, ToolCallState
from actors.session.tool_drafts import completed
from actors.session.turn import Turn

MAX_ERROR = 512
"""Characters of a failure that ``command.retried`` and dead letters repeat; the call's own record has all of it."""


class Gate:
    """Lets calls of a round begin, one after the other, for as long as their lanes have room."""

    def __init__(self, state: State, turn: Turn) -> None:
        self._queue = state.config.queue_config
        self._windows = dict(state.windows)
        self._active = Counter(call.lane for call in turn.calls if call.limited)
        self._now = state.updated_at

    def admits(self, call: ToolCallState) -> bool:
        """Whether the call may begin; from then on it counts."""
        if self._queue is None or self._now is None:
            return True
        lane = call.lane
        limit, window = self._queue.rate_limit, self._windows.get(lane)
        if self._active[lane] >= self._queue.max_concurrency(lane) or closed_until(limit, window, self._now):
            return False
        self._active[lane] += 1
        began = counted(limit, window, self._now)
        if began is not None:
            self._windows[lane] = began
        return True


def ending(state: State, draft: Draft) -> Iterator[Draft]:
    """What is written when an attempt of a call comes to its end, or is in doubt: in its place, or before it."""
    data, turn = draft.data, state.turn
    if turn is not None and isinstance(data, r.ToolCallCompleted.Data | r.ToolCallInDoubt.Data):
        call = turn.calls[data.index]
        if call.phase is CallPhase.held:
            # It came to its end before somebody looked at what it gave.
            yield draft
            return
        if isinstance(data, r.ToolCallCompleted.Data) and _broke(data):
            again = _again(state, turn, call, data)
            if again is None and state.config.queue.enable_dlq:
                yield _dead_letter(turn, call, data)
            draft = again or draft
        yield from external.told(turn, call, data)
    yield draft


def _broke(data: r.ToolCallCompleted.Data) -> bool:
    """Whether the call was not carried out to its end; a tool that says no was."""
    return data.outcome is Outcome.timeout or (data.outcome is Outcome.error and RAISED in data.metadata)


def _again(state: State, turn: Turn, call: ToolCallState, data: r.ToolCallCompleted.Data) -> Draft | None:
    delay_ms = retry_delay_ms(state.config.queue.retry_policy, call.retries)
    if delay_ms is None or call.effect is EffectClass.unsafe or turn.ending is not None:
        return None
    retried = r.CommandRetried.Data(
        call_id=data.call_id,
        attempt=data.attempt,
        index=call.index,
        tool=call.name,
        lane=call.lane,
        outcome=data.outcome,
        error=_error_of(data),
        delay_ms=delay_ms,
    )
    return Draft(r.CommandRetried, retried, turn.turn_id)


def given_up(turn: Turn, call: ToolCallState, why: str) -> Draft:
    """The end of a call that was to be repeated."""
    return completed(turn, call, Outcome.cancelled, f"It failed, and was not tried again: {why}.", exit_code=1)


def _dead_letter(turn: Turn, call: ToolCallState, data: r.ToolCallCompleted.Data) -> Draft:
    dead = r.CommandDeadLettered.Data(
        call_id=data.call_id,
        index=call.index,
        tool=call.name,
        lane=call.lane,
        error=_error_of(data),
        attempts=data.attempt,
    )
    return Draft(r.CommandDeadLettered, dead, turn.turn_id)


def _error_of(data: r.ToolCallCompleted.Data) -> str:
    if isinstance(data.content, str):
        return data.content[:MAX_ERROR]
    return "".join(part.text for part in data.content if isinstance(part, TextBlock))[:MAX_ERROR]


def alerts(state: State, turn: Turn) -> Iterator[Draft]:
    """Lanes in which more calls wait than somebody wants to know of, each once in a round."""
    queue = state.config.queue_config
    if queue is None or not (queue.enable_alerts or queue.pressure_threshold):
        return
    waiting = Counter(call.lane for call in turn.calls if call.stands_in_line)
    for lane, depth in sorted(waiting.items()):
        marks = [("depth", level, mark) for mark, level in DEPTHS.items()] if queue.enable_alerts else []
        if queue.pressure_threshold is not None:
            marks.append(("pressure", "warning", queue.pressure_threshold))
        for alert_type, level, mark in marks:
            if depth >= mark and f"{alert_type}:{lane}:{mark}" not in turn.alerted:
                message = f"{depth} calls of the lane {lane} wait."
                data = r.QueueAlert.Data(
                    lane=lane, level=level, alert_type=alert_type, message=message, depth=depth, threshold=mark
                )
                yield Draft(r.QueueAlert, data, turn.turn_id)


def stats(state: State) -> QueueStats:
    """How the lanes stand."""
    calls = state.turn.calls if state.turn is not None else ()
    active = Counter(call.lane for call in calls if call.limited)
    pending = Counter(call.lane for call in calls if call.stands_in_line)
    active[SessionLane.generate] = 1 if state.turn is not None and state.turn.model_call is not None else 0
    queue = state.config.queue
    lanes = {
        lane: LaneStatus(
            lane=lane,
            pending=pending[lane],
            active=active[lane],
            max_concurrency=queue.max_concurrency(lane),
            handler_mode=queue.handler_config(lane).mode,
        )
        for lane in SessionLane
    }
    return QueueStats(
        total_pending=pending.total(),
        total_active=active.total(),
        external_pending=len(state.external_tasks),
        lanes=lanes,
    )
