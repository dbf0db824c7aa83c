"""The journal's vocabulary: every record a session can write, as one discriminated union.

Records and events are the same objects; only deltas (``actors.domain.events``) are not journaled. An envelope has
``seq, session_id, turn_id, type, at, epoch, cause, data``; ``type`` is ``{domain}.{action}``. Clients ignore types
they do not know.

The reference implementation's event names map to these:

    agent_start, turn_start         turn.started, model.call.started
    text_delta, tool_input_delta    message.delta
    tool_start / tool_end           tool.call.started / tool.call.completed
    tool_output_delta               tool.output.delta
    turn_end                        model.call.completed
    agent_end / error               turn.completed / turn.failed
    confirmation_required           action.requested
    confirmation_received           action.resolved
    confirmation_timeout            timer.fired, then action.resolved by "timeout"
    external_task_pending           task.offered
    external_task_completed         task.completed
    command_retry                   command.retried
    command_dead_lettered           command.dead_lettered
    queue_alert                     queue.alert
    permission_denied               tool.call.denied
    persistence_failed              session.persistence_failed
    task_updated                    tasks.updated
    context_compacted               session.compacted
    subagent_start / subagent_end   child.started / child.completed
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from actors.domain.actions import ActionKind, Resolution
from actors.domain.artifacts import Artifact, GivenFile
from actors.domain.asking import Question, SamplingOf
from actors.domain.base import Frozen
from actors.domain.budgets import Amounts, Bounds, Lease, Resource
from actors.domain.calls import HostRef, Outcome
from actors.domain.children import Birth, ChildReport, Signal
from actors.domain.commands import Configure
from actors.domain.compaction import Compacting, CompactionReason, SummaryOf
from actors.domain.lanes import TaskHandlerMode
from actors.domain.messages import BlobTextBlock, ImageBlock, Message, StopReason, TextBlock, TextPart, TokenUsage
from actors.domain.outputs import OutputFormat
from actors.domain.policies import OnBusy, SessionLane
from actors.domain.security import Sifted, Taint
from actors.domain.session import SessionConfig, SessionState
from actors.domain.tasks import TaskList
from actors.domain.tools import EffectClass
from actors.domain.workspaces import Workspace

MAX_RECORD_BYTES = 256 * 1024
"""Largest encoded record. Content that could be larger is a blob or is refused before it gets here."""


class Empty(Frozen):
    """No data."""


class RecordBase(Frozen):
    """The envelope.

    Attributes:
        seq: Place in the journal, from 1, without gaps.
        at: Wall time in UTC; never goes back within a journal.
        epoch: Activation that wrote the record.
        cause: The command, outbox row or record that led to it.
    """

    seq: int
    session_id: str
    turn_id: str | None = None
    at: datetime
    epoch: int
    cause: str | None = None


# --- session -------------------------------------------------------------------------------------------------------


class SessionCreated(RecordBase):
    """First record of every journal."""

    class Data(Frozen):
        """Everything that identifies the session.

        ``task``: the input whose answer its parent is told. ``workspace``: its parent's, when it works in the same.
        ``lease``: what it has of its parent's budget. ``taints``: what its parent knows again.
        """

        journal_id: str
        tenant: str
        config: SessionConfig
        parent_journal_id: str | None = None
        root_journal_id: str | None = None
        task: str | None = None
        workspace: Workspace | None = None
        lease: Lease | None = None
        taints: tuple[Taint, ...] = Field(default=(), exclude_if=lambda value: not value)

    type: Literal["session.created"] = "session.created"
    data: Data


class SessionForked(RecordBase):
    """First record of a fork's own; those before it are its source's as well."""

    class Data(Frozen):
        """Who it is from here on, and from whom. ``usage`` and ``cost_usd`` are the source's, and are counted there."""

        journal_id: str
        source_journal_id: str
        source_session_id: str
        name: str
        usage: TokenUsage = TokenUsage()
        cost_usd: str = "0"

    type: Literal["session.forked"] = "session.forked"
    data: Data


