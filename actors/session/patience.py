"""How long an answer is waited for before the question is asked again.

A connection that breaks says so at once. This is for the answer that never comes although nothing broke: whoever asked
would wait for ever. Only what may be asked twice is asked through here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from actors.errors import TransportLost

T = TypeVar("T")

ANSWER_S = 30.0
"""For questions that are answered within milliseconds, and when told to cancel a call, within 10 s."""

SEAT_S = 60.0
"""For a session's place: an activation reads and folds a whole journal, while the store may be on its way back."""

RUN_S = 120.0
"""For the end of a call, which may take hours: then it is asked for once more, and joined where it runs."""


async def answer_of(question: Awaitable[T], who: str, *, within_s: float | None = None) -> T:
    """The answer to a question that may be asked again.

    Raises:
        TransportLost: there was none within ``within_s`` seconds (``ANSWER_S`` when None).
    """
    clock = asyncio.timeout(ANSWER_S if within_s is None else within_s)
    try:
        async with clock:
            return await question
    except TimeoutError:
        if clock.expired():
            raise TransportLost(who) from None
        raise
