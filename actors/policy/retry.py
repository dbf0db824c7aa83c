"""When to ask a provider again, and after how long: pure functions between RetryConfig and whoever waits."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from actors.domain.llm import RetryConfig

MAX_RETRY_AFTER_S = 300.0
"""Longest wait that a provider may ask for, in seconds: a call that waits longer is better given back to its caller."""

MAX_EXPONENT = 10
"""The doubling stops here: 2^10 base delays are beyond every sensible maximum, and larger powers only overflow."""

JITTER = 0.25
"""Share by which a delay is moved either way, so that callers that failed together do not return together."""

_SECONDS = re.compile(r"[0-9]{1,18}(\.[0-9]{0,18})?|\.[0-9]{1,18}")


def is_retryable(retry: RetryConfig, status: int) -> bool:
    """Whether an HTTP status is worth another attempt."""
    return status in retry.retryable


def delay_ms(retry: RetryConfig, attempt: int, jitter: float) -> int:
    """How long to wait before the next attempt, in milliseconds.

    Args:
        retry: Base and maximum.
        attempt: Attempts that failed before this one: 0 waits about the base delay.
        jitter: Where in the band of 25 % either way, from 0 (shortest) to 1 (longest); chosen by the caller at random.
    """
    doubled = retry.base_delay_ms * 2 ** min(max(attempt, 0), MAX_EXPONENT)
    return round(min(doubled, retry.max_delay_ms) * (1 - JITTER + 2 * JITTER * jitter))


def parse_retry_after(text: str | None, now: datetime | None = None) -> float | None:
    """Seconds that a Retry-After header asks for, or None when it says nothing usable.

    Args:
        text: The header: seconds, whole or decimal, or an HTTP date.
        now: The present; without it a date is not understood.

    Returns:
        More than 0 and at most 300 seconds; anything else counts as no header.
    """
    trimmed = (text or "").strip()
    if _SECONDS.fullmatch(trimmed):
        seconds = float(trimmed)
    elif now is not None:
        seconds = _seconds_until(trimmed, now)
    else:
        return None
    return seconds if 0 < seconds <= MAX_RETRY_AFTER_S else None


def _seconds_until(date: str, now: datetime) -> float:
    try:
        then = parsedate_to_datetime(date)
    except (ValueError, TypeError, IndexError, OverflowError):
        return 0.0
    return ((then if then.tzinfo else then.replace(tzinfo=UTC)) - now).total_seconds()
