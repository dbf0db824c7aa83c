"""What a command means for a session in this state: the records it causes, or why it is refused.

Pure. A refusal raises before anything is written.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from actors.domain import commands as c
from actors.domain import records as r
from actors.domain.actions import CHOICES, Action, ActionKind, Remember, Resolution
from actors.domain.blobs import blobs_in
from actors.domain.children import MAX_SPAWN_BYTES, NewChild
from actors.domain.messages import Message, Role
from actors.domain.permissions import PermissionDecision, PermissionRule
from actors.domain.policies import OnBusy
from actors.domain.records import Draft
from actors.domain.session import SessionState
from actors.errors import (
    ActionNotFound,
    ActionSettled,
    InputNotFound,
    InvalidRequest,
    Overloaded,
    SessionBusy,
    SessionEnded,
    SessionPaused,
)
from actors.policy.remembering import remembered
from actors.session import asking, budgets, compaction, configuration, external, steering, titles
from actors.session.children import endowed, started
from actors.session.fold_waits import may_resolve
from actors.session.projection import small
from actors.session.state import State

MAX_QUEUE = 1000
"""Inputs that may wait in one session; more would be a mistake of the sender's, and each is resident memory."""


def decide(state: State, command: c.Command) -> tuple[Draft, ...]:
    """The records that the command causes; empty when it changes nothing.

    Raises:
        GreenroomError: the command is refused; which one depends on the command.
    """
    return tuple(
        draft if draft.cause else replace(draft, cause=command.command_id)
        for draft in _DECIDERS[type(command)](state, command)
    )


def _taking_input(state: State) -> None:
    if state.lifecycle is SessionState.paused:
        raise SessionPaused(state.session_id)
    if state.lifecycle.ended:
        raise SessionEnded(state.session_id, state.lifecycle.value)


def _send(state: State, command: c.Send) -> list[Draft]:
    _taking_input(state)
    if command.message.role is not Role.user:
        raise InvalidRequest("An input is a message of role user.")
    if state.turn is not None and command.on_busy is OnBusy.reject:
        raise SessionBusy(state.session_id)
    if len(state.queue) >= MAX_QUEUE:
        raise Overloaded(f"{MAX_QUEUE} inputs wait in session {state.session_id!r}", 5.0)
    if command.output is not None and command.on_busy is OnBusy.steer:
        raise InvalidRequest("An input that asks for a form of the answer gets a turn of its own: do not steer by it.")
    _from_outside(command.message)
    data = r.UserMessage.Data(
        input_id=command.command_id, message=command.message, on_busy=command.on_busy, output=command.output
    )
    drafts = [Draft(r.UserMessage, data)]
    if command.on_busy is OnBusy.interrupt:
        drafts += steering.cancelling(state, "interrupted by a new input")
    return drafts


def _from_outside(message: Message) -> None:
    if any(block.type in {"tool_use", "tool_result"} for block in message.content):
        raise InvalidRequest("Messages from outside are text and images; tool calls and results come from turns.")
    if blobs_in((message,)):
        # Whoever knows a digest may not therefore read what another session has under it.
        raise InvalidRequest("Messages from outside have their content in them: send the text or the image itself.")


def _add_message(state: State, command: c.AddMessage) -> list[Draft]:
    if state.lifecycle.ended:
        raise SessionEnded(state.session_id, state.lifecycle.value)
    _from_outside(command.message)
    return [Draft(r.MessageAdded, r.MessageAdded.Data(message=command.message))]


def _withdraw(state: State, command: c.WithdrawInput) -> list[Draft]:
    if all(item.input_id != command.input_id for item in state.queue):
        raise InputNotFound(command.input_id)
    return [Draft(r.InputWithdrawn, r.InputWithdrawn.Data(input_id=command.input_id))]


def _clear(state: State, _: c.Clear) -> list[Draft]:
    _resting(state)
    return [Draft(r.SessionCleared, r.Empty())]


