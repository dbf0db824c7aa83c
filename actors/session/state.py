"""What a session is at one place of its journal: plain values, folded from records by ``actors.session.fold``.

What an open turn is stands in ``actors.session.turn``.
The context is kept as encoded messages, so a turn never decodes or encodes what was there before.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from pydantic import Field

from actors.domain.actions import Action
from actors.domain.base import Frozen
from actors.domain.messages import TokenUsage
from actors.domain.policies import OnBusy
from actors.domain.session import Activity, ContextUsage, SessionConfig, SessionState
from actors.domain.tasks import Task
from actors.domain.workspaces import Workspace
from actors.session.turn import Stage, ToolCallState, Turn, Unanswered

SNAPSHOT_VERSION = 2
"""Version of ``State``'s JSON form; a state of another version is folded anew from the records."""


MAX_UNANSWERED = 64
"""Attempts whose outcome may still come late: each is a call that ignored its cancel, or was lost with its host."""


class Entry(NamedTuple):
    """One message of the context: the seq of the record that brought it, and its JSON form."""

    seq: int
    message: bytes


class QueuedInput(Frozen):
    """An accepted input that no turn has taken."""

    input_id: str
    seq: int
    message: bytes
    on_busy: OnBusy = OnBusy.enqueue


class State(Frozen):
    """The fold. Every field follows from the records; nothing else is kept.

    Attributes:
        seq: Place of the last folded record; 0 before the first.
        context: What the model sees.
        context_since: Place of the last record that took messages out of the context; since then it only grew.
        held: Messages that were added in the middle of a round and join the context after it.
        queue: Inputs that wait, in the order in which turns will take them.
        actions: Pending ones, oldest first.
        turns: How many turns were started.
        tasks: The task list.
        unanswered: Attempts whose outcome would still be news, oldest first; the newest ``MAX_UNANSWERED``.
        task: The input whose answer the parent has not been told yet; None when it is owed none.
        workspace: Where its tool calls run; None before the first.
        workspace_given_up: Its node was gone, and somebody decided to go on wherever that is possible.
    """

    journal_id: str = ""
    tenant: str = ""
    session_id: str = ""
    config: SessionConfig = SessionConfig()
    parent_journal_id: str | None = None
    root_journal_id: str | None = None
    task: str | None = None
    workspace: Workspace | None = None
    workspace_given_up: bool = False
    lifecycle: SessionState = SessionState.active
    seq: int = 0
    epoch: int = 0
    created_at: datetime | None = None
    updated_at: datetime | None = None
    context: tuple[Entry, ...] = ()
    held: tuple[Entry, ...] = ()
    queue: tuple[QueuedInput, ...] = ()
    turn: Turn | None = None
    turns: int = 0
    actions: tuple[Action, ...] = ()
    expired: tuple[str, ...] = Field(default=())
    tasks: tuple[Task, ...] = ()
    usage: TokenUsage = TokenUsage()
    cost: Decimal = Decimal(0)
    context_used: int = 0
    context_since: int = 0
    unanswered: tuple[Unanswered, ...] = ()

    @property
    def activity(self) -> Activity:
        """What the session does now."""
        if self.turn is None:
            return Activity.queued if self.queue else Activity.idle
        if self.waits_for_people:
            return Activity.requires_action
        return Activity.waiting if self.waits_for_others else Activity.running

    @property
    def _in_round(self) -> Turn | None:
        """The open turn, when it is in a round of tool calls none of which a host runs."""
        turn = self.turn
        if turn is None or turn.ending or turn.stage is not Stage.tools or any(call.runs for call in turn.calls):
            return None
        return turn

    @property
    def external_tasks(self) -> tuple[Action, ...]:
        """What somebody outside has been offered to do and has not done yet, in the calls' order."""
        return tuple(call.task for call in self.turn.calls if call.task is not None) if self.turn else ()

    @property
    def waits_for_people(self) -> bool:
        """Whether the open turn can only go on after a decision from outside."""
        return bool(self.actions) and not self.expired and self._in_round is not None

    @property
    def waits_for_others(self) -> bool:
        """Whether the open turn can only go on once children or workers have reported, or a timer is over."""
        turn = self._in_round
        return turn is not None and any(call.waits for call in turn.calls)

    @property
    def waits(self) -> bool:
        """Whether the open turn waits for anything that is not its own work."""
        return self.waits_for_people or self.waits_for_others

    @property
    def context_usage(self) -> ContextUsage:
        """How full the context is."""
        window = self.config.context_tokens
        return ContextUsage(
            used_tokens=self.context_used,
            max_tokens=window,
            percent=self.context_used / window,
            turns=len(self.context),
        )

    @property
    def wake_at(self) -> datetime | None:
        """When the next timer is due, or None."""
        due = [
            action.expires_at for action in self.actions if action.expires_at and action.action_id not in self.expired
        ]
        due += [call.wakes_at for call in self._sleeping if call.wakes_at]
        due += [until for call in self._sleeping if (until := call.leased_until)]
        turn = self.turn
        if turn and not turn.ending and not turn.timed_out and turn.waiting_since is None:
            due.append(turn.deadline)
        return min(due, default=None)

    @property
    def _sleeping(self) -> tuple[ToolCallState, ...]:
        turn = self.turn
        return () if turn is None or turn.ending else tuple(call for call in turn.calls if call.waits and call.wakes_at)

    @property
    def expires_at(self) -> datetime | None:
        """When it is destroyed unless it is used before, by its own configuration."""
        if self.config.ttl_s is None or self.updated_at is None:
            return None
        return self.updated_at + timedelta(seconds=self.config.ttl_s)

    def timers_due(self, now: datetime) -> tuple[str, ...]:
        """Names of the timers that are over: ``turn``, ``action:<id>``, ``call:<index>`` and ``lease:<index>``."""
        names = [
            f"action:{action.action_id}"
            for action in self.actions
            if action.expires_at and action.expires_at <= now and action.action_id not in self.expired
        ]
        names += [f"call:{call.index}" for call in self._sleeping if call.wakes_at and call.wakes_at <= now]
        names += [f"lease:{call.index}" for call in self._sleeping if (until := call.leased_until) and until <= now]
        turn = self.turn
        armed = turn and not turn.ending and not turn.timed_out and turn.waiting_since is None
        return (*names, "turn") if turn and armed and turn.deadline <= now else tuple(names)

    def action(self, wanted: str) -> Action | None:
        """A pending action by its id, or by the tool call id within the open turn."""
        for action in self.actions:
            if wanted in {action.action_id, action.tool_use_id}:
                return action
        return None


def turn_deadline(config: SessionConfig, started_at: datetime) -> datetime:
    """The end of a turn's wall time."""
    return started_at + timedelta(seconds=config.max_turn_s)


def to_snapshot(state: State) -> bytes:
    """The state as compact JSON."""
    return state.model_dump_json().encode()


def from_snapshot(body: bytes) -> State:
    """The state that ``to_snapshot`` wrote."""
    return State.model_validate_json(body)


def initial() -> State:
    """The state before the first record."""
    return State()
