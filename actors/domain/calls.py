"""Effect calls: what a session asks of a host, and what came of it.

``call_id`` names a call over all its attempts. Hosts and the table of results are keyed by (call_id, attempt).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal, Protocol

from pydantic import Field, TypeAdapter

from actors.domain.artifacts import Artifact, GivenFile
from actors.domain.asking import Asked, Resume
from actors.domain.base import Frozen
from actors.domain.compaction import SummaryOf
from actors.domain.llm import LlmConfig
from actors.domain.messages import ImageBlock, Message, StopReason, TextBlock, TokenUsage
from actors.domain.outputs import OutputFormat
from actors.domain.security import SecurityConfig, Sifted, Tainted
from actors.domain.tools import EffectClass, ToolDefinition


class HostRef(Frozen):
    """A host as calls name it. ``incarnation`` is random and made when the host's process starts."""

    host_id: str
    incarnation: str


class CallKey(Frozen):
    """One attempt of one call."""

    call_id: str
    attempt: int = 1


class _Call(Frozen):
    """What calls have in common. ``security``: what the session withholds, ``tainted`` what it knows again."""

    call_id: str
    attempt: int = 1
    tenant: str
    journal_id: str
    session_id: str
    turn_id: str
    epoch: int
    host: HostRef
    security: SecurityConfig | None = None
    tainted: Tainted | None = None

    @property
    def key(self) -> CallKey:
        """The attempt this is."""
        return CallKey(call_id=self.call_id, attempt=self.attempt)


class ModelCall(_Call):
    """Ask a model for the next message.

    Attributes:
        messages: The context, one compact JSON message each, never decoded on the way.
        summary_of: The part of the context to sum up, in place of going on with all of it.
        output: The form that the answer has to have.
        aside: The messages are none of the session's conversation.
        priced_only: Nothing is to be sent unless the model's price is known.
        delay_s: How long the host waits first: 0.1 s times the failed attempts so far.
    """

    kind: Literal["model"] = "model"
    llm: LlmConfig
    system: str | None = None
    messages: tuple[bytes, ...] = ()
    tools: tuple[ToolDefinition, ...] = ()
    thinking_budget: int | None = None
    summary_of: SummaryOf | None = None
    output: OutputFormat | None = None
    aside: bool = False
    priced_only: bool = False
    delay_s: float = 0.0


class ToolCall(_Call):
    """Run a tool. ``call_id`` is the idempotency key that the tool receives.

    Attributes:
        workspace: Absolute directory; empty means the host's own.
        timeout_s: Longest run of a tool that does not say itself how long it may take; ``limit_s`` binds any.
        artifact: The one that it reads on in.
        sandboxed: Its commands run in a sandbox, or not at all: a policy wants it.
        priority: Of its lane, 0 first; after ``full_after_s`` of waiting for a place it is as urgent as any.
        resume: Of an attempt that takes the call up again, after its tool had asked for something.
    """

    kind: Literal["tool"] = "tool"
    tool_use_id: str
    name: str
    args: dict[str, Any]
    effect: EffectClass = EffectClass.unsafe
    workspace: str = ""
    timeout_s: float = 600.0
    limit_s: float | None = None
    artifact: Artifact | None = None
    sandboxed: bool = False
    priority: int = 0
    full_after_s: float | None = None
    resume: Resume | None = None


EffectCall = Annotated[ModelCall | ToolCall, Field(discriminator="kind")]


class Outcome(StrEnum):
    """How a call ended. ``unknown``: it may or may not have run, and somebody decided to go on.

    ``input_required``: only the attempt did; the call goes on in the next, with what its tool has asked for.
    """

    ok = "ok"
    error = "error"
    timeout = "timeout"
    cancelled = "cancelled"
    unknown = "unknown"
    input_required = "input_required"