def _resting(state: State) -> None:
    """Only between turns the context may be changed from outside."""
    if state.turn is not None or state.compacting is not None:
        raise SessionBusy(state.session_id)


def _compact(state: State, command: c.Compact) -> list[Draft]:
    _taking_input(state)
    asked = compaction.due(state) if command.only_when_due else state.compacting or compaction.asked_for(state)
    return [Draft(r.SessionCompacting, asked)] if asked is not None else []


def _title(state: State, _: c.GenerateTitle) -> list[Draft]:
    _taking_input(state)
    return titles.asked_for(state)


def _rewind(state: State, command: c.Rewind) -> list[Draft]:
    _resting(state)
    if state.lifecycle.ended:
        raise SessionEnded(state.session_id, state.lifecycle.value)
    if not state.context_since <= command.to <= state.seq or not 0 <= command.keep <= len(state.context):
        raise InvalidRequest(
            f"The context was cleared, rewound or compacted at record {state.context_since}; what stood before is not "
            f"in it. "
            f"Rewind to {max(state.context_since, 1)} to {state.seq}, or fork the session at {command.to}."
        )
    if command.keep == len(state.context):
        return []
    data = r.SessionRewound.Data(to=command.to, keep=command.keep, used=command.used)
    return [Draft(r.SessionRewound, data)]


def _complete(state: State, command: c.Complete) -> list[Draft]:
    drafts = [Draft(r.InputWithdrawn, r.InputWithdrawn.Data(input_id=item.input_id)) for item in state.queue]
    why = "the session was ended"
    drafts += steering.cancelling(state, why)
    drafts += [*compaction.unbegun(state, why), *titles.unbegun(state, why)]
    steering.short(command.error)
    if command.error is not None:
        data = r.SessionError.Data(code="set_by_user", message=command.error)
        return [Draft(r.SessionError, data), *drafts]
    return [Draft(r.SessionCompleted, r.Empty()), *drafts]


def _resolve(state: State, command: c.ResolveAction) -> list[Draft]:
    steering.short(command.reason)
    action = state.action(command.action_id)
    if action is None and any(command.action_id in {task.action_id, task.tool_use_id} for task in state.external_tasks):
        raise InvalidRequest("An external task is not resolved: it is completed with its result.")
    if action is None:
        raise ActionNotFound(command.action_id)
    if action.action_id in state.expired:
        raise ActionSettled(action.action_id, "timeout")
    if not may_resolve(action, command.resolution):
        choices = ", ".join(sorted(CHOICES[action.kind]))
        raise InvalidRequest(
            f"An action of kind {action.kind} cannot be resolved by {command.resolution}. Choose one of: {choices}."
        )
    if command.args is not None and command.resolution is not Resolution.approve:
        raise InvalidRequest("Arguments can be changed only when a call is approved.")
    if command.args is not None and action.kind is ActionKind.injection:
        raise InvalidRequest("The call has run: its result can be read as it is (approve), marked, or not at all.")
    if command.args_digest is not None and command.args_digest != action.args_digest:
        raise InvalidRequest("The call's arguments are not those the decision was made on. Look at the action again.")
    data = r.ActionResolved.Data(
        action_id=action.action_id,
        resolution=command.resolution,
        by=command.by,
        reason=command.reason,
        args=command.args,
        value=command.value,
        content=_content(action, command),
    )
    follows = budgets.answered(state, action, data) if action.kind is ActionKind.budget else ()
    return [Draft(r.ActionResolved, data, action.turn_id), *follows, *_remembered(state, action, command)]


def _content(action: Action, command: c.ResolveAction) -> dict[str, Any] | None:
    if action.kind is not ActionKind.input:
        if command.content is not None:
            raise InvalidRequest("Content is for a tool that asks for input.")
        return None
    return asking.content_of(action, command.content, accepted=command.resolution is Resolution.accept)


