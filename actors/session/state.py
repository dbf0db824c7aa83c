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
from actors.domain.artifacts import Artifact
from actors.domain.base import Frozen
from actors.domain.compaction import Compacting
from actors.domain.lanes import DeadLetter, LaneCounts
from actors.domain.messages import TokenUsage, decode_messages
from actors.domain.outputs import OutputFormat
from actors.domain.policies import OnBusy, SessionLane
from actors.domain.security import Taint
from actors.domain.session import Activity, ContextUsage, SessionConfig, SessionState
from actors.domain.tasks import Task
from actors.domain.tools import EffectClass
from actors.domain.workspaces import Workspace
from actors.policy.families import refusal
from actors.policy.lanes import Window, closed_until
from actors.session.account import Account
from actors.session.turn import Stage, Turn, Unanswered

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
    output: OutputFormat | None = None


class OpenChild(NamedTuple):
    """A child that has not told yet what became of its task; ``seq``: of the record that started it."""

    journal_id: str
    seq: int
    cancelled: bool = False


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
        children: Those that still work for it, in the order in which they were started.
        tasks: The task list.
        unanswered: Attempts whose outcome would still be news, oldest first; the newest ``MAX_UNANSWERED``.
        windows: Of lanes with a rate limit: what began within it.
        lane_counts: What became of calls, by lane, when metrics are kept.
        dead_letters: Calls that failed for good, the newest ones last, when they are kept.
        artifacts: Large results that can be read, oldest first.
        compacting: The compaction that is due or under way.
        titling: A title is wanted, and is not there yet.
        taints: What was withheld, to know it again, newest last.
        account: What it took, lent and was lent, as far as nothing else here tells.
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
    children: tuple[OpenChild, ...] = ()
    usage: TokenUsage = TokenUsage()
    cost: Decimal = Decimal(0)
    inherited_usage: TokenUsage = TokenUsage()
    inherited_cost: Decimal = Decimal(0)
    context_used: int = 0
    context_since: int = 0
    unanswered: tuple[Unanswered, ...] = ()
    windows: dict[SessionLane, Window] = Field(default={})
    lane_counts: dict[SessionLane, LaneCounts] = Field(default={})
    dead_letters: tuple[DeadLetter, ...] = ()
    artifacts: tuple[Artifact, ...] = ()
    compacting: Compacting | None = None
    titling: bool = False
    taints: tuple[Taint, ...] = ()
    account: Account = Account()

    @property
    def workspace_node(self) -> str | None:
        """Name of the node that has its files; None when any node will do."""
        return self.workspace.node if self.workspace is not None and not self.workspace.shared else None

    @property
    def activity(self) -> Activity:
        """What the session does now."""
        if self.turn is None:
            return Activity.queued if self.queue else Activity.idle
        if self.waits_for_people:
            return Activity.requires_action
        return Activity.waiting if self.waits_for_others else Activity.running

    @property
    def _between_calls(self) -> bool:
        """Whether the open turn has a next call to begin, and no host runs one."""
        turn = self.turn
        if turn is None or turn.ending or turn.stage not in {Stage.model, Stage.tools}:
            return False
        return turn.model_call is None and not any(call.runs for call in turn.calls)

    @property
    def external_tasks(self) -> tuple[Action, ...]:
        """What somebody outside has been offered to do and has not done yet, in the calls' order."""
        return tuple(call.task for call in self.turn.calls if call.task is not None) if self.turn else ()

    @property
    def waits_for_people(self) -> bool:
        """Whether the open turn can only go on after a decision from outside."""
        return bool(self.actions) and not self.expired and self._between_calls

    @property
    def waits_for_others(self) -> bool:
        """Whether the open turn can only go on once children or workers have reported, or a timer is over."""
        turn = self.turn
        if turn is None or turn.ending or turn.model_call is not None or any(call.runs for call in turn.calls):
            return False
        return any(call.waits for call in turn.calls) or self.rate_limited

    @property
    def waits(self) -> bool:
        """Whether the open turn waits for anything that is not its own work."""
        return self.waits_for_people or self.waits_for_others

    @property
    def whole_messages(self) -> int:
        """How many messages of the context make a conversation: an answer whose calls have no results yet does not."""
        last = decode_messages([self.context[-1].message])[0] if self.context else None
        return len(self.context) - 1 if last is not None and last.tool_calls else len(self.context)

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
        return min(self._timers.values(), default=None)

    def timers_due(self, now: datetime) -> tuple[str, ...]:
        """Names of the timers that are over, as in ``timer.fired``."""
        return tuple(name for name, due in self._timers.items() if due <= now)

    @property
    def _timers(self) -> dict[str, datetime]:
        timers = {
            f"action:{action.action_id}": action.expires_at
            for action in self.actions
            if action.expires_at and action.action_id not in self.expired
        }
        turn = self.turn
        if turn is None or turn.ending:
            return timers
        sleeping = [call for call in turn.calls if call.waits and call.wakes_at]
        timers |= {f"call:{call.index}": call.wakes_at for call in sleeping if call.wakes_at}
        timers |= {f"lease:{call.index}": until for call in sleeping if (until := call.leased_until)}
        if self._rate_limit is not None:
            timers[f"lane:{self._rate_limit[0]}"] = self._rate_limit[1]
        if not turn.timed_out and turn.waiting_since is None:
            timers["turn"] = turn.deadline
        return timers

    @property
    def _rate_limit(self) -> tuple[SessionLane, datetime] | None:
        """The lane whose rate limit keeps the turn's next call from beginning, and until when."""
        queue = self.config.queue_config
        lane = self._next_lane if queue is not None else None
        if queue is None or lane is None or self.updated_at is None:
            return None
        opens = closed_until(queue.rate_limit, self.windows.get(lane), self.updated_at)
        return (lane, opens) if opens is not None else None

    @property
    def rate_limited(self) -> bool:
        """Whether a rate limit keeps the turn's next call from beginning."""
        return self._rate_limit is not None

    @property
    def _next_lane(self) -> SessionLane | None:
        turn = self.turn
        if turn is None or turn.ending is not None:
            return None
        if turn.stage is Stage.model:
            return SessionLane.generate if not (turn.lacks_key or turn.lacks_price) else None
        # What must not run beside others stands in line for them, and not for its lane.
        if any(call.limited and call.effect is not EffectClass.pure for call in turn.calls):
            return None
        following = min((call for call in turn.calls if call.may_begin), key=lambda call: call.place, default=None)
        return following.lane if following is not None else None

    @property
    def expires_at(self) -> datetime | None:
        """When it is destroyed unless it is used before, by its own configuration."""
        if self.config.ttl_s is None or self.updated_at is None:
            return None
        return self.updated_at + timedelta(seconds=self.config.ttl_s)

    def refused_children(self, new: int, working: int) -> str | None:
        """Why so many further children, ``working`` of them with a task, may not be started; None when they may."""
        return refusal(
            depth_left=self.config.max_depth,
            working=len(self.children),
            limit=self.config.max_children,
            new=new,
            new_working=working,
        )

    def action(self, wanted: str) -> Action | None:
        """A pending action by its id, or by the tool call id within the open turn if it is that of one only."""
        of_call = [action for action in self.actions if wanted and action.tool_use_id == wanted]
        found = [action for action in self.actions if action.action_id == wanted] or of_call
        return found[0] if len(found) == 1 else None


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