class ModelOutcome(Frozen):
    """What a model call gave.

    Attributes:
        message: The answer, or on ``cancelled`` what had arrived of its text; None on error.
        error_code: Name of the error's class; ``error_args`` are its arguments, ``error`` its sentence.
        retryable: Whether another attempt of the same call may help.
        output_problem: Why the answer has not the form that was asked for; None when it has, or calls tools.
        cost_usd: Price as a decimal string; None when the model has no known price.
        sifted: What was withheld of it.
    """

    kind: Literal["model"] = "model"
    outcome: Outcome
    message: Message | None = None
    stop_reason: StopReason | None = None
    usage: TokenUsage = TokenUsage()
    cost_usd: str | None = None
    provider: str = ""
    model: str = ""
    error_code: str | None = None
    error: str | None = None
    error_args: tuple[Any, ...] = ()
    retryable: bool = False
    output_problem: str | None = None
    duration_ms: int = 0
    sifted: Sifted = Sifted()


RAISED = "raised"
"""In the metadata of a call that broke: by what. One that was carried out, and says no, has none."""


class ToolOutcome(Frozen):
    """What a tool call gave.

    Attributes:
        content: The text, at most 4 MiB; of one above 100 KiB the model is shown the beginning and the end.
        images: Images for the model.
        files: Bytes for people: they are kept as artifacts.
        exit_code: 0 on success.
        asked: With outcome ``input_required``: what the tool wants to know.
        sifted: What was withheld of it, and whether it gives orders.
    """

    kind: Literal["tool"] = "tool"
    outcome: Outcome
    content: str = ""
    images: tuple[ImageBlock, ...] = ()
    files: tuple[GivenFile, ...] = ()
    exit_code: int = 0
    metadata: dict[str, Any] = {}
    duration_ms: int = 0
    asked: Asked | None = None
    sifted: Sifted = Sifted()

    @property
    def parts(self) -> tuple[TextBlock | ImageBlock, ...]:
        """Text, then images, as a tool result carries them."""
        return (TextBlock(text=self.content), *self.images)


class Verdict(StrEnum):
    """What a tool can tell of a call whose outcome was lost."""

    done = "done"
    """It has taken effect."""

    not_done = "not_done"
    """It has had no effect and never will: it may run again."""

    unclear = "unclear"
    """Nobody can tell."""


class Reconciled(Frozen):
    """A tool's verdict. ``outcome``: what came of the call, when it is done."""

    verdict: Verdict = Verdict.unclear
    outcome: ToolOutcome | None = None

    @classmethod
    def done(cls, outcome: ToolOutcome) -> Reconciled:
        """The call has taken effect, and this came of it."""
        return cls(verdict=Verdict.done, outcome=outcome)


NOT_DONE = Reconciled(verdict=Verdict.not_done)
UNCLEAR = Reconciled()

CallOutcome = Annotated[ModelOutcome | ToolOutcome, Field(discriminator="kind")]
OUTCOME: TypeAdapter[ModelOutcome | ToolOutcome] = TypeAdapter(CallOutcome)


class CallStatus(StrEnum):
    """What a host knows of a call.

    ``settled_dropped``: it finished, but what came of it was lost. ``never_seen``: by this incarnation.
    """

    running = "running"
    settled = "settled"
    settled_dropped = "settled_dropped"
    cancelled = "cancelled"
    never_seen = "never_seen"


class Attached(Frozen):
    """A host's answer about one attempt.

    Attributes:
        outcome: There when settled; when cancelled None if the call never began; when running only ``unknown``, after
            a cancel that did not come through in time.
    """

    key: CallKey
    status: CallStatus
    outcome: CallOutcome | None = None


class Delta(Frozen):
    """A piece of a running call's output.

    Attributes:
        index: Counts from 0 within the attempt; with the started record's seq it is the reader's cursor.
        channel: ``text`` and ``thinking`` of a model, ``tool_input`` for a call being written, ``output`` of a tool.
    """

    index: int
    channel: Literal["text", "thinking", "tool_input", "output"]
    text: str


class Emit(Protocol):
    """Where a running call puts its deltas."""

    def __call__(self, channel: Literal["text", "thinking", "tool_input", "output"], text: str) -> None:
        """Hand over one piece; never blocks, the oldest pieces are dropped when nobody reads."""
        ...