def _remembered(state: State, action: Action, command: c.ResolveAction) -> list[Draft]:
    """The rule that the decision becomes, when it is to count for more than this call."""
    if command.remember is Remember.once:
        if command.rule is not None:
            raise InvalidRequest("A rule is remembered with remember='rule'.")
        return []
    if action.kind is not ActionKind.approval:
        raise InvalidRequest(f"Only the decision about an approval can be remembered, not one of kind {action.kind}.")
    text = command.rule.text if command.rule and command.remember is Remember.rule else None
    if text is None:
        args = command.args if command.args is not None else action.args
        text = remembered(action.tool, args, command.remember, workspace=state.config.workspace)
    if text is None:
        raise InvalidRequest("This call cannot be spelled out as a rule. Decide once, or say which rule is meant.")
    allowed = command.resolution is Resolution.approve
    kind = PermissionDecision.allow if allowed else PermissionDecision.deny
    given = c.AddPermissionRule(command_id=command.command_id, decision=kind, rule=PermissionRule(text))
    return configuration.add_rule(state, given)


def _set_tasks(state: State, command: c.SetTasks) -> list[Draft]:
    if state.lifecycle.ended:
        raise SessionEnded(state.session_id, state.lifecycle.value)
    if command.tasks == state.tasks:
        return []
    return [Draft(r.TasksUpdated, r.TasksUpdated.Data(tasks=command.tasks))]


def _spawn(state: State, command: c.SpawnChildren) -> list[Draft]:
    if state.lifecycle.ended:
        raise SessionEnded(state.session_id, state.lifecycle.value)
    children = endowed(state, command.children)
    if isinstance(children, str):
        raise InvalidRequest(children)
    inherited = len(state.config.model_dump_json()) * len(command.children)
    if len(command.model_dump_json().encode()) + inherited > MAX_SPAWN_BYTES:
        raise InvalidRequest(
            f"The tasks and configurations of one spawn have at most {MAX_SPAWN_BYTES // 2**20} MiB together."
        )
    for child in command.children:
        _checked_task(child)
    return [
        draft
        for child, birth in zip(command.children, children, strict=True)
        for draft in started(child.child_id, child.child_journal_id, birth)
    ]


def _checked_task(child: NewChild) -> None:
    if child.task is not None:
        if child.task.role is not Role.user:
            raise InvalidRequest("A task is a message of role user.")
        _from_outside(child.task)
        # Its record is written with the child's others, where nobody could refuse it any more.
        small(Draft(r.UserMessage, r.UserMessage.Data(input_id="", message=child.task)), {})


def _report(_: State, command: c.ReportChild) -> list[Draft]:
    # Whatever state the session is in: what was told was told.
    return [Draft(r.ChildCompleted, command.report)]


def _return_lease(_: State, command: c.ReturnLease) -> list[Draft]:
    data = r.LeaseReturned.Data(child_journal_id=command.child_journal_id, amounts=command.amounts)
    return [Draft(r.LeaseReturned, data)]


_DECIDERS: dict[type[c.Command], Callable[[State, Any], list[Draft]]] = {
    c.Send: _send,
    c.AddMessage: _add_message,
    c.WithdrawInput: _withdraw,
    c.Cancel: steering.cancel,
    c.Pause: steering.pause,
    c.Resume: steering.resume,
    c.Clear: _clear,
    c.Compact: _compact,
    c.GenerateTitle: _title,
    c.Rewind: _rewind,
    c.Complete: _complete,
    c.Configure: configuration.configure,
    c.AddPermissionRule: configuration.add_rule,
    c.SetLaneHandler: configuration.set_lane_handler,
    c.LeaseTask: external.lease,
    c.CompleteTask: external.complete,
    c.ResolveAction: _resolve,
    c.SetTasks: _set_tasks,
    c.SpawnChildren: _spawn,
    c.ReportChild: _report,
    c.ReturnLease: _return_lease,
    c.SignalChild: steering.signalled,
}
