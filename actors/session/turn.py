"""An open turn at one place of the journal: its stage, its model call, the tool calls of its round. Plain values."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from actors.domain.asking import MAX_ROUNDS, Question, SamplingOf
from actors.domain.base import Frozen
from actors.domain.calls import CallKey, HostRef
from actors.domain.compaction import CompactionReason, SummaryOf
from actors.domain.messages import StopReason, TextPart, TokenUsage
from actors.domain.outputs import OutputFormat
from actors.errors import CredentialMissing, ModelUnpriced
from actors.session.failure import Ending, Failure
from actors.session.tool_call import CallPhase, ToolCallState


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
    """The model call that is under way.

    Attributes:
        model: The name it was started with.
        sampling: The question of a tool that it answers; None of one for the turn itself.
    """

    call_id: str
    attempt: int
    seq: int
    host: HostRef
    model: str = ""
    sampling: SamplingOf | None = None

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
    def for_model(self) -> tuple[ToolCallState, Question] | None:
        """The question of a tool that a model is to answer next; None while one is being answered."""
        if self.model_call is not None:
            return None
        for call in self.calls:
            asks = call.phase is CallPhase.input_required and call.rounds <= MAX_ROUNDS
            question = call.asking.for_model if asks and call.asking is not None else None
            if question is not None:
                return call, question
        return None

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
