"""The life of sessions: made, and woken up."""

from __future__ import annotations

import asyncio

from actors import SessionManager
from benchmarks.figures import Figure, Unit, gone, new_id
from benchmarks.processes import pids
from benchmarks.stats import p50, percentile, timed

CREATED = 1600
WORKERS = 32
BULK = 5000
DORMANT = 10
"""Sessions that are woken up in turn, each with ``MESSAGES`` messages."""

MESSAGES = 50
WAKES_EACH = 20


async def creations(manager: SessionManager) -> list[Figure]:
    """Sessions created one by one, and in one transaction."""
    ids = iter([new_id("one") for _ in range(CREATED)])
    before = await pids(manager.settings.runtime)

    async def create() -> None:
        for session_id in ids:
            await manager.create_session(session_id)

    one_by_one = await timed(asyncio.gather(*(create() for _ in range(WORKERS))))
    bulk = await timed(manager.create_sessions([new_id("bulk") for _ in range(BULK)]))
    started = set(await pids(manager.settings.runtime)) - set(before)
    return [
        Figure("create, one by one", CREATED / one_by_one, Unit.per_second, least=0.18),
        Figure(f"create, {BULK:,} at once", BULK / bulk, Unit.per_second, least=2),
        Figure("processes started for them", len(started), Unit.number, most=0),
    ]


async def reactivation(manager: SessionManager) -> list[Figure]:
    """A dormant session of 50 messages is woken by a command that writes, and put to sleep again."""
    sessions = await manager.create_sessions([new_id("dormant") for _ in range(DORMANT)])
    for session in sessions:
        for number in range(MESSAGES):
            await session.add_message(f"message {number}")
        await session.hibernate()
    woken: list[float] = []
    slept: list[float] = []
    for number in range(WAKES_EACH):
        for session in sessions:
            # Another name each time: what changes nothing is not written.
            woken.append(await timed(session.configure(name=f"woken {number}")))
            slept.append(await timed(session.hibernate()))
    await gone(manager, sessions)
    return [
        Figure("reactivation, p50", p50(woken), Unit.seconds, most=9),
        Figure("reactivation, p99", percentile(woken, 0.99), Unit.seconds, most=50),
        Figure("hibernation, p50", p50(slept), Unit.seconds),
    ]
