"""How a session's lanes work: who carries out their calls, and within which limits. Decisions: ``actors.policy.lanes``.

Members are also taken under their names in camel case.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import AliasChoices, AliasGenerator, ConfigDict, Field, field_serializer, model_validator
from pydantic.alias_generators import to_camel

from actors.domain.base import Frozen
from actors.domain.policies import SessionLane

MAX_TASK_MS = 366 * 24 * 3600 * 1000
"""Longest time a task may take outside: a year, as the longest wait for an approval."""

MAX_LANE_TIMEOUT_MS = 24 * 3600 * 1000
"""Longest run of a call that a lane may allow: a day, as ``tool_timeout_s``."""

MAX_CONCURRENCY = 1000
"""Calls of one lane side by side; no answer has as many."""

DLQ_SIZE = 1000
"""Dead letters that are kept when the configuration does not say how many; it can only ask for fewer."""

FEATURES_TIMEOUT_MS = 60_000
"""Time limit of ``with_lane_features``."""


class _Camel(Frozen):
    model_config = ConfigDict(
        alias_generator=AliasGenerator(validation_alias=lambda name: AliasChoices(name, to_camel(name)))
    )


class TaskHandlerMode(StrEnum):
    """Who carries out the calls of a lane.

    ``internal``: the runtime's own tool hosts. ``external``: somebody outside, as an external task. ``hybrid``: the
    tool hosts, and those outside are told when it begins and how it ended.
    """

    internal = "internal"
    external = "external"
    hybrid = "hybrid"


class LaneHandlerConfig(_Camel):
    """How the calls of one lane are carried out.

    Attributes:
        timeout_ms: How long an external task waits for its result, in milliseconds; a year at most. Without meaning in
            the other modes.
    """

    mode: TaskHandlerMode = TaskHandlerMode.internal
    timeout_ms: int = Field(default=60_000, gt=0, le=MAX_TASK_MS)


class RetryStrategy(StrEnum):
    """How long a lane waits before it repeats a call."""

    none = "none"
    fixed = "fixed"
    exponential = "exponential"


class LaneRetry(_Camel):
    """When a lane repeats a call that broke or took too long; only ``pure`` and ``idempotent`` ones ever are.

    Attributes:
        max_retries: Repetitions of one call beside its first attempt.
        initial_delay_ms: Wait before the first repetition; ``exponential`` doubles it each time, up to an hour.
        fixed_delay_ms: Wait of ``fixed``; ``initial_delay_ms`` when None.
    """

    strategy: RetryStrategy = RetryStrategy.none
    max_retries: int = Field(default=3, ge=0, le=100)
    initial_delay_ms: int = Field(default=100, ge=1, le=3_600_000)
    fixed_delay_ms: int | None = Field(default=None, ge=1, le=3_600_000)


class LimitType(StrEnum):
    """The stretch of time in which a lane's calls are counted."""

    unlimited = "unlimited"
    per_second = "per_second"
    per_minute = "per_minute"
    per_hour = "per_hour"


class LaneRateLimit(_Camel):
    """How many calls of each lane may begin within a stretch of time, which begins with the first of them."""

    limit_type: LimitType = LimitType.unlimited
    max_operations: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _has_a_number(self) -> LaneRateLimit:
        if self.limit_type is not LimitType.unlimited and self.max_operations is None:
            raise ValueError("a rate limit needs max_operations, 1 or more")
        return self


class BoostStrategy(StrEnum):
    """How a call that waits for a place becomes more urgent."""

    disabled = "disabled"
    standard = "standard"
    aggressive = "aggressive"


class PriorityBoost(_Camel):
    """How calls of less urgent lanes get their turn all the same.

    Attributes:
        deadline_ms: After so much waiting a call is as urgent as any; with ``aggressive`` after a quarter of it.
    """

    strategy: BoostStrategy = BoostStrategy.standard
    deadline_ms: int = Field(default=300_000, ge=1)


LaneTimeout = Annotated[int, Field(ge=1, le=MAX_LANE_TIMEOUT_MS)]


