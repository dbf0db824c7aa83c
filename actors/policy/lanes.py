"""Which lane work belongs to, and what a lane's limits allow. Pure: time comes in, decisions go out.

Names of tools count exactly here, while permission rules ignore case.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from actors.domain.artifacts import READ_ARTIFACT
from actors.domain.base import Frozen
from actors.domain.lanes import BoostStrategy, LaneRateLimit, LaneRetry, LimitType, PriorityBoost, RetryStrategy
from actors.domain.policies import SessionLane

_QUERY: Final = frozenset(
    {"read", "glob", "ls", "grep", "list_files", "search", "web_fetch", "web_search"} | {READ_ARTIFACT}
)

_PERIODS: Final = {
    LimitType.per_second: timedelta(seconds=1),
    LimitType.per_minute: timedelta(minutes=1),
    LimitType.per_hour: timedelta(hours=1),
}

MAX_RETRY_DELAY_MS: Final = 3_600_000
"""Longest wait before a repetition: after an hour it is another question."""

_SHARES: Final = {BoostStrategy.standard: 1.0, BoostStrategy.aggressive: 0.25}
"""The part of its deadline after which a waiting call is as urgent as any."""

DEPTHS: Final = {50: "warning", 100: "critical"}
"""So many waiting calls of a lane are told of, and how bad that is."""


_LOOKING: Final = {"git_worktree": ("command", ("list", "status"))}
"""Of tools that look as well as do: the argument that says which, and its values for looking."""


def lane_of(tool_name: str, args: Mapping[str, Any]) -> SessionLane:
    """The lane of a call: ``query`` for those that only look, ``execute`` for all others, known or not.

    >>> lane_of("grep", {}).value, lane_of("mcp__github__search", {}).value
    ('query', 'execute')
    >>> lane_of("git_worktree", {"command": "list"}).value
    'query'
    """
    argument, looking = _LOOKING.get(tool_name, ("", ()))
    return SessionLane.query if tool_name in _QUERY or args.get(argument) in looking else SessionLane.execute


class Window(Frozen):
    """The stretch of time that a rate limit counts in: since when, and how many calls began in it."""

    since: datetime
    count: int = 1


def counted(limit: LaneRateLimit, window: Window | None, at: datetime) -> Window | None:
    """The window after one more call began."""
    period = _PERIODS.get(limit.limit_type)
    if period is None:
        return None
    if window is None or at >= window.since + period:
        return Window(since=at)
    return window.model_copy(update={"count": window.count + 1})


def closed_until(limit: LaneRateLimit, window: Window | None, now: datetime) -> datetime | None:
    """When the next call may begin; None when that is now."""
    period = _PERIODS.get(limit.limit_type)
    if period is None or window is None or limit.max_operations is None or window.count < limit.max_operations:
        return None
    opens = window.since + period
    return opens if now < opens else None


def retry_delay_ms(retry: LaneRetry, retries: int) -> int | None:
    """How long to wait before a call is repeated that was repeated ``retries`` times; None to give it up."""
    if retry.strategy is RetryStrategy.none or retries >= retry.max_retries:
        return None
    if retry.strategy is RetryStrategy.fixed:
        return retry.fixed_delay_ms or retry.initial_delay_ms
    return min(retry.initial_delay_ms * 2**retries, MAX_RETRY_DELAY_MS)


def full_after_s(boost: PriorityBoost) -> float | None:
    """Seconds of waiting after which a call is as urgent as any; None when it never is."""
    share = _SHARES.get(boost.strategy)
    return boost.deadline_ms / 1000 * share if share is not None else None


def urgency(priority: int, waited_s: float, full_s: float | None) -> float:
    """How urgent a waiting call is: the smaller, the sooner. Waiting makes it so by and by.

    >>> urgency(2, 0.0, 300.0), urgency(2, 150.0, 300.0), urgency(2, 900.0, 300.0), urgency(2, 900.0, None)
    (2.0, 1.0, 0.0, 2.0)
    """
    gained = min(waited_s / full_s, 1.0) if full_s else 0.0
    return priority * (1.0 - gained)
