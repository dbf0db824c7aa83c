"""When and how long to wait before a provider is asked again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.domain.llm import RetryConfig
from actors.policy.retry import delay_ms, is_retryable, parse_retry_after

_NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_the_defaults_are_ten_retries_from_one_to_thirty_seconds_on_seven_statuses() -> None:
    retry = RetryConfig()

    assert (retry.max_retries, retry.base_delay_ms, retry.max_delay_ms) == (10, 1000, 30_000)
    assert retry.retryable == {408, 429, 500, 502, 503, 504, 529}


def test_disabled_means_no_retries() -> None:
    assert RetryConfig.disabled().max_retries == 0


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 529])
def test_overload_and_server_failures_are_retryable(status: int) -> None:
    assert is_retryable(RetryConfig(), status)


@pytest.mark.parametrize("status", [200, 400, 401, 403, 404])
def test_success_and_refusals_are_not_retryable(status: int) -> None:
    assert not is_retryable(RetryConfig(), status)


def test_delays_double_up_to_the_maximum() -> None:
    delays = [delay_ms(RetryConfig(), attempt, 0.5) for attempt in range(7)]

    assert delays == [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]


@given(st.integers(0, 100_000), st.integers(0, 100_000), st.integers(0, 10_000), st.floats(0, 1), st.floats(0, 1))
def test_a_delay_is_within_a_quarter_of_its_middle_and_grows_with_the_jitter(
    base: int, longest: int, attempt: int, one: float, other: float
) -> None:
    retry = RetryConfig(base_delay_ms=base, max_delay_ms=longest)
    middle = min(base * 2 ** min(attempt, 10), longest)

    low, high = (delay_ms(retry, attempt, jitter) for jitter in sorted((one, other)))

    assert middle * 0.75 - 1 <= low <= high <= middle * 1.25 + 1


@given(st.integers(0, 50), st.floats(0, 1))
def test_a_base_of_zero_never_waits(attempt: int, jitter: float) -> None:
    assert delay_ms(RetryConfig(base_delay_ms=0), attempt, jitter) == 0


@pytest.mark.parametrize(
    ("text", "seconds"), [("5", 5.0), (" 2.5 ", 2.5), ("300", 300.0), ("0.25", 0.25), ("\t7", 7.0)]
)
def test_retry_after_takes_whole_and_decimal_seconds_and_blanks_around(text: str, seconds: float) -> None:
    assert parse_retry_after(text) == seconds


@pytest.mark.parametrize(
    "text", [None, "", " ", "soon", "-1", "0", "0.0", "301", "300.01", "inf", "nan", "1e2", "+5", "1_0", "٣", "9" * 400]
)
def test_retry_after_refuses_everything_else(text: str | None) -> None:
    assert parse_retry_after(text) is None
    assert parse_retry_after(text, _NOW) is None


@pytest.mark.parametrize(("ahead", "seconds"), [(30, 30.0), (0, None), (-30, None), (301, None)])
def test_retry_after_takes_a_date_when_the_present_is_known(ahead: int, seconds: float | None) -> None:
    date = format_datetime(_NOW + timedelta(seconds=ahead), usegmt=True)

    assert parse_retry_after(date, _NOW) == seconds
    assert parse_retry_after(date) is None


@given(st.text(max_size=40))
def test_retry_after_never_fails_and_stays_within_its_bounds(text: str) -> None:
    seconds = parse_retry_after(text, _NOW)

    assert seconds is None or 0 < seconds <= 300


def test_the_retry_config_survives_json() -> None:
    retry = RetryConfig(max_retries=3, retryable=frozenset({429}))

    assert RetryConfig.model_validate_json(retry.model_dump_json()) == retry
