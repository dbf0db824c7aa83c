"""What a session is at one place of its journal: plain values, folded from records by ``actors.session.fold``.

The context is kept as encoded messages, so a turn never decodes or encodes what was there before.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple

from pydantic import Field

from actors.domain.actions import Action, Resolution
from actors.domain.base import Frozen
from actors.domain.calls import CallKey, HostRef
from actors.domain.messages import PARSE_ERROR, StopReason, TextPart, TokenUsage
from actors.domain.policies import OnBusy
from actors.domain.session import Activity, ContextUsage, SessionConfig, SessionState
from actors.domain.tools import EffectClass

SNAPSHOT_VERSION = 1
"""Version of ``State``'s JSON form; a state of another version is folded anew from the records."""


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


class CallPhase(StrEnum):
    """How far a tool call of the open round is."""

    proposed = "proposed"
    asked = "asked"
    decided = "decided"
    started = "started"
    in_doubt = "in_doubt"
    settled = "settled"


class ToolCallState(Frozen):
    """A tool call of the open round. ``index`` is its place in the model's answer.

    Attributes:
        decision: What was decided about it, by a person or a timer.
        result: The encoded message that answers the call, once settled.
        lost: How often a host died under it.
    """

    index: int
    tool_use_id: str
    name: str
    args: dict[str, Any]
    phase: CallPhase = CallPhase.proposed
    action_id: str | None = None
    decision: Resolution | None = None
    reason: str | None = None
    value: str | None = None
    call_id: str | None = None
    attempt: int = 0
    seq: int = 0
    host: HostRef | None = None
    effect: EffectClass = EffectClass.unsafe
    doubt: str | None = None
    result: bytes | None = None

    @property
    def parse_error(self) -> str | None:
        """Why the arguments could not be read, or None."""
        reason = self.args.get(PARSE_ERROR)
        return str(reason) if reason is not None else None

    @property
    def key(self) -> CallKey | None:
        """The running attempt."""
        return CallKey(call_id=self.call_id, attempt=self.attempt) if self.call_id else None


class ModelCallState(Frozen):
    """The model call that is under way. ``model`` is the name it was started with."""

    call_id: str
    attempt: int
    seq: int
    host: HostRef
    model: str = ""

    @property
    def key(self) -> CallKey:
        """The running attempt."""
        return CallKey(call_id=self.call_id, attempt=self.attempt)


class Stage(StrEnum):
    """What an open turn does next."""

    model = "model"
    """A model call has to be started."""

    calling = "calling"
    """A model call is under way."""

    tools = "tools"
    """Tool calls of the last answer are not all settled."""

    answered = "answered"
    """The model answered without calling tools."""


class Failure(Frozen):
    """How the last attempt of the present model call failed."""

    code: str
    message: str
    error_args: tuple[Any, ...] = ()
    retryable: bool
    host_lost: bool


class Ending(Frozen):
    """The turn is being closed, and how it ends."""

    reason: str
    then: str
    code: str


class Turn(Frozen):
    """An open turn.

    Attributes:
        deadline: End of its wall time; waits for people push it back.
        waiting_since: Since when it waits for people, or is paused.
        call_id: Of the present model call over its attempts; empty before the first.
        failures: Failed attempts of the present model call, ``hosts_lost`` those that were not the model's fault.
        repeats: How often in a row the same tool call was settled, and its digest.
        parts: The answer's text in pieces, when it is so long that the store keeps some; ``text`` then lacks those.
        timed_out: Its wall time is over.
    """

    turn_id: str
    inputs: tuple[str, ...]
    deadline: datetime
    waiting_since: datetime | None = None
    stage: Stage = Stage.model
    round: int = 0
    model_call: ModelCallState | None = None
    call_id: str = ""
    attempts: int = 0
    failures: int = 0
    hosts_lost: int = 0
    failure: Failure | None = None
    calls: tuple[ToolCallState, ...] = ()
    used_tools: bool = False
    parse_failures: int = 0
    continuations: int = 0
    repeats: int = 0
    repeated: str = ""
    tool_calls_count: int = 0
    usage: TokenUsage = TokenUsage()
    cost: Decimal | None = Decimal(0)
    text: str = ""
    parts: tuple[TextPart, ...] = ()
    stop_reason: StopReason | None = None
    timed_out: bool = False
    ending: Ending | None = None


class State(Frozen):
    """The fold. Every field follows from the records; nothing else is kept.

    Attributes:
        seq: Place of the last folded record; 0 before the first.
        context: What the model sees.
        held: Messages that were added in the middle of a round and join the context after it.
        queue: Inputs that wait, in the order in which turns will take them.
        actions: Pending ones, oldest first.
        turns: How many turns were started.
    """

    journal_id: str = ""
    tenant: str = ""
    session_id: str = ""
    config: SessionConfig = SessionConfig()
    parent_journal_id: str | None = None
    root_journal_id: str | None = None
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
    usage: TokenUsage = TokenUsage()
    cost: Decimal = Decimal(0)
    context_used: int = 0

    @property
    def activity(self) -> Activity:
        """What the session does now."""
        if self.turn is None:
            return Activity.queued if self.queue else Activity.idle
        return Activity.requires_action if self.waits_for_people else Activity.running

    @property
    def waits_for_people(self) -> bool:
        """Whether the open turn can only go on after a decision from outside."""
        turn = self.turn
        if turn is None or not self.actions or turn.ending or turn.stage is not Stage.tools:
            return False
        return not any(call.phase is CallPhase.started for call in turn.calls) and not self.expired

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
        turn = self.turn
        if turn and not turn.ending and not turn.timed_out and turn.waiting_since is None:
            due.append(turn.deadline)
        return min(due, default=None)

    def timers_due(self, now: datetime) -> tuple[str, ...]:
        """Names of the timers that are over: ``turn`` and ``action:<id>``."""
        names = [
            f"action:{action.action_id}"
            for action in self.actions
            if action.expires_at and action.expires_at <= now and action.action_id not in self.expired
        ]
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
