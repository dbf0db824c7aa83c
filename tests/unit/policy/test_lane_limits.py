"""What a queue configuration says, and what the limits of lanes allow."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from actors.domain.lanes import (
    LaneHandlerConfig,
    LaneRateLimit,
    LaneRetry,
    PriorityBoost,
    SessionQueueConfig,
    TaskHandlerMode,
)
from actors.domain.policies import SessionLane
from actors.domain.session import SessionConfig
from actors.policy.lanes import closed_until, counted, full_after_s, retry_delay_ms, urgency

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_the_default_handler_is_internal_with_a_minute() -> None:
    handler = LaneHandlerConfig()
    assert (handler.mode, handler.timeout_ms) == (TaskHandlerMode.internal, 60_000)


def test_the_default_config_has_concurrency_2_4_2_1_and_nothing_else() -> None:
    queue = SessionQueueConfig()
    assert [queue.max_concurrency(lane) for lane in SessionLane] == [2, 4, 2, 1]
    assert not (queue.enable_dlq or queue.enable_metrics or queue.enable_alerts)
    assert [queue.timeout_ms(lane) for lane in SessionLane] == [None] * 4
    assert retry_delay_ms(queue.retry_policy, 0) is None
    assert counted(queue.rate_limit, None, NOON) is None
    assert SessionConfig().queue_config is None


def test_missing_keys_of_a_json_config_take_the_same_defaults() -> None:
    assert SessionQueueConfig.model_validate({}) == SessionQueueConfig.model_validate_json("{}") == SessionQueueConfig()


def test_each_lane_has_its_own_concurrency_and_handler() -> None:
    external = LaneHandlerConfig(mode=TaskHandlerMode.external, timeout_ms=5_000)
    queue = SessionQueueConfig(execute_max_concurrency=7).with_handler(SessionLane.execute, external)
    assert (queue.max_concurrency(SessionLane.execute), queue.max_concurrency(SessionLane.query)) == (7, 4)
    assert queue.handler_config(SessionLane.execute) == external
    assert queue.handler_config(SessionLane.query) == LaneHandlerConfig()


def test_builders_set_dead_letters_metrics_alerts_and_the_time_limit() -> None:
    queue = SessionQueueConfig().with_dlq(500).with_metrics().with_alerts().with_timeout(1_234)
    assert (queue.dead_letters_kept, queue.enable_metrics, queue.enable_alerts) == (500, True, True)
    assert queue.timeout_ms(SessionLane.query) == 1_234
    assert SessionQueueConfig().with_dlq().dead_letters_kept == 1000
    assert SessionQueueConfig().dead_letters_kept == 0


def test_lane_features_are_dead_letters_metrics_alerts_and_a_minute() -> None:
    queue = SessionQueueConfig().with_lane_features()
    assert (queue.dead_letters_kept, queue.enable_metrics, queue.enable_alerts) == (1000, True, True)
    assert queue.timeout_ms(SessionLane.execute) == 60_000


ADVANCED = {
    "defaultTimeoutMs": 60_000,
    "laneTimeouts": {"execute": 5_000},
    "retryPolicy": {"strategy": "exponential", "maxRetries": 2, "initialDelayMs": 250},
    "rateLimit": {"limitType": "per_minute", "maxOperations": 25},
    "priorityBoost": {"strategy": "standard", "deadlineMs": 20_000},
    "pressureThreshold": 7,
    "enableDlq": True,
    "dlqMaxSize": 500,
}


def test_advanced_options_reach_the_lanes_in_snake_and_camel_case() -> None:
    queue = SessionQueueConfig.model_validate(ADVANCED)
    assert (queue.timeout_ms(SessionLane.execute), queue.timeout_ms(SessionLane.query)) == (5_000, 60_000)
    assert [retry_delay_ms(queue.retry_policy, retries) for retries in range(3)] == [250, 500, None]
    assert (queue.rate_limit.limit_type, queue.rate_limit.max_operations) == ("per_minute", 25)
    assert full_after_s(queue.priority_boost) == 20.0
    assert (queue.pressure_threshold, queue.dead_letters_kept) == (7, 500)
    assert SessionQueueConfig.model_validate_json(queue.model_dump_json()) == queue


@pytest.mark.parametrize(
    "wrong",
    [
        {"control_max_concurrency": 0},
        {"executeMaxConcurrency": 0},
        {"default_timeout_ms": 0},
        {"lane_timeouts": {"query": 0}},
        {"enable_dlq": True, "dlq_max_size": 0},
        {"retry_policy": {"strategy": "sometimes"}},
        {"rate_limit": {"limit_type": "per_year", "max_operations": 1}},
        {"rate_limit": {"limit_type": "per_minute"}},
        {"rate_limit": {"limit_type": "per_minute", "max_operations": 0}},
        {"priority_boost": {"strategy": "wild"}},
        {"priority_boost": {"deadline_ms": 0}},
        {"pressure_threshold": 0},
        {"lane_handlers": {"fast": {}}},
        {"no_such_member": 1},
    ],
)
def test_a_config_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SessionQueueConfig.model_validate(wrong)


def test_retries_wait_as_their_strategy_says_and_end() -> None:
    fixed = LaneRetry.model_validate({"strategy": "fixed", "fixed_delay_ms": 70, "max_retries": 2})
    assert [retry_delay_ms(fixed, retries) for retries in range(3)] == [70, 70, None]
    assert retry_delay_ms(fixed.model_copy(update={"fixed_delay_ms": None}), 0) == 100
    growing = LaneRetry.model_validate({"strategy": "exponential", "max_retries": 100})
    assert [retry_delay_ms(growing, retries) for retries in (0, 1, 2, 60)] == [100, 200, 400, 3_600_000]


def test_a_full_window_is_closed_until_its_end_and_the_next_one_is_open() -> None:
    limit = LaneRateLimit.model_validate({"limit_type": "per_minute", "max_operations": 2})
    window = counted(limit, counted(limit, None, NOON), NOON + timedelta(seconds=59))
    assert closed_until(limit, window, NOON + timedelta(seconds=59)) == NOON + timedelta(minutes=1)
    assert closed_until(limit, window, NOON + timedelta(minutes=1)) is None
    fresh = counted(limit, window, NOON + timedelta(minutes=1))
    assert fresh is not None
    assert closed_until(limit, fresh, NOON + timedelta(minutes=1)) is None


@given(st.lists(st.integers(0, 400), max_size=60), st.integers(1, 5))
def test_no_stretch_that_begins_with_a_call_holds_more_than_the_limit(seconds: list[int], most: int) -> None:
    limit = LaneRateLimit.model_validate({"limit_type": "per_minute", "max_operations": most})
    window, begun = None, list[datetime]()
    for second in sorted(seconds):
        at = NOON + timedelta(seconds=second)
        if closed_until(limit, window, at) is None:
            window = counted(limit, window, at)
            begun.append(at)
    firsts = [begun[0]] if begun else []
    for at in begun:
        if at >= firsts[-1] + timedelta(minutes=1):
            firsts.append(at)
    assert all(sum(one <= at < one + timedelta(minutes=1) for at in begun) <= most for one in firsts)


def test_waiting_makes_a_call_of_the_last_lane_as_urgent_as_any() -> None:
    standard, aggressive, off = (
        full_after_s(PriorityBoost.model_validate({"strategy": name, "deadline_ms": 100_000}))
        for name in ("standard", "aggressive", "disabled")
    )
    assert urgency(3, 100.0, standard) == urgency(3, 25.0, aggressive) == 0.0
    assert urgency(3, 50.0, standard) == 1.5
    assert urgency(3, 1e9, off) == 3.0
    assert full_after_s(PriorityBoost()) == 300.0
