"""A session's configuration, and the small values that describe how it stands."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import AfterValidator, Field, field_validator

from actors.domain.base import Frozen, one_line
from actors.domain.budgets import Budget, BudgetStanding
from actors.domain.ids import MAX_SESSION_ID
from actors.domain.lanes import SessionQueueConfig
from actors.domain.llm import MAX_TOKENS, LlmConfig
from actors.domain.messages import TokenUsage
from actors.domain.permissions import PermissionPolicy
from actors.domain.policies import ConfirmationPolicy, OnInDoubt
from actors.domain.retention import MAX_TTL_S
from actors.domain.security import SecurityConfig

DEFAULT_CONTEXT_TOKENS = 200_000
"""Context window that is assumed when the configuration names none."""


MAX_DEPTH = 32
"""Levels of sessions below each other: each keeps the policies of all above."""

MAX_WORKING = 10_000
"""Children that may work for one session at a time: their ids are part of its state."""

MetadataName = Annotated[str, Field(min_length=1, max_length=128), AfterValidator(one_line)]
MetadataValue = Annotated[str, Field(max_length=4096)]


class SessionState(StrEnum):
    """The life of a session. Only active sessions take input."""

    active = "active"
    paused = "paused"
    completed = "completed"
    error = "error"

    @property
    def ended(self) -> bool:
        """Whether the session takes no input any more."""
        return self in {SessionState.completed, SessionState.error}


class Activity(StrEnum):
    """What a session does at the moment."""

    idle = "idle"
    queued = "queued"
    running = "running"
    requires_action = "requires_action"
    waiting = "waiting"


class StorageType(StrEnum):
    """Kinds of store a session can live in."""

    memory = "memory"
    file = "file"
    custom = "custom"


MAX_NAME = 256
"""Characters of a session's title."""


class PolicyBound(Frozen):
    """The policies of a session above, as they were when one below was started. None: as the runtime's."""

    permission_policy: PermissionPolicy | None = None
    confirmation_policy: ConfirmationPolicy | None = None
    security: SecurityConfig | None = None


class SessionConfig(Frozen):
    """How a session behaves.

    Attributes:
        name: Title for people: one line of at most 256 characters.
        workspace: Directory its tools work in, an absolute path; empty means the runtime's own workspace.
        system_prompt: Text added to the standard instructions.
        model: The session's model, as ``provider/model`` or an LlmConfig; the runtime's default when None.
        max_context_length: Context window in tokens; 0 means 200,000.
        permission_policy: None asks for everything.
        bounds: Policies of the sessions above, set when a child is started: whatever its own policies are or become,
            a child does nothing that one of these denies, nothing unasked that one of them asks about, and shows
            nothing that one of them withholds.
        max_depth: Levels of children below the session; a child gets one less at most. 0: it starts none.
        max_children: Children that may work for it at the same time.
        budget: What it may take in its life before it asks; None bounds nothing. A child's is a lease of its parent's.
        confirmation_policy: None is the enabled policy: 30 s, then reject.
        queue_config: How its lanes work; None carries out every call inside, without limits.
        thinking_enabled: Ask the model to think first, within ``thinking_budget`` tokens (at least 1,024).
        max_rounds: Model calls that one turn may take.
        max_turn_s: Longest wall time of a turn in seconds; waits for people, children and timers do not count.
        tool_timeout_s: Longest run of one tool call in seconds, unless the tool says otherwise.
        max_parse_retries: Tool calls with unreadable arguments in a row that are tolerated.
        circuit_breaker_threshold: Failed attempts of one model call after which the turn fails.
        duplicate_call_threshold: How often the same call in a row is run before the model is told to stop.
        max_continuations: How often an answer that looks unfinished is asked to go on; 0 turns that off.
        on_in_doubt: What becomes of a call that may or may not have run.
        security: What is withheld from its journal and its model; None: as the runtime's settings say.
        ttl_s: Seconds without use after which the session is destroyed; None: as the runtime's settings say. It is
            never destroyed with an open turn, a queued input, or an action that waits.
        metadata: Free text values of the caller's, at most 32: names of 128 and values of 4,096 characters.
    """

    version: int = Field(default=1, ge=1, le=1)
    name: str = Field(default="", max_length=MAX_NAME)
    workspace: str = Field(default="", max_length=4096)
    system_prompt: str | None = Field(default=None, max_length=100_000)
    model: LlmConfig | None = None
    max_context_length: int = Field(default=0, ge=0, le=MAX_TOKENS)
    auto_compact: bool = False
    auto_compact_threshold: float = Field(default=0.80, gt=0, le=1)
    storage_type: StorageType | None = None
    permission_policy: PermissionPolicy | None = None
    confirmation_policy: ConfirmationPolicy | None = None
    bounds: tuple[PolicyBound, ...] = Field(default=(), max_length=MAX_DEPTH)
    max_depth: int = Field(default=8, ge=0, le=MAX_DEPTH)
    max_children: int = Field(default=1000, ge=1, le=MAX_WORKING)
    budget: Budget | None = None
    queue_config: SessionQueueConfig | None = None
    parent_id: str | None = Field(default=None, max_length=MAX_SESSION_ID)
    thinking_enabled: bool = False
    thinking_budget: int | None = Field(default=None, ge=1024, le=MAX_TOKENS)
    max_rounds: int = Field(default=50, ge=1, le=1000)
    max_turn_s: float = Field(default=3600.0, gt=0, le=86_400)
    tool_timeout_s: float = Field(default=600.0, gt=0, le=86_400)
    max_parse_retries: int = Field(default=2, ge=0, le=1000)
    circuit_breaker_threshold: int = Field(default=3, ge=1, le=1000)
    duplicate_call_threshold: int = Field(default=3, ge=1, le=1000)
    max_continuations: int = Field(default=3, ge=0, le=1000)
    on_in_doubt: OnInDoubt = OnInDoubt.ask
    security: SecurityConfig | None = None
    ttl_s: float | None = Field(default=None, gt=0, le=MAX_TTL_S)
    metadata: dict[MetadataName, MetadataValue] = Field(default={}, max_length=32)

    if TYPE_CHECKING:
        # A model can be given by its name, which the field's type does not tell.
        def __init__(self, *, model: LlmConfig | str | None = None, **values: Any) -> None: ...

    @field_validator("model", mode="before")
    @classmethod
    def _model_by_name(cls, value: Any) -> Any:
        return LlmConfig.of(value) if isinstance(value, str) else value

    @field_validator("name")
    @classmethod
    def _one_line(cls, value: str) -> str:
        return one_line(value)

    @field_validator("workspace")
    @classmethod
    def _is_a_path(cls, value: str) -> str:
        if "\0" in value:
            raise ValueError("a path has no zero byte in it")
        return value

    @field_validator("max_context_length")
    @classmethod
    def _useful_context(cls, value: int) -> int:
        if 0 < value < 256:
            raise ValueError("max_context_length is 0 (the default window) or at least 256 tokens")
        return value

    @property
    def context_tokens(self) -> int:
        """The context window in tokens."""
        return self.max_context_length or DEFAULT_CONTEXT_TOKENS

    @property
    def confirmation(self) -> ConfirmationPolicy:
        """The confirmation policy in force: the session's own, within those of the sessions above."""
        policy = self.confirmation_policy or ConfirmationPolicy()
        for bound in self.bounds:
            policy = policy.within(bound.confirmation_policy or ConfirmationPolicy())
        return policy

    def security_in_force(self, default: SecurityConfig | None) -> SecurityConfig | None:
        """What is withheld: by its own configuration, else ``default``, and by the sessions above; None: nothing."""
        chosen = self.security or default
        for bound in self.bounds:
            above = bound.security or default
            chosen = chosen.within(above) if chosen is not None and above is not None else chosen or above
        return chosen if chosen is not None and chosen.enabled else None

    @property
    def permissions(self) -> PermissionPolicy:
        """The permission policy in force."""
        return self.permission_policy or PermissionPolicy()

    @property
    def queue(self) -> SessionQueueConfig:
        """How the lanes work."""
        return self.queue_config or SessionQueueConfig()

    def changed(self, **values: Any) -> Self:
        """A validated copy with other values."""
        return type(self).model_validate(self.model_dump() | values)


