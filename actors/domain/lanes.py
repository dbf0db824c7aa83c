"""How a session's lanes work: who carries out their calls, and within which limits."""

from __future__ import annotations

from enum import StrEnum

from pydantic import AliasChoices, AliasGenerator, ConfigDict, Field, field_serializer
from pydantic.alias_generators import to_camel

from actors.domain.base import Frozen
from actors.domain.policies import SessionLane

MAX_TASK_MS = 366 * 24 * 3600 * 1000
"""Longest time a task may take outside: a year, as the longest wait for an approval."""


class TaskHandlerMode(StrEnum):
    """Who carries out the calls of a lane.

    ``internal``: the runtime's own tool hosts. ``external``: somebody outside, as an external task. ``hybrid``: the
    tool hosts, and those outside are told when it begins and how it ended.
    """

    internal = "internal"
    external = "external"
    hybrid = "hybrid"


class LaneHandlerConfig(Frozen):
    """How the calls of one lane are carried out.

    Attributes:
        timeout_ms: How long an external task waits for its result, in milliseconds; a year at most. Without meaning in
            the other modes.
    """

    mode: TaskHandlerMode = TaskHandlerMode.internal
    timeout_ms: int = Field(default=60_000, gt=0, le=MAX_TASK_MS)


class SessionQueueConfig(Frozen):
    """The lanes of a session. Names of members are also taken in camel case.

    Attributes:
        lane_handlers: Who carries out a lane's calls; a lane that is not named is internal.
    """

    model_config = ConfigDict(
        alias_generator=AliasGenerator(validation_alias=lambda name: AliasChoices(name, to_camel(name)))
    )

    lane_handlers: dict[SessionLane, LaneHandlerConfig] = {}

    @field_serializer("lane_handlers")
    def _in_order(self, handlers: dict[SessionLane, LaneHandlerConfig]) -> dict[SessionLane, LaneHandlerConfig]:
        return {lane: handlers[lane] for lane in SessionLane if lane in handlers}

    def handler_config(self, lane: SessionLane) -> LaneHandlerConfig:
        """Who carries out the calls of a lane."""
        return self.lane_handlers.get(lane, LaneHandlerConfig())

    def with_handler(self, lane: SessionLane, handler: LaneHandlerConfig) -> SessionQueueConfig:
        """The same with another handler for one lane."""
        return self.model_copy(update={"lane_handlers": {**self.lane_handlers, lane: handler}})