class SessionImported(RecordBase):
    """The session came from a document. What was under way, and who waited for whom, stayed where it was."""

    class Data(Frozen):
        """Where it is from, and what its other records do not tell; None leaves what they tell."""

        origin: str = Field(max_length=64)
        state: SessionState | None = None
        usage: TokenUsage | None = None
        cost_usd: str | None = None
        context_used: int | None = Field(default=None, ge=0)

    type: Literal["session.imported"] = "session.imported"
    data: Data


class SessionConfigured(RecordBase):
    """Configuration changed: the command itself, key-free."""

    class Data(Frozen):
        """The fields named in ``change.set_fields`` are in force from here."""

        change: Configure

    type: Literal["session.configured"] = "session.configured"
    data: Data


class SessionPaused(RecordBase):
    """No new step until resumed."""

    type: Literal["session.paused"] = "session.paused"
    data: Empty = Empty()


class SessionResumed(RecordBase):
    """Goes on."""

    type: Literal["session.resumed"] = "session.resumed"
    data: Empty = Empty()


class SessionCleared(RecordBase):
    """The context is empty from here; the transcript stays."""

    type: Literal["session.cleared"] = "session.cleared"
    data: Empty = Empty()


class SessionRewound(RecordBase):
    """The model sees from here what it saw after record ``to``: the first ``keep`` messages of the context."""

    class Data(Frozen):
        """``used``: the tokens that these messages had."""

        to: int
        keep: int
        used: int

    type: Literal["session.rewound"] = "session.rewound"
    data: Data


class SessionCompacting(RecordBase):
    """The context is compacted before the next answer is asked for. What becomes of it is one of the next two."""

    type: Literal["session.compacting"] = "session.compacting"
    data: Compacting


class SessionCompacted(RecordBase):
    """The context is shorter from here; the transcript stays."""

    class Data(Frozen):
        """What went. Places are those of the context before, from 0.

        ``start`` to ``end``: messages that gave way to ``summary``, or to nothing. ``pruned``: messages whose tool
        outputs gave way to a marker. ``before_tokens`` is the provider's count of the last prompt (an estimate when
        there was none), ``percent_before`` its part of the window, ``after_tokens`` an estimate from it. ``error``: why
        there is no summary although the model was asked for one.
        """

        reason: CompactionReason
        start: int = 0
        end: int = 0
        summary: Message | None = None
        pruned: tuple[int, ...] = ()
        removed_messages: int
        before_messages: int
        after_messages: int
        before_tokens: int
        after_tokens: int
        percent_before: float
        error: str | None = None

    type: Literal["session.compacted"] = "session.compacted"
    data: Data


class SessionCompactionFailed(RecordBase):
    """The context stays as it was."""

    class Data(Frozen):
        """Why. ``error_args`` are those of the error class that ``code`` names, when it is one of ours."""

        reason: CompactionReason
        code: str
        message: str
        error_args: tuple[Any, ...] = ()

    type: Literal["session.compaction_failed"] = "session.compaction_failed"
    data: Data


class SessionTitling(RecordBase):
    """A title is wanted. What becomes of it is one of the next two."""

    type: Literal["session.titling"] = "session.titling"
    data: Empty = Empty()


class SessionRenamed(RecordBase):
    """The session has the name that its model found for it."""

    class Data(Frozen):
        """The name."""

        name: str

    type: Literal["session.renamed"] = "session.renamed"
    data: Data


class SessionTitleFailed(RecordBase):
    """The name stays as it was."""

    class Data(Frozen):
        """Why: ``no_title`` when there was nothing to name, or none was written. ``error_args``: see ``TurnFailed``."""

        code: str
        message: str
        error_args: tuple[Any, ...] = ()

    type: Literal["session.title_failed"] = "session.title_failed"
    data: Data


class SessionCompleted(RecordBase):
    """The session takes no more input."""

    type: Literal["session.completed"] = "session.completed"
    data: Empty = Empty()


class SessionError(RecordBase):
    """The session is in state error: ``code`` names why (``crash_loop``, ``set_by_user``)."""

    class Data(Frozen):
        """What happened."""

        code: str
        message: str

    type: Literal["session.error"] = "session.error"
    data: Data


# --- input and turns -----------------------------------------------------------------------------------------------


