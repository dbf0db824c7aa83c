"""Bodies of requests about external tasks."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from actors.domain.lanes import DeadLetter, LaneCounts, QueueStats
from actors.domain.policies import SessionLane
from serve_app.schemas.base import Answer, Body


class Lanes(Answer):
    """How the lanes of a session stand. ``metrics`` and ``dead_letters`` are kept when its configuration says so."""

    stats: QueueStats
    metrics: dict[SessionLane, LaneCounts] | None = None
    dead_letters: tuple[DeadLetter, ...] = ()


class LeaseTask(Body):
    """A claim to an external task.

    Attributes:
        worker: Who claims it.
        lease_s: Seconds after which the claim is over unless it is prolonged.
        lease_id: A claim that is to be prolonged; a new one is made without it.
    """

    worker: str = Field(min_length=1, max_length=128)
    lease_s: float = Field(default=60.0, ge=0.001, le=86_400)
    lease_id: str | None = Field(default=None, max_length=128)


class CompleteTask(Body):
    """What came of an external task.

    Attributes:
        result: On success an object with the text ``output``, and if need be ``exit_code``, ``metadata``, ``images``.
        error: On failure why, as the model shall read it.
        lease_id: The claim under which it was carried out, when there was one.
    """

    success: bool
    result: Any = None
    error: str | None = None
    lease_id: str | None = Field(default=None, max_length=128)
