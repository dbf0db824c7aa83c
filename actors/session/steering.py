"""Cancel, pause and resume: of a session by people, and from a parent to the children that still work for it. Pure.

A child is told by a message, as a child tells its parent: in order, at least once, whatever dies in between. Giving up
a task names it, so that a message that comes twice never ends what the child does later.
"""

from __future__ import annotations

from collections.abc import Iterator

from actors.domain import commands as c
from actors.domain import records as r
from actors.domain.children import Signal
from actors.domain.ids import letter_id
from actors.domain.journal import OutboxRow
from actors.domain.records import Draft
from actors.domain.session import SessionState
from actors.errors import InvalidRequest
from actors.session.state import State

MAX_REASON = 4096
"""Characters of a reason: several records repeat it, and the model reads it."""


def short(reason: str | None) -> None:
    """Refuse a reason that is too long to be repeated."""
    if len(reason or "") > MAX_REASON:
        raise InvalidRequest(f"A reason has at most {MAX_REASON} characters.")


def cancelling(state: State, reason: str) -> Iterator[Draft]:
    """The open turn ends, and its children are told to give up their tasks."""
    turn = state.turn
    if turn is not None and turn.ending is None:
        yield Draft(r.TurnCancelling, r.TurnCancelling.Data(reason=reason), turn.turn_id)
    for child in state.children:
        if not child.cancelled:
            yield _signal(child.journal_id, Signal.cancel)


def cancel(state: State, command: c.Cancel) -> list[Draft]:
    """What a person's cancel causes."""
    short(command.reason)
    return list(cancelling(state, command.reason))


def pause(state: State, _: c.Command) -> list[Draft]:
    """No new step until resumed, of the session and of those that work for it."""
    if state.lifecycle is not SessionState.active:
        return []
    return [Draft(r.SessionPaused, r.Empty()), *_to_all(state, Signal.pause)]


def resume(state: State, _: c.Command) -> list[Draft]:
    """Go on. A crash loop leaves a session in state error; resuming is how a person says that the cause is gone."""
    if state.lifecycle not in {SessionState.paused, SessionState.error}:
        return []
    return [Draft(r.SessionResumed, r.Empty()), *_to_all(state, Signal.resume)]


def signalled(state: State, command: c.SignalChild) -> list[Draft]:
    """What a parent's word causes. It revives nobody that has failed: that is for people to do."""
    if command.signal is Signal.pause:
        return pause(state, command)
    if command.signal is Signal.resume:
        return resume(state, command) if state.lifecycle is SessionState.paused else []
    if any(item.input_id == command.task for item in state.queue):
        return [Draft(r.InputWithdrawn, r.InputWithdrawn.Data(input_id=command.task))]
    turn = state.turn
    if turn is None or command.task not in turn.inputs:
        return []
    return list(cancelling(state, "its parent gave up the task"))


def _to_all(state: State, signal: Signal) -> list[Draft]:
    return [_signal(child.journal_id, signal) for child in state.children]


def _signal(journal_id: str, signal: Signal) -> Draft:
    return Draft(r.ChildSignalled, r.ChildSignalled.Data(child_journal_id=journal_id, signal=signal))


def letter(before: State, record: r.ChildSignalled) -> OutboxRow | None:
    """The message to the child."""
    data = record.data
    child = next((one for one in before.children if one.journal_id == data.child_journal_id), None)
    if child is None:
        return None
    task = letter_id(before.journal_id, child.seq)
    command = c.SignalChild(command_id=letter_id(before.journal_id, record.seq), signal=data.signal, task=task)
    return OutboxRow(record.seq, data.child_journal_id, command.model_dump_json().encode())
