"""Policies as data: who decides about a tool call, and what happens when nobody does. Decisions: ``actors.policy``."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field, field_serializer

from actors.domain.base import Frozen


class SessionLane(StrEnum):
    """The four lanes of work, most urgent first."""

    control = "control"
    query = "query"
    execute = "execute"
    generate = "generate"

    @property
    def priority(self) -> int:
        """0 is the most urgent."""
        return tuple(SessionLane).index(self)


class TimeoutAction(StrEnum):
    """What an approval becomes when its time runs out."""

    reject = "reject"
    auto_approve = "auto_approve"


MAX_CONFIRMATION_MS = 366 * 24 * 3600 * 1000
"""Longest wait for an approval: a year. Whoever needs longer is not coming."""


class ConfirmationPolicy(Frozen):
    """Whether a call that the permission policy asks about needs a person.

    Attributes:
        enabled: False answers every question with yes: say so with ``ConfirmationPolicy.auto_approve_all()``.
        default_timeout_ms: How long an approval waits, in milliseconds; a year at most.
        yolo_lanes: Lanes whose calls need no approval.
    """

    enabled: bool = True
    default_timeout_ms: int = Field(default=30_000, gt=0, le=MAX_CONFIRMATION_MS)
    timeout_action: TimeoutAction = TimeoutAction.reject
    yolo_lanes: frozenset[SessionLane] = frozenset()

    @field_serializer("yolo_lanes")
    def _in_order(self, lanes: frozenset[SessionLane]) -> list[SessionLane]:
        # The order of a set differs between processes, and digests of commands must not.
        return sorted(lanes)

    def within(self, bound: ConfirmationPolicy) -> ConfirmationPolicy:
        """This policy where ``bound`` counts as well: what either asks is asked, and time decides as both would."""
        if not bound.enabled:
            return self
        if not self.enabled:
            return bound
        both = {self.timeout_action, bound.timeout_action}
        return self.model_copy(
            update={
                "yolo_lanes": self.yolo_lanes & bound.yolo_lanes,
                "timeout_action": TimeoutAction.reject if TimeoutAction.reject in both else TimeoutAction.auto_approve,
            }
        )

    @classmethod
    def auto_approve_all(cls) -> ConfirmationPolicy:
        """Nothing is asked of anybody. An explicit choice."""
        return cls(enabled=False)


class OnBusy(StrEnum):
    """What becomes of an input that meets a running turn."""

    enqueue = "enqueue"
    reject = "reject"
    interrupt = "interrupt"
    steer = "steer"


class OnInDoubt(StrEnum):
    """What becomes of a call that may or may not have run."""

    ask = "ask"
    report = "report"
    retry = "retry"
    fail = "fail"
