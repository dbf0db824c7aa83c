"""An open turn at one place of the journal: its stage, its model call, the tool calls of its round. Plain values."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from actors.domain.actions import Action, Resolution
from actors.domain.base import Frozen
from actors.domain.calls import CallKey, HostRef
from actors.domain.children import ChildReport
from actors.domain.compaction import CompactionReason, SummaryOf
from actors.domain.lanes import TaskHandlerMode
from actors.domain.messages import PARSE_ERROR, StopReason, TextPart, TokenUsage
from actors.domain.outputs import OutputFormat
from actors.domain.policies import SessionLane
from actors.domain.records import Offer, Wait
from actors.domain.tools import EffectClass
from actors.errors import CredentialMissing, ModelUnpriced
from actors.policy.lanes import lane_of
from actors.session.failure import Ending, Failure
from actors.session.questions import Asking


class CallPhase(StrEnum):
    """How far a tool call of the open round is."""

    proposed = "proposed"
    asked = "asked"
    decided = "decided"
    delayed = "delayed"
    started = "started"
    in_doubt = "in_doubt"
    input_required = "input_required"
    settled = "settled"


class ToolCallState(Frozen):
    """A tool call of the open round. ``index`` is its place in the model's answer.

    Attributes:
        retries: How often its lane has repeated it.
        decision: What was decided about it, by a person or a timer.
        doubt: What is known of an attempt that was lost; ``untouched``: it has had no effect.
        result: The encoded message that answers the call, once settled.
        wait: What a started call waits for that the session carries out by itself; None of all others.
        wakes_at: When the time it waits for is over; ``woken``: it is.
        offer: How those outside take part in it; ``offered``: they know of it.
        task: What they have to do, while it is not settled; ``lapsed``: the worker's time is over.
        batch: Of a call within a batch, the batch's index; it has no answer of its own for the model.
        children: Journals of the children it started, in the order of its tasks.
        reports: What those that are done have told, in the order in which they did.
        asking: What its tool asked last; ``rounds``: how often it has asked; ``abandoned``: that is only ended.
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
    untouched: bool = False
    result: bytes | None = None
    wait: Wait | None = None
    retries: int = 0
    wakes_at: datetime | None = None
    woken: bool = False
    offer: Offer | None = None
    offered: bool = False
    task: Action | None = None
    lapsed: bool = False
    batch: int | None = None
    children: tuple[str, ...] = ()
    reports: tuple[ChildReport, ...] = ()
    asking: Asking | None = None
    rounds: int = 0
    abandoned: bool = False

    @property
    def own(self) -> bool:
        """Whether it is under way, and no host of ours runs it."""
        return self.wait is not None and self.phase is CallPhase.started

    @property
    def place(self) -> tuple[int, int]:
        """Where it stands in the model's order: calls within a batch where the batch does."""
        return (self.index if self.batch is None else self.batch, self.index)

    @property
    def holds_others(self) -> bool:
        """Whether it is a batch under way, which ends with the calls within it."""
        return self.own and self.wait is not None and self.wait.calls is not None

    @property
    def outside(self) -> bool:
        """Whether somebody outside carries it out."""
        return self.offer is not None and self.offer.mode is TaskHandlerMode.external

    @property
    def runs(self) -> bool:
        """Whether a host runs it."""
        return self.wait is None and self.phase is CallPhase.started

    @property
    def has_come(self) -> bool:
        """Whether a call that no host runs has what it waited for."""
        if self.wait is None:
            return False
        return self.woken if self.wait.answers is None else len(self.reports) >= self.wait.answers

    @property
    def waits(self) -> bool:
        """Whether it has to wait on: for what a call that no host runs waits for, or to be repeated."""
        if self.phase is CallPhase.delayed:
            return not self.woken
        # A batch waits as the calls within it do.
        return self.own and not self.has_come and not self.holds_others

    @property
    def may_begin(self) -> bool:
        """Whether nothing but the order of the round, and its lane, keeps its next attempt from beginning."""
        due = (self.phase is CallPhase.delayed and self.woken) or self.answered
        return due or self.phase in {CallPhase.proposed, CallPhase.decided}

    @property
    def answered(self) -> bool:
        """Whether it can be taken up again: what its tool has asked for is there."""
        asks = self.phase is CallPhase.input_required
        return asks and self.asking is not None and self.asking.answered

    @property
    def limited(self) -> bool:
        """Whether it is under way, or may be, and takes a place of its lane."""
        return self.runs or (self.own and self.outside) or self.phase is CallPhase.in_doubt

    @property
    def stands_in_line(self) -> bool:
        """Whether it is yet to begin."""
        return self.phase in {CallPhase.proposed, CallPhase.asked, CallPhase.decided, CallPhase.delayed}

    @property
    def lane(self) -> SessionLane:
        """Where it stands in line."""
        return lane_of(self.name, self.args)

    @property
    def leased_until(self) -> datetime | None:
        """When the claim of its worker ends, as long as that is a thing to come."""
        terms = self.task.task if self.task is not None else None
        return terms.lease.expires_at if terms and terms.lease and not self.lapsed else None

    @property
    def parse_error(self) -> str | None:
        """Why the arguments could not be read, or None."""
        reason = self.args.get(PARSE_ERROR)
        return str(reason) if reason is not None else None

    @property
    def key(self) -> CallKey | None:
        """The running attempt."""
        return CallKey(call_id=self.call_id, attempt=self.attempt) if self.call_id else None


