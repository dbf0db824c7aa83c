"""The loop that asks a provider again: between the retry policy, which is pure, and one attempt, which does the I/O."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from actors.domain.ids import utc_now
from actors.domain.llm import RetryConfig
from actors.errors import ModelUnavailable, ModelUnreachable
from actors.policy.retry import delay_ms

T = TypeVar("T")


@dataclass(frozen=True)
class Pacing:
    """Time and chance as a provider sees them; tests replace them.

    Attributes:
        sleep: Waits so many seconds.
        clock: Monotonic seconds.
        jitter: A number from 0 to 1.
        now: The present in UTC, for headers that give a date.
    """

    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    clock: Callable[[], float] = time.monotonic
    jitter: Callable[[], float] = random.random
    now: Callable[[], datetime] = utc_now


async def with_retries(attempt: Callable[[], Awaitable[T]], retry: RetryConfig, deadline: float, pacing: Pacing) -> T:
    """The first success of ``attempt``, which is made again while it raises ModelUnavailable.

    Args:
        attempt: One attempt; ModelUnavailable with ``retry_after`` says when the next one is welcome.
        retry: How often and how long to wait.
        deadline: Moment on ``pacing.clock`` beyond which no attempt begins.
        pacing: Time and chance.

    Raises:
        ModelUnavailable: the last failure, with the number of attempts.
    """
    failed = 0
    while True:
        try:
            return await attempt()
        except ModelUnavailable as error:
            last = error
        failed += 1
        if failed > _allowed(retry, last):
            raise _exhausted(last, failed, "")
        wait = last.retry_after or delay_ms(retry, failed - 1, pacing.jitter()) / 1000
        if pacing.clock() + wait >= deadline:
            raise _exhausted(
                last, failed, f", as the next one would have to wait {wait:.3g} s, past the call's time limit"
            )
        await pacing.sleep(wait)


def _allowed(retry: RetryConfig, last: ModelUnavailable) -> int:
    """Retries after such a failure."""
    unreachable = isinstance(last, ModelUnreachable)
    return min(retry.max_retries, retry.max_connect_retries) if unreachable else retry.max_retries


def _exhausted(last: ModelUnavailable, attempts: int, why: str) -> ModelUnavailable:
    counted = "1 attempt" if attempts == 1 else f"{attempts} attempts"
    return type(last)(last.provider, f"{last.detail} (gave up after {counted}{why})", last.retry_after)
