"""What is measured. Each measure gets a runtime and gives plain numbers; what they are compared with is elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from itertools import count
from time import monotonic, perf_counter

from actors import LlmConfig, PermissionPolicy, SessionConfig, SessionHandle, SessionManager
from actors.domain.events import ToolOutputDelta
from benchmarks.stats import each_timed, p50, percentile, timed

TURNS = 200
SHORT = 20
"""Turns of one session in a row: a conversation that is short, whatever the model is sent of it."""

LONG_MESSAGES = 1000
LONG_CHARS = 500
LONG_TURNS = 30
RESIDENT = 32
"""Sessions of the rate of turns."""

TURNS_EACH = 25
CREATED = 1600
WORKERS = 32
BULK = 5000
DORMANT = 10
"""Sessions that are woken up in turn, each with ``MESSAGES`` messages."""

MESSAGES = 50
WAKES_EACH = 20
STREAMS = 10
PIECES = 50
PIECE_S = 0.04
"""25 pieces a second: a model that answers fast."""


class Unit(StrEnum):
    """What a number is, and so what it is compared with: a call's time, the rate of calls, or nothing."""

    seconds = "s"
    per_second = "/s"
    ratio = "x"


@dataclass(frozen=True, slots=True)
class Figure:
    """One number.

    Attributes:
        most, least: Bounds of its ratio to the calibration (of itself for a ratio); None where there is none.
    """

    name: str
    value: float
    unit: Unit
    most: float | None = None
    least: float | None = None


@dataclass(frozen=True, slots=True)
class Measure:
    """Something to measure. ``dense``: on a runtime whose actors host several sessions."""

    name: str
    run: Callable[[SessionManager], Awaitable[list[Figure]]]
    dense: bool = False


_numbers = count()


def _new_id(kind: str) -> str:
    return f"{kind}-{next(_numbers)}"


async def _gone(manager: SessionManager, sessions: list[SessionHandle]) -> None:
    for session in sessions:
        await manager.destroy_session(session.session_id)


async def turns(manager: SessionManager) -> list[Figure]:
    """A turn of one resident session on a model that answers at once; both of its appends are durable."""
    took: list[float] = []
    for _ in range(TURNS // SHORT):
        took += await _turns_of(await manager.create_session(_new_id("turn")), SHORT)
    return [
        Figure("turn, p50", p50(took), Unit.seconds, most=5),
        Figure("turn, p99", percentile(took, 0.99), Unit.seconds),
    ]


async def long_turns(manager: SessionManager) -> list[Figure]:
    """The same with 1,000 messages of 500 characters in the context, beside that of an empty session."""
    empty = await manager.create_session(_new_id("empty"))
    long = await manager.create_session(_new_id("long"))
    for _ in range(LONG_MESSAGES):
        await long.add_message("x" * LONG_CHARS)
    short = p50(await _turns_of(empty, LONG_TURNS))
    took = p50(await _turns_of(long, LONG_TURNS))
    return [
        Figure(f"turn on {LONG_MESSAGES:,} messages, p50", took, Unit.seconds),
        Figure("the same to a turn on none", took / short, Unit.ratio, most=3),
    ]


async def _turns_of(session: SessionHandle, times: int) -> list[float]:
    await session.generate("hello")
    took = await each_timed((lambda: session.generate("hello")) for _ in range(times))
    await session.hibernate()
    return took


async def turn_rate(manager: SessionManager) -> list[Figure]:
    """Turns per second over 32 resident sessions, each asked by a caller of its own."""
    sessions = await manager.create_sessions([_new_id("rate") for _ in range(RESIDENT)])
    await asyncio.gather(*(_ask(session, 2) for session in sessions))
    took = await timed(asyncio.gather(*(_ask(session, TURNS_EACH) for session in sessions)))
    await _gone(manager, sessions)
    return [Figure(f"turns of {RESIDENT} sessions", RESIDENT * TURNS_EACH / took, Unit.per_second, least=0.25)]


async def _ask(session: SessionHandle, times: int) -> None:
    for _ in range(times):
        await session.generate("hello")


async def creations(manager: SessionManager) -> list[Figure]:
    """Sessions created one by one, and in one transaction."""
    ids = iter([_new_id("one") for _ in range(CREATED)])

    async def create() -> None:
        for session_id in ids:
            await manager.create_session(session_id)

    one_by_one = await timed(asyncio.gather(*(create() for _ in range(WORKERS))))
    bulk = await timed(manager.create_sessions([_new_id("bulk") for _ in range(BULK)]))
    return [
        Figure("create, one by one", CREATED / one_by_one, Unit.per_second, least=0.18),
        Figure(f"create, {BULK} at once", BULK / bulk, Unit.per_second, least=2),
    ]


async def reactivation(manager: SessionManager) -> list[Figure]:
    """A dormant session of 50 messages is woken by a command that writes, and put to sleep again."""
    sessions = await manager.create_sessions([_new_id("dormant") for _ in range(DORMANT)])
    for session in sessions:
        for number in range(MESSAGES):
            await session.add_message(f"message {number}")
        await session.hibernate()
    woken: list[float] = []
    slept: list[float] = []
    for _ in range(WAKES_EACH):
        for session in sessions:
            woken.append(await timed(session.configure(name="again")))
            slept.append(await timed(session.hibernate()))
    await _gone(manager, sessions)
    return [
        Figure("reactivation, p50", p50(woken), Unit.seconds, most=9),
        Figure("reactivation, p99", percentile(woken, 0.99), Unit.seconds, most=50),
        Figure("hibernation, p50", p50(slept), Unit.seconds),
    ]


async def deltas(manager: SessionManager) -> list[Figure]:
    """How long a piece of a running call takes to its reader. The pieces are a tool's and carry the time they left."""
    config = SessionConfig(model=LlmConfig.of("scripted/prompt"), permission_policy=PermissionPolicy.permissive())
    sessions = await manager.create_sessions([_new_id("stream") for _ in range(STREAMS)], config)
    await asyncio.gather(*(session.generate("hello") for session in sessions))
    started = perf_counter()
    lags = [lag for found in await asyncio.gather(*(_lags(one) for one in sessions)) for lag in found]
    took = perf_counter() - started
    await _gone(manager, sessions)
    return [
        Figure(f"delta of {STREAMS} streams, p50", p50(lags), Unit.seconds),
        Figure(f"delta of {STREAMS} streams, p98", percentile(lags, 0.98), Unit.seconds, most=10),
        Figure("deltas delivered", len(lags) / (STREAMS * PIECES), Unit.ratio, least=1),
        Figure("deltas read", len(lags) / took, Unit.per_second),
    ]


async def _lags(session: SessionHandle) -> list[float]:
    stream = await session.generate_streaming(f'/tool tick {{"pieces": {PIECES}, "pause_s": {PIECE_S}}}\n/say Done.')
    found: list[float] = []
    async for event in stream:
        if isinstance(event, ToolOutputDelta):
            now = monotonic()
            found += [now - float(left) for left in event.text.split()]
    return found


MEASURES = (
    Measure("turns", turns),
    Measure("long", long_turns),
    Measure("create", creations),
    Measure("reactivation", reactivation),
    Measure("rate", turn_rate, dense=True),
    Measure("deltas", deltas, dense=True),
)