class UserMessage(RecordBase):
    """An input was accepted. A turn takes it later (``turn.started`` or ``turn.steered``)."""

    class Data(Frozen):
        """``on_busy`` is what the sender wanted: ``interrupt`` goes to the front, ``steer`` into the running turn.

        ``output`` is the form that the answer has to have; the model is told after the message.
        """

        input_id: str
        message: Message
        on_busy: OnBusy = OnBusy.enqueue
        output: OutputFormat | None = None

    type: Literal["user.message"] = "user.message"
    data: Data


class MessageAdded(RecordBase):
    """A message entered the context without a turn."""

    class Data(Frozen):
        """The message."""

        message: Message

    type: Literal["message.added"] = "message.added"
    data: Data


class InputWithdrawn(RecordBase):
    """A queued input was taken back."""

    class Data(Frozen):
        """Which one."""

        input_id: str

    type: Literal["input.withdrawn"] = "input.withdrawn"
    data: Data


class TurnStarted(RecordBase):
    """A turn took these inputs; one without any compacts the context, or finds a title, and does nothing else."""

    class Data(Frozen):
        """``inputs``: ids, in order. ``title``: the turn is there for one."""

        inputs: tuple[str, ...]
        title: bool = False

    type: Literal["turn.started"] = "turn.started"
    data: Data


class TurnSteered(RecordBase):
    """The running turn took further inputs, between two steps."""

    class Data(Frozen):
        """``inputs``: ids, in order."""

        inputs: tuple[str, ...]

    type: Literal["turn.steered"] = "turn.steered"
    data: Data


class TurnCancelling(RecordBase):
    """The turn takes no new step and ends as soon as its running calls have an outcome."""

    class Data(Frozen):
        """``then``: how it ends."""

        reason: str
        then: Literal["cancelled", "failed"] = "cancelled"
        code: str = "cancelled"

    type: Literal["turn.cancelling"] = "turn.cancelling"
    data: Data


class TurnCompleted(RecordBase):
    """The turn has an answer."""

    class Data(Frozen):
        """What ``AgentResult`` is made of. ``parts`` is the whole text where it is too long for ``text``."""

        text: str
        parts: tuple[TextPart, ...] = ()
        usage: TokenUsage = TokenUsage()
        tool_calls_count: int = 0
        cost_usd: str | None = None

    type: Literal["turn.completed"] = "turn.completed"
    data: Data


class TurnFailed(RecordBase):
    """The turn ended without an answer. ``code`` names the kind of failure."""

    class Data(Frozen):
        """Why. ``error_args`` are those of the error class that ``code`` names, when it is one of ours."""

        code: str
        message: str
        error_args: tuple[Any, ...] = ()
        usage: TokenUsage = TokenUsage()

    type: Literal["turn.failed"] = "turn.failed"
    data: Data


class TurnCancelled(RecordBase):
    """The turn was ended on request."""

    class Data(Frozen):
        """Why."""

        reason: str
        usage: TokenUsage = TokenUsage()

    type: Literal["turn.cancelled"] = "turn.cancelled"
    data: Data


# --- model calls ---------------------------------------------------------------------------------------------------


class ModelCallStarted(RecordBase):
    """A model call is on its way. The first attempt's place gives the call its id."""

    class Data(Frozen):
        """What is asked, and of whom.

        ``nudge``: a text that asks an unfinished answer to go on; it becomes a user message of the context.
        ``summary_of``: what the call sums up, for the session's own use; ``sampling``: the question of a tool that it
        answers; both None of a call for the turn's next answer.
        """

        call_id: str = ""
        attempt: int = 1
        host: HostRef
        model: str
        round: int
        nudge: str | None = None
        summary_of: SummaryOf | None = None
        sampling: SamplingOf | None = Field(default=None, exclude_if=lambda value: value is None)

    type: Literal["model.call.started"] = "model.call.started"
    data: Data


