"""A tool call of an open turn's round, at one place of the journal. Plain values."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from actors.domain.actions import Action, Resolution
from actors.domain.base import Frozen
from actors.domain.calls import CallKey, HostRef
from actors.domain.children import ChildReport
from actors.domain.lanes import TaskHandlerMode
from actors.domain.messages import PARSE_ERROR
from actors.domain.policies import SessionLane
from actors.domain.records import Offer, ToolCallHeld, Wait
from actors.domain.tools import EffectClass
from actors.policy.lanes import lane_of
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
    held = "held"
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
        asking: What its tool asked last; ``rounds``: how often it has asked, and ``samplings``
            for a model's answer; ``abandoned``: that is only ended.
        held: Its outcome, which somebody has to look at before the model does.
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
    samplings: int = 0
    abandoned: bool = False
    held: ToolCallHeld.Data | None = None

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