class Unanswered(Frozen):
    """An attempt of a tool call that was closed, or given up, without anybody knowing what became of it.

    Attributes:
        host: Where its outcome may still come from; None when that is dead, or has no more to say.
        task: The external task of the attempt, whose worker may still say what came of it.
    """

    call_id: str
    attempt: int
    host: HostRef | None = None
    task: str | None = None

    @property
    def key(self) -> CallKey:
        """The attempt."""
        return CallKey(call_id=self.call_id, attempt=self.attempt)


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


class Turn(Frozen):
    """An open turn.

    Attributes:
        deadline: End of its wall time; waits for people, children and timers push it back.
        waiting_since: Since when it waits for those, or is paused.
        call_id: Of the present model call over its attempts; empty before the first.
        failures: Failed attempts of the present model call, ``hosts_lost`` those that were not the model's fault.
        repeats: How often in a row the same tool call was settled, and its digest.
        parts: The answer's text in pieces, when it is so long that the store keeps some; ``text`` then lacks those.
        output: The form that the answer has to have; None for a text.
        output_problem: Why the last answer has not that form; None when it has.
        timed_out: Its wall time is over.
        alerted: What was told of the lanes' lengths in this round.
        summary_of: What the present, or the last, model call sums up; None of one for an answer.
        summary: What the model wrote for it, until the context is compacted.
        compacted: Why the context was compacted since the last answer, if it was.
        summary_failed: A compaction did not come about; the turn does not try again by itself.
        keyless: Somebody decided that a model whose key is missing is not waited for.
        title: It is there for a title; what it sums up, and the summary, are about that.
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
    output: OutputFormat | None = None
    output_problem: str | None = None
    timed_out: bool = False
    alerted: tuple[str, ...] = ()
    summary_of: SummaryOf | None = None
    summary: tuple[TextPart, ...] | None = None
    compacted: CompactionReason | None = None
    summary_failed: bool = False
    keyless: bool = False
    title: bool = False
    ending: Ending | None = None

    @property
    def lacks_key(self) -> bool:
        """Whether the last attempt had no key to ask with, and the turn waits until there is one."""
        return self._waits_on(CredentialMissing) and not self.keyless

    @property
    def lacks_price(self) -> bool:
        """Whether nobody knows what the next attempt would cost, and the turn waits until somebody agrees."""
        return self._waits_on(ModelUnpriced)

    def _waits_on(self, kind: type[Exception]) -> bool:
        failure = self.failure
        return failure is not None and failure.code == kind.__name__ and not failure.retryable

    @property
    def asks_again(self) -> bool:
        """Whether an attempt to get an answer failed, and it is to be asked for again."""
        return self.failure is not None and self.summary_of is None