class ModelCallCompleted(RecordBase):
    """The model answered; the message is part of the context, but for one with ``summary_of`` or ``sampling``."""

    class Data(Frozen):
        """The answer and what it took. ``summary_of`` and ``sampling``: as the call was started.

        ``output_problem`` says why the answer has not the form that its input asked for.
        """

        call_id: str
        attempt: int
        message: Message
        stop_reason: StopReason
        usage: TokenUsage = TokenUsage()
        cost_usd: str | None = None
        provider: str = ""
        model: str = ""
        duration_ms: int = 0
        summary_of: SummaryOf | None = None
        sampling: SamplingOf | None = Field(default=None, exclude_if=lambda value: value is None)
        output_problem: str | None = None

    type: Literal["model.call.completed"] = "model.call.completed"
    data: Data


class ModelCallFailed(RecordBase):
    """An attempt ended without an answer. ``partial`` is text that had arrived when it was cancelled."""

    class Data(Frozen):
        """``host_lost``: the host went away; such attempts do not count as the model's failures."""

        call_id: str
        attempt: int
        code: str
        message: str
        error_args: tuple[Any, ...] = ()
        retryable: bool = False
        host_lost: bool = False
        partial: Message | None = None
        usage: TokenUsage = TokenUsage()
        cost_usd: str | None = None
        provider: str = ""
        model: str = ""

    type: Literal["model.call.failed"] = "model.call.failed"
    data: Data


# --- tool calls ----------------------------------------------------------------------------------------------------


class Wait(Frozen):
    """What a call waits for that the session carries out by itself, without a host.

    Attributes:
        for_ms: Until so many milliseconds after the call's start have passed.
        answers: Until so many of the children that it started have reported.
        calls: Until so many further calls of the round, which stand in its arguments, are settled.
    """

    for_ms: int | None = None
    answers: int | None = None
    calls: int | None = None


class Offer(Frozen):
    """That those outside are offered a call to carry out, or, with mode hybrid, only told of it."""

    task_id: str
    mode: TaskHandlerMode
    timeout_ms: int


class ToolCallStarted(RecordBase):
    """A tool call is about to begin: durable before anything runs. Arguments stand in the model's message."""

    class Data(Frozen):
        """``index``: place of the call in the model's answer, from 0; those within batches come behind all of these.

        ``args``: the approved ones, if one was asked; always of calls within a batch.
        ``abandon``: the call is held open by its host, and this attempt only ends it.
        """

        call_id: str = ""
        attempt: int = 1
        index: int
        tool_use_id: str
        name: str
        effect: EffectClass
        host: HostRef
        args: dict[str, Any] | None = None
        wait: Wait | None = None
        offer: Offer | None = None
        abandon: bool = False

    type: Literal["tool.call.started"] = "tool.call.started"
    data: Data


ResultContent = str | tuple[Annotated[TextBlock | ImageBlock | BlobTextBlock, Field(discriminator="type")], ...]


class ToolCallCompleted(RecordBase):
    """A started call has its outcome."""

    class Data(Frozen):
        """The outcome, as the model will see it, and the tool's metadata.

        ``artifact``: where all of a text is of which the content shows the beginning and the end; ``files``: where
        bytes are that the tool gave.
        """

        call_id: str
        attempt: int
        index: int
        tool_use_id: str
        name: str
        outcome: Outcome
        content: ResultContent
        exit_code: int = 0
        metadata: dict[str, Any] = {}
        duration_ms: int = 0
        artifact: Artifact | None = None
        files: tuple[Artifact, ...] = Field(default=(), exclude_if=lambda value: not value)

    type: Literal["tool.call.completed"] = "tool.call.completed"
    data: Data


class ToolCallHeld(RecordBase):
    """A started call has its outcome, and the model does not read it before somebody has decided what it may read.

    ``tool.call.completed`` follows with that.
    """

    class Data(ToolCallCompleted.Data):
        """The outcome. ``orders``: the kinds of orders to the model that it holds."""

        orders: tuple[str, ...]

    type: Literal["tool.call.held"] = "tool.call.held"
    data: Data


class ToolCallDenied(RecordBase):
    """A call that was never run, with the text the model gets instead of a result.

    ``code``: malformed, unknown_tool, invalid_args, permission, rejected, duplicate, cancelled, too_large.
    """

    class Data(Frozen):
        """Why."""

        index: int
        tool_use_id: str
        name: str
        code: str
        reason: str

    type: Literal["tool.call.denied"] = "tool.call.denied"
    data: Data