class ContextUsage(Frozen):
    """How full the context is. ``percent`` is a fraction; ``turns`` counts messages."""

    used_tokens: int = 0
    max_tokens: int = DEFAULT_CONTEXT_TOKENS
    percent: float = 0.0
    turns: int = 0


class SnapshotInfo(Frozen):
    """A kept fold of a session's journal, from which its next activation starts.

    Attributes:
        seq: The last record that is in it.
        size: Bytes of its form, which is JSON.
        digest: SHA-256 of that form, in hexadecimal digits.
    """

    seq: int
    size: int
    digest: str


class SessionInfo(Frozen):
    """One session as listings show it: the projection row, nothing folded.

    Attributes:
        activity: What it does now; ``requires_action`` waits for a person, ``waiting`` for children or a timer.
        task: The input whose answer it has yet to report to its parent; None when it owes none.
        wake_at: The next moment at which a timer is due.
        expires_at: When it is destroyed unless it is used before; None when its configuration has no ``ttl_s``.
        usage: Tokens so far; a fork's begin with those of its source.
        cost_usd: Price so far as a decimal string; a fork's begins with that of its source.
        inherited_usage: What of ``usage`` a fork has from its source, where it is counted; none for all others.
        inherited_cost_usd: What of ``cost_usd`` a fork has from its source; "0" for all others.
        budget: How it stands with its budget; None when it has none, and has lent nothing.
        workspace_node: Name of the node that has its files; None before its first tool call, or when any node will do.
    """

    tenant: str
    session_id: str
    journal_id: str
    name: str = ""
    state: SessionState = SessionState.active
    activity: Activity = Activity.idle
    model: str | None = None
    parent_id: str | None = None
    parent_journal_id: str | None = None
    root_journal_id: str | None = None
    head_seq: int = 0
    epoch: int = 0
    open_turn: str | None = None
    queued: int = 0
    messages: int = 0
    turns: int = 0
    usage: TokenUsage = TokenUsage()
    cost_usd: str = "0"
    inherited_usage: TokenUsage = TokenUsage()
    inherited_cost_usd: str = "0"
    budget: BudgetStanding | None = None
    workspace_node: str | None = None
    task: str | None = None
    wake_at: datetime | None = None
    expires_at: datetime | None = None
    created_at: datetime
    updated_at: datetime

    @property
    def needs_actor(self) -> bool:
        """Whether it has work to do now, so that it should live in an actor without anybody asking."""
        return self.state is SessionState.active and self.activity in {Activity.running, Activity.queued}
