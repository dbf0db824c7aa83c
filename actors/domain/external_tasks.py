"""Tool calls that somebody outside carries out: what is handed to whoever does, and what comes back.

In the journal and the store a task that is not settled is an action of the session's (``actors.domain.actions``); this
is how workers see it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, Field, field_validator

from actors.domain.actions import Action, TaskLease
from actors.domain.base import Frozen, shallow
from actors.domain.messages import Base64Source, ImageBlock
from actors.domain.policies import SessionLane
from actors.domain.tools import EffectClass

NO_REASON = "The external task failed, and nothing was said about why."
"""What the model reads of a failure without a text."""


class ExternalTask(Frozen):
    """A tool call that waits for somebody outside to carry it out.

    Attributes:
        task_id: Opaque and unique over all sessions; another attempt of the call is another task.
        command_type: The tool's name; ``payload`` its arguments.
        call_id: The same over all attempts of the call: the worker's idempotency key.
        effect: What a second run would mean.
        timeout_ms: How long it waits, from ``created_at`` on.
        lease: Who works on it, and until when nobody else may.
    """

    task_id: str
    session_id: str
    turn_id: str
    lane: SessionLane
    command_type: str
    payload: dict[str, Any]
    tool_use_id: str
    call_id: str
    attempt: int
    effect: EffectClass
    timeout_ms: int
    created_at: datetime
    lease: TaskLease | None = None

    @classmethod
    def of(cls, action: Action) -> ExternalTask:
        """The task that an action of kind ``external_task`` stands for."""
        if action.task is None:
            raise AssertionError("an action of this kind has its terms")
        return cls(
            task_id=action.action_id,
            session_id=action.session_id,
            turn_id=action.turn_id,
            lane=action.task.lane,
            command_type=action.tool,
            payload=action.args,
            tool_use_id=action.tool_use_id,
            call_id=action.task.call_id,
            attempt=action.task.attempt,
            effect=action.task.effect,
            timeout_ms=action.task.timeout_ms,
            created_at=action.requested_at,
            lease=action.task.lease,
        )

    @property
    def expires_at(self) -> datetime:
        """When it stops waiting."""
        return self.created_at + timedelta(milliseconds=self.timeout_ms)

    def is_timed_out(self, now: datetime) -> bool:
        """Whether its time is over."""
        return now >= self.expires_at

    def remaining_ms(self, now: datetime) -> int:
        """Milliseconds until it stops waiting; 0 when its time is over."""
        return max(0, round((self.expires_at - now).total_seconds() * 1000))


class ExternalTaskResult(Frozen):
    """What came of a task.

    Attributes:
        success: Whether it was carried out.
        result: On success what the tool gives: an object with the text ``output``, and if need be ``exit_code`` (0),
            ``metadata`` and ``images``. At most 64 levels.
        error: On failure why, as the model shall read it.
    """

    success: bool
    result: Annotated[Any, AfterValidator(shallow)] = None
    error: str | None = None


class TaskOutput(Frozen):
    """The ``result`` of a successful task."""

    output: str
    exit_code: int = 0
    metadata: dict[str, Any] = {}
    images: Annotated[tuple[ImageBlock, ...], Field(max_length=16)] = ()

    @field_validator("images")
    @classmethod
    def _are_there(cls, images: tuple[ImageBlock, ...]) -> tuple[ImageBlock, ...]:
        for source in (image.source for image in images):
            problem = source.problem if isinstance(source, Base64Source) else "send the image itself"
            if problem is not None:
                raise ValueError(problem)
        return images