class ToolCallInDoubt(RecordBase):
    """An attempt was lost with its host: nobody knows whether it ran. ``detail`` says what is known."""

    class Data(Frozen):
        """Which call. ``untouched``: its tool says that it has had no effect."""

        call_id: str
        attempt: int
        index: int
        tool_use_id: str
        name: str
        detail: str
        untouched: bool = False

    type: Literal["tool.call.in_doubt"] = "tool.call.in_doubt"
    data: Data


class ToolCallInputRequired(RecordBase):
    """An attempt ended because its tool asks for something: questions follow, then an attempt with the answers."""

    class Data(Frozen):
        """What is asked. ``held``: the host keeps the call open; ``state``: digest of what the server wants back.

        ``roots``: questions that its host answers by itself when the call goes on.
        """

        call_id: str
        attempt: int
        index: int
        tool_use_id: str
        name: str
        questions: tuple[Question, ...]
        held: bool
        state: str | None = None
        timeout_ms: int
        roots: tuple[str, ...] = Field(default=(), exclude_if=lambda value: not value)

    type: Literal["tool.call.input_required"] = "tool.call.input_required"
    data: Data


class ToolCallUnanswered(RecordBase):
    """A question of a tool that a model was to answer has no answer. ``reason`` is a sentence without its end."""

    class Data(Frozen):
        """Which question, by the server's name for it."""

        index: int
        tool_use_id: str
        name: str
        key: str
        reason: str

    type: Literal["tool.call.unanswered"] = "tool.call.unanswered"
    data: Data


class ToolCallLate(RecordBase):
    """An outcome that came after the call was closed; kept for the record, the model does not see it."""

    class Data(Frozen):
        """The outcome."""

        call_id: str
        attempt: int
        outcome: Outcome
        content: ResultContent
        artifact: Artifact | None = None
        files: tuple[Artifact, ...] = Field(default=(), exclude_if=lambda value: not value)

    type: Literal["tool.call.late"] = "tool.call.late"
    data: Data


# --- external tasks --------------------------------------------------------------------------------------------------


class TaskOffered(RecordBase):
    """A call of a lane with an external or hybrid handler is there for those outside; again when a lease ran out.

    With ``mode`` hybrid it is only news: the runtime runs the call itself.
    """

    class Data(Frozen):
        """Everything that a worker needs. ``call_id`` is its idempotency key."""

        task_id: str
        mode: TaskHandlerMode
        lane: SessionLane
        call_id: str
        attempt: int
        index: int
        tool_use_id: str
        tool: str
        args: dict[str, Any]
        effect: EffectClass
        timeout_ms: int

    type: Literal["task.offered"] = "task.offered"
    data: Data


class TaskLeased(RecordBase):
    """A worker works on a task, and nobody else may for ``lease_ms`` from here."""

    class Data(Frozen):
        """Who, and the name of the claim; the same name again prolongs it."""

        task_id: str
        index: int
        lease_id: str
        worker: str
        lease_ms: int

    type: Literal["task.leased"] = "task.leased"
    data: Data


class TaskCompleted(RecordBase):
    """A task is settled; what its call became stands in the next record.

    ``resolution``: ``completed`` or ``failed`` by a worker, ``timeout``, ``cancelled``, or ``lost`` with its worker.
    """

    class Data(Frozen):
        """How. ``error`` says why there is no result."""

        task_id: str
        index: int
        success: bool
        resolution: Resolution
        by: str
        error: str | None = None

    type: Literal["task.completed"] = "task.completed"
    data: Data


# --- lanes -----------------------------------------------------------------------------------------------------------


class CommandRetried(RecordBase):
    """An attempt of a call failed, and its lane repeats it after ``delay_ms`` from here, as another attempt."""

    class Data(Frozen):
        """The attempt that failed."""

        call_id: str
        attempt: int
        index: int
        tool: str
        lane: SessionLane
        outcome: Outcome
        error: str
        delay_ms: int

    type: Literal["command.retried"] = "command.retried"
    data: Data


