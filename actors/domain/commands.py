"""What people and programs tell a session. Each command has an id; asking twice gets the first outcome."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from actors.domain.actions import Remember, Resolution
from actors.domain.base import Frozen, JsonObject
from actors.domain.budgets import Budget
from actors.domain.children import MAX_CHILDREN, NewChild
from actors.domain.command import Command
from actors.domain.external_tasks import ExternalTaskResult
from actors.domain.lanes import LaneHandlerConfig, SessionQueueConfig
from actors.domain.letters import ReportChild, ReturnLease, SignalChild
from actors.domain.llm import LlmConfig
from actors.domain.mcp_library import McpInput
from actors.domain.messages import Message
from actors.domain.outputs import OutputFormat
from actors.domain.permissions import PermissionDecision, PermissionPolicy, PermissionRule
from actors.domain.policies import ConfirmationPolicy, OnBusy, SessionLane
from actors.domain.security import SecurityConfig
from actors.domain.tasks import TaskList

MAX_LEASE_MS = 24 * 3600 * 1000
"""Longest claim to a task before it has to be prolonged: so long a dead worker holds it up at worst."""


class Send(Command):
    """Give the session an input; a turn answers it.

    Attributes:
        output: The form of the answer; None for a text, and then no part of the digest: there are journals from before
            there was one.
        made_from: What the message was made from, where somebody else has made it: the same may be made of it in other
            words, and is the same input.
    """

    kind: Literal["send"] = "send"
    message: Message
    on_busy: OnBusy = OnBusy.enqueue
    output: OutputFormat | None = Field(default=None, exclude_if=lambda value: value is None)
    made_from: McpInput | None = Field(default=None, exclude_if=lambda value: value is None)

    def digest(self) -> str:
        """See ``Command.digest``."""
        same = self if self.made_from is None else self.model_copy(update={"message": Message.user("")})
        return super(Send, same).digest()


class AddMessage(Command):
    """Put a message into the context without starting a turn."""

    kind: Literal["add_message"] = "add_message"
    message: Message


class WithdrawInput(Command):
    """Take back an input that no turn has taken."""

    kind: Literal["withdraw_input"] = "withdraw_input"
    input_id: str


class Cancel(Command):
    """End the running turn and everything it waits for."""

    kind: Literal["cancel"] = "cancel"
    reason: str = "cancelled by request"


class Pause(Command):
    """Take no new step until resumed."""

    kind: Literal["pause"] = "pause"


class Resume(Command):
    """Go on."""

    kind: Literal["resume"] = "resume"


class Clear(Command):
    """Empty the context; the transcript stays in the journal."""

    kind: Literal["clear"] = "clear"


class Compact(Command):
    """Shorten the context; the transcript stays in the journal.

    Attributes:
        only_when_due: Only if the session would do so by itself before its next model call.
    """

    kind: Literal["compact"] = "compact"
    only_when_due: bool = False


class GenerateTitle(Command):
    """Name the session after what was said first."""

    kind: Literal["generate_title"] = "generate_title"


class Rewind(Command):
    """Go back to what the model saw after the record with seq ``to``.

    ``keep`` and ``used`` are read off the state there, which never changes: how many messages of the context are left,
    and the tokens that they had.
    """

    kind: Literal["rewind"] = "rewind"
    to: int
    keep: int
    used: int


class Complete(Command):
    """End the session's life."""

    kind: Literal["complete"] = "complete"
    error: str | None = None


class Configure(Command):
    """Change configuration; only fields that are given change (``None`` can be given where it means something).

    ``set_fields`` names the given ones, since None is a value.
    """

    kind: Literal["configure"] = "configure"
    name: str | None = None
    system_prompt: str | None = None
    model: LlmConfig | None = None
    thinking_enabled: bool | None = None
    thinking_budget: int | None = None
    permission_policy: PermissionPolicy | None = None
    confirmation_policy: ConfirmationPolicy | None = None
    queue_config: SessionQueueConfig | None = None
    budget: Budget | None = None
    security: SecurityConfig | None = None
    set_fields: tuple[str, ...] = ()


class AddPermissionRule(Command):
    """Add one rule to the session's own permission policy as it is when the command arrives.

    Attributes:
        decision: The list: allow, deny or ask.
    """

    kind: Literal["add_permission_rule"] = "add_permission_rule"
    decision: PermissionDecision
    rule: PermissionRule


class SetLaneHandler(Command):
    """Change who carries out the calls of one lane; the session's other lanes stay as they are then."""

    kind: Literal["set_lane_handler"] = "set_lane_handler"
    lane: SessionLane
    handler: LaneHandlerConfig


class LeaseTask(Command):
    """Claim an external task, or prolong a claim.

    Attributes:
        lease_id: Name of the claim, made by whoever sends this, or of the one that is prolonged.
    """

    kind: Literal["lease_task"] = "lease_task"
    task_id: str
    lease_id: str = Field(max_length=128)
    prolongs: bool = False
    worker: str = Field(max_length=128)
    lease_ms: int = Field(gt=0, le=MAX_LEASE_MS)


class CompleteTask(Command):
    """Say what came of an external task.

    Attributes:
        lease_id: The claim under which it was carried out; None when it was not claimed.
    """

    kind: Literal["complete_task"] = "complete_task"
    task_id: str
    result: ExternalTaskResult
    lease_id: str | None = None


class ResolveAction(Command):
    """Decide what a session asked.

    Attributes:
        action_id: The action's id, or the model's tool call id within the open turn.
        args: Other arguments to run the call with, or other amounts to raise a budget by (approve only).
        value: The result to give the model (answer only).
        content: The filled form of a tool that asks for one (accept only).
        args_digest: What the decider saw; refused when the arguments are others.
        remember: Whether the session's permission policy gets a rule by it; ``rule``: which one, when it is given.
    """

    kind: Literal["resolve_action"] = "resolve_action"
    action_id: str
    resolution: Resolution
    args: JsonObject | None = None
    value: str | None = None
    content: JsonObject | None = None
    reason: str | None = None
    args_digest: str | None = None
    remember: Remember = Remember.once
    rule: PermissionRule | None = None
    by: str = "user"


class SetTasks(Command):
    """Replace the task list."""

    kind: Literal["set_tasks"] = "set_tasks"
    tasks: TaskList


class SpawnChildren(Command):
    """Create child sessions, all or none; their rows are written in the parent's own append."""

    kind: Literal["spawn_children"] = "spawn_children"
    children: tuple[NewChild, ...] = Field(min_length=1, max_length=MAX_CHILDREN)


AnyCommand = Annotated[
    Send
    | AddMessage
    | WithdrawInput
    | Cancel
    | Pause
    | Resume
    | Clear
    | Compact
    | GenerateTitle
    | Rewind
    | Complete
    | Configure
    | AddPermissionRule
    | SetLaneHandler
    | LeaseTask
    | CompleteTask
    | ResolveAction
    | SetTasks
    | SpawnChildren
    | ReportChild
    | ReturnLease
    | SignalChild,
    Field(discriminator="kind"),
]
COMMAND: TypeAdapter[AnyCommand] = TypeAdapter(AnyCommand)


class Reply(Frozen):
    """The outcome of a command.

    Attributes:
        seq: Place of the first record that the command caused; None when it changed nothing.
        record: The type of that record.
        changed: Whether it changed anything.
        input_id: For inputs, what a receipt names.
    """

    seq: int | None = None
    record: str = ""
    changed: bool = True
    input_id: str | None = None
