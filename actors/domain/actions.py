"""What a session waits for from outside: decisions about calls, lost workspaces and keys, or work that others do."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from actors.domain.base import Frozen
from actors.domain.policies import SessionLane
from actors.domain.tools import EffectClass


class ActionKind(StrEnum):
    """Why the session asks."""

    approval = "approval"
    in_doubt = "in_doubt"
    external_task = "external_task"
    workspace_lost = "workspace_lost"
    budget = "budget"
    credential = "credential"
    input = "input"
    """A tool asks for something in the middle of its call."""
    injection = "injection"
    """A result reads like orders to the model: may it read it?"""


class Resolution(StrEnum):
    """How an action ended.

    ``mark``: the model reads a result that gives orders, and that it does. ``accept``, ``decline`` and ``cancel`` are
    answers to a tool. ``cancelled``: nobody is asked any longer. It, and
    what stands below it, are also ends of external tasks; a lost one is no worker's any more.
    """

    approve = "approve"
    reject = "reject"
    retry = "retry"
    skip = "skip"
    answer = "answer"
    mark = "mark"
    accept = "accept"
    decline = "decline"
    cancel = "cancel"
    cancelled = "cancelled"
    completed = "completed"
    failed = "failed"
    timeout = "timeout"
    lost = "lost"


class Remember(StrEnum):
    """For how long a decision about a call counts: for this call, for calls just like it, or for all of its kind."""

    once = "once"
    session = "session"
    rule = "rule"


CHOICES: dict[ActionKind, frozenset[Resolution]] = {
    ActionKind.approval: frozenset({Resolution.approve, Resolution.reject}),
    ActionKind.in_doubt: frozenset({Resolution.retry, Resolution.skip, Resolution.answer}),
    ActionKind.external_task: frozenset(),
    ActionKind.workspace_lost: frozenset({Resolution.approve, Resolution.reject}),
    ActionKind.budget: frozenset({Resolution.approve, Resolution.reject}),
    ActionKind.credential: frozenset({Resolution.retry, Resolution.reject}),
    ActionKind.input: frozenset({Resolution.accept, Resolution.decline, Resolution.cancel}),
    ActionKind.injection: frozenset({Resolution.approve, Resolution.mark, Resolution.reject}),
}
"""Which resolutions a person may choose, by kind. A task has a result instead."""


NO_CALL = -1
"""The place of the call in an action that is about none."""


class TaskLease(Frozen):
    """One worker's claim to a task: until ``expires_at`` nobody else may work on it.

    Attributes:
        lease_id: What the worker says with the result, so that it settles no other claim.
    """

    lease_id: str
    worker: str
    expires_at: datetime


class TaskTerms(Frozen):
    """What a worker needs to know of a call besides its tool and arguments.

    Attributes:
        call_id: The same over all attempts of the call.
    """

    lane: SessionLane
    timeout_ms: int
    call_id: str
    attempt: int
    effect: EffectClass
    lease: TaskLease | None = None


class Action(Frozen):
    """One question of a session.

    Attributes:
        action_id: Opaque and unique over all sessions.
        call_index: The place of the tool call in the model's answer. Where the turn lacks a key, or its budget is
            used up, there is no call: the index is -1, the tool and its id are empty.
        tool_use_id: The model's own id of the call that is asked about.
        args: The arguments the call would run with. Of kind ``input`` the question: ``key``, ``mode`` (form, url,
            sampling), ``message``, and ``form`` (a JSON Schema), ``url``, or what a model is to answer (``sampling``).
            Of kind ``injection`` the kinds of ``orders``, and the beginning of the ``result``.
        args_digest: Hex digest of the arguments; a resolution may carry it to say what it saw.
        expires_at: When the policy decides instead; None waits for ever.
        task: Of an external task, which is completed and not resolved.
    """

    action_id: str
    kind: ActionKind
    session_id: str
    turn_id: str
    call_index: int
    tool_use_id: str
    tool: str
    args: dict[str, Any]
    args_digest: str
    requested_at: datetime
    expires_at: datetime | None = None
    detail: str = ""
    task: TaskTerms | None = None
    resolution: Resolution | None = None
    resolved_by: str | None = None
    resolved_at: datetime | None = None

    @property
    def pending(self) -> bool:
        """Whether nobody has decided yet."""
        return self.resolution is None