class CommandDeadLettered(RecordBase):
    """A call failed for good, after ``attempts``; the model reads of it in the next record."""

    class Data(Frozen):
        """Which one, and why."""

        call_id: str
        index: int
        tool: str
        lane: SessionLane
        error: str
        attempts: int

    type: Literal["command.dead_lettered"] = "command.dead_lettered"
    data: Data


class QueueAlert(RecordBase):
    """Many calls of a lane wait. ``alert_type``: ``depth`` or ``pressure``; ``level``: ``warning`` or ``critical``."""

    class Data(Frozen):
        """How many, and beyond which number."""

        lane: SessionLane
        level: str
        alert_type: str
        message: str
        depth: int
        threshold: int

    type: Literal["queue.alert"] = "queue.alert"
    data: Data


# --- actions, timers, workspaces, children ---------------------------------------------------------------------------


class ActionRequested(RecordBase):
    """The turn waits for a decision."""

    class Data(Frozen):
        """``timeout_ms``: None waits for ever; ``index``: -1, and no tool, when it is about no call."""

        action_id: str
        kind: ActionKind
        index: int
        tool_use_id: str
        tool: str
        args: dict[str, Any]
        args_digest: str
        timeout_ms: int | None = None
        detail: str = ""

    type: Literal["action.requested"] = "action.requested"
    data: Data


class ActionResolved(RecordBase):
    """The first committed resolution of an action."""

    class Data(Frozen):
        """``by``: who, or ``timeout``, ``cancel``. ``value``: the result to give the model (answer).

        ``content``: of a form (accept).
        """

        action_id: str
        resolution: Resolution
        by: str
        reason: str | None = None
        args: dict[str, Any] | None = None
        value: str | None = None
        content: dict[str, Any] | None = None

    type: Literal["action.resolved"] = "action.resolved"
    data: Data


class SessionBudgetReached(RecordBase):
    """Nothing is left of something that the turn's next call takes. The question whether it gets more follows."""

    class Data(Frozen):
        """What is used up. ``leased``: what children have, or had and did not give back."""

        resources: tuple[Resource, ...]
        budget: Bounds
        used: Amounts
        leased: Amounts

    type: Literal["session.budget_reached"] = "session.budget_reached"
    data: Data


class LeaseGranted(RecordBase):
    """A child got this much of the session's budget, in the append that it is born in."""

    class Data(Frozen):
        """Who, and how much; what is None there is not bounded."""

        child_id: str
        child_journal_id: str
        amounts: Bounds

    type: Literal["lease.granted"] = "lease.granted"
    data: Data


class LeaseEnded(RecordBase):
    """What the session had of its parent's budget is at its end; these amounts go back."""

    class Data(Frozen):
        """``amounts``: less than nothing where more was taken than there was."""

        amounts: Amounts

    type: Literal["lease.ended"] = "lease.ended"
    data: Data


class LeaseReturned(RecordBase):
    """A child gave this much back. The cause names the child's own record."""

    class Data(Frozen):
        """From whom: a child, or one below a child that is gone."""

        child_journal_id: str
        amounts: Amounts

    type: Literal["lease.returned"] = "lease.returned"
    data: Data


class TimerFired(RecordBase):
    """A moment the session waited for has passed: ``turn``, ``action:<id>``, or one of the open round's calls.

    Those are ``call:<index>`` for the end of its wait and ``lease:<index>`` for the end of its worker's claim.
    ``lane:<lane>``: its rate limit lets the next call begin.
    """

    class Data(Frozen):
        """Which timer."""

        name: str

    type: Literal["timer.fired"] = "timer.fired"
    data: Data


class WorkspaceBound(RecordBase):
    """Tool calls run on this node from here on, in this directory."""

    type: Literal["workspace.bound"] = "workspace.bound"
    data: Workspace


class ChildStarted(RecordBase):
    """A child session was created in this very append."""

    class Data(Frozen):
        """Its identities. ``task``: it has one, and reports on it. ``index``: of the tool call that started it."""

        child_id: str
        child_journal_id: str
        task: bool = False
        index: int | None = None

    type: Literal["child.started"] = "child.started"
    data: Data


class ChildCompleted(RecordBase):
    """A child has reported what became of its task. The cause names the child's own record."""

    type: Literal["child.completed"] = "child.completed"
    data: ChildReport