class SessionQueueConfig(_Camel):
    """The lanes of a session, and their limits.

    Attributes:
        control_max_concurrency: Without meaning: commands to a session never wait.
        query_max_concurrency: Calls of the lane that are under way at the same time, inside or outside.
        execute_max_concurrency: The same.
        generate_max_concurrency: The same for model calls, of which a session makes one at a time.
        lane_handlers: Who carries out a lane's calls; a lane that is not named is internal.
        enable_dlq: Keep a note of each call that failed for good (``dead_letters``).
        dlq_max_size: How many of them, the newest; None keeps 1,000.
        enable_metrics: Count what becomes of calls (``queue_metrics``).
        enable_alerts: Tell by ``queue.alert`` when 50, and when 100, calls of a lane wait.
        default_timeout_ms: Longest run of a call, in milliseconds; None leaves it to tool, session and model.
        lane_timeouts: The same for single lanes, in place of the default.
        rate_limit: Of each lane by itself.
        pressure_threshold: Tell by ``queue.alert`` when so many calls of a lane wait.
    """

    control_max_concurrency: int = Field(default=2, ge=1, le=MAX_CONCURRENCY)
    query_max_concurrency: int = Field(default=4, ge=1, le=MAX_CONCURRENCY)
    execute_max_concurrency: int = Field(default=2, ge=1, le=MAX_CONCURRENCY)
    generate_max_concurrency: int = Field(default=1, ge=1, le=MAX_CONCURRENCY)
    lane_handlers: dict[SessionLane, LaneHandlerConfig] = {}
    enable_dlq: bool = False
    dlq_max_size: int | None = Field(default=None, ge=1, le=DLQ_SIZE)
    enable_metrics: bool = False
    enable_alerts: bool = False
    default_timeout_ms: LaneTimeout | None = None
    lane_timeouts: dict[SessionLane, LaneTimeout] = {}
    retry_policy: LaneRetry = LaneRetry()
    rate_limit: LaneRateLimit = LaneRateLimit()
    priority_boost: PriorityBoost = PriorityBoost()
    pressure_threshold: int | None = Field(default=None, ge=1)

    @field_serializer("lane_handlers", "lane_timeouts")
    def _in_order(self, by_lane: dict[SessionLane, object]) -> dict[SessionLane, object]:
        return {lane: by_lane[lane] for lane in SessionLane if lane in by_lane}

    def max_concurrency(self, lane: SessionLane) -> int:
        """Calls of a lane that are under way at the same time."""
        return {
            SessionLane.control: self.control_max_concurrency,
            SessionLane.query: self.query_max_concurrency,
            SessionLane.execute: self.execute_max_concurrency,
            SessionLane.generate: self.generate_max_concurrency,
        }[lane]

    def handler_config(self, lane: SessionLane) -> LaneHandlerConfig:
        """Who carries out the calls of a lane."""
        return self.lane_handlers.get(lane, LaneHandlerConfig())

    def timeout_ms(self, lane: SessionLane) -> int | None:
        """Longest run of a call of a lane; None when the lane sets no limit."""
        return self.lane_timeouts.get(lane, self.default_timeout_ms)

    def limit_s(self, lane: SessionLane) -> float | None:
        """The same in seconds."""
        timeout_ms = self.timeout_ms(lane)
        return timeout_ms / 1000 if timeout_ms is not None else None

    @property
    def dead_letters_kept(self) -> int:
        """How many dead letters are kept."""
        return (self.dlq_max_size or DLQ_SIZE) if self.enable_dlq else 0

    # --- building -------------------------------------------------------------------------------------------------

    def with_handler(self, lane: SessionLane, handler: LaneHandlerConfig) -> SessionQueueConfig:
        """The same with another handler for one lane."""
        return self.model_copy(update={"lane_handlers": {**self.lane_handlers, lane: handler}})

    def with_dlq(self, max_size: int | None = None) -> SessionQueueConfig:
        """The same with dead letters."""
        return self._with(enable_dlq=True, dlq_max_size=max_size)

    def with_metrics(self) -> SessionQueueConfig:
        """The same with metrics."""
        return self._with(enable_metrics=True)

    def with_alerts(self) -> SessionQueueConfig:
        """The same with alerts."""
        return self._with(enable_alerts=True)

    def with_timeout(self, timeout_ms: int) -> SessionQueueConfig:
        """The same with another time limit of calls."""
        return self._with(default_timeout_ms=timeout_ms)

    def with_lane_features(self) -> SessionQueueConfig:
        """The same with 1,000 dead letters, metrics, alerts, and a time limit of a minute."""
        return self.with_dlq(DLQ_SIZE).with_metrics().with_alerts().with_timeout(FEATURES_TIMEOUT_MS)

    def _with(self, **values: object) -> SessionQueueConfig:
        return SessionQueueConfig.model_validate(self.model_dump() | values)


class DeadLetter(Frozen):
    """A call that failed for good.

    Attributes:
        command_id: The call's id; ``command_type`` its tool.
        attempts: How often it was tried.
        at: When it was given up.
    """

    command_id: str
    command_type: str
    lane: SessionLane
    error: str
    attempts: int
    at: datetime


class LaneStatus(Frozen):
    """How a lane stands: calls that wait for their turn, and calls that are under way."""

    lane: SessionLane
    pending: int = 0
    active: int = 0
    max_concurrency: int
    handler_mode: TaskHandlerMode


class QueueStats(Frozen):
    """How the lanes of a session stand. ``external_pending`` counts tasks that wait for somebody outside."""

    total_pending: int
    total_active: int
    external_pending: int
    lanes: dict[SessionLane, LaneStatus]


class LaneCounts(Frozen):
    """What became of the calls of a lane since metrics were turned on. Each attempt counts as started."""

    started: int = 0
    completed: int = 0
    failed: int = 0
    retried: int = 0
    dead_lettered: int = 0
