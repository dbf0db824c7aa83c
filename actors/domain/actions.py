"""What a session waits for from outside: an approval, or a decision about a call in doubt."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from actors.domain.base import Frozen


class ActionKind(StrEnum):
    """Why the session asks."""

    approval = "approval"
    in_doubt = "in_doubt"


class Resolution(StrEnum):
    """How an action ended."""

    approve = "approve"
    reject = "reject"
    retry = "retry"
    skip = "skip"
    answer = "answer"
    cancelled = "cancelled"


CHOICES: dict[ActionKind, frozenset[Resolution]] = {
    ActionKind.approval: frozenset({Resolution.approve, Resolution.reject}),
    ActionKind.in_doubt: frozenset({Resolution.retry, Resolution.skip, Resolution.answer}),
}
"""Which resolutions a person may choose, by kind."""


class Action(Frozen):
    """One question of a session.

    Attributes:
        action_id: Opaque and unique over all sessions.
        tool_use_id: The model's own id of the call that is asked about.
        args: The arguments the call would run with.
        args_digest: Hex digest of the arguments; a resolution may carry it to say what it saw.
        expires_at: When the policy decides instead; None waits for ever.
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
    resolution: Resolution | None = None
    resolved_by: str | None = None
    resolved_at: datetime | None = None

    @property
    def pending(self) -> bool:
        """Whether nobody has decided yet."""
        return self.resolution is None