class ChildSignalled(RecordBase):
    """A child that has not answered yet is told to give up its task, to pause, or to go on."""

    class Data(Frozen):
        """Who is told what."""

        child_journal_id: str
        signal: Signal

    type: Literal["child.signalled"] = "child.signalled"
    data: Data


class SecurityNoted(RecordBase):
    """Something was withheld of the records before it, or they hold a result that gives orders to the model."""

    class Data(Sifted):
        """What, in labels and counts. ``source``: an input of any kind, a model's answer, or a tool's result."""

        source: Literal["input", "answer", "result"]
        call_id: str | None = None
        tool: str | None = None

    type: Literal["security.noted"] = "security.noted"
    data: Data


class TasksUpdated(RecordBase):
    """The task list was replaced."""

    class Data(Frozen):
        """The whole list as it is from here."""

        tasks: TaskList

    type: Literal["tasks.updated"] = "tasks.updated"
    data: Data


Record = Annotated[
    SessionCreated
    | SessionForked
    | SessionImported
    | SessionConfigured
    | SessionPaused
    | SessionResumed
    | SessionCleared
    | SessionRewound
    | SessionCompacting
    | SessionCompacted
    | SessionCompactionFailed
    | SessionTitling
    | SessionRenamed
    | SessionTitleFailed
    | SessionCompleted
    | SessionError
    | SessionBudgetReached
    | UserMessage
    | MessageAdded
    | InputWithdrawn
    | TurnStarted
    | TurnSteered
    | TurnCancelling
    | TurnCompleted
    | TurnFailed
    | TurnCancelled
    | ModelCallStarted
    | ModelCallCompleted
    | ModelCallFailed
    | ToolCallStarted
    | ToolCallCompleted
    | ToolCallHeld
    | ToolCallDenied
    | ToolCallInDoubt
    | ToolCallInputRequired
    | ToolCallUnanswered
    | ToolCallLate
    | TaskOffered
    | TaskLeased
    | TaskCompleted
    | CommandRetried
    | CommandDeadLettered
    | QueueAlert
    | ActionRequested
    | ActionResolved
    | TimerFired
    | WorkspaceBound
    | ChildStarted
    | ChildCompleted
    | ChildSignalled
    | LeaseGranted
    | LeaseEnded
    | LeaseReturned
    | SecurityNoted
    | TasksUpdated,
    Field(discriminator="type"),
]

RECORD: TypeAdapter[Record] = TypeAdapter(Record)
"""The one adapter that reads records."""

TURN_ENDS = (TurnCompleted, TurnFailed, TurnCancelled)
"""The records that end a turn."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A record that has no place yet: the core makes drafts, whoever appends stamps them.

    Attributes:
        birth: Of the child that is born with this record.
        apart: What the record names by its digest, and nobody reads in it.
        files: What a tool gave beside its text, to be kept.
    """

    kind: type[RecordBase]
    data: Frozen
    turn_id: str | None = None
    cause: str | None = None
    birth: Birth | None = None
    apart: bytes | None = None
    files: tuple[GivenFile, ...] = ()

    @property
    def type(self) -> str:
        """The type of the record that it becomes."""
        return self.kind.model_fields["type"].default


def stamp(draft: Draft, *, journal_id: str, session_id: str, seq: int, at: datetime, epoch: int) -> Record:
    """Give a draft its place. The first attempt of a call gets its ``call_id`` here."""
    data = draft.data
    if isinstance(data, ModelCallStarted.Data | ToolCallStarted.Data) and not data.call_id:
        data = data.model_copy(update={"call_id": f"{journal_id}:{epoch}:{seq}"})
    return draft.kind.model_construct(  # pyright: ignore[reportReturnType] - Draft.kind is one of the union
        seq=seq,
        session_id=session_id,
        turn_id=draft.turn_id,
        at=at,
        epoch=epoch,
        cause=draft.cause,
        type=draft.type,
        data=data,
    )


def encode_record(record: RecordBase) -> bytes:
    """A record as compact JSON."""
    return record.model_dump_json().encode()


def decode_record(encoded: bytes) -> Record:
    """A record from its JSON form."""
    return RECORD.validate_json(encoded)
