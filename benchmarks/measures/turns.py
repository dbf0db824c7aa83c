"""Turns: one at a time, on a long conversation, with tools, and as many as there can be."""

from __future__ import annotations

import asyncio

from actors import LlmConfig, PermissionPolicy, SessionConfig, SessionHandle, SessionManager
from benchmarks.figures import Figure, Unit, gone, new_id
from benchmarks.stats import each_timed, p50, percentile, timed

TURNS = 200
SHORT = 20
"""Turns of one session in a row: a conversation that is short, whatever the model is sent of it."""

LONG_MESSAGES = 1000
LONG_CHARS = 500
LONG_TURNS = 30
ROUNDS = 10
ROUND_TURNS = 8
RESIDENT = 32
"""Sessions of the rate of turns."""

TURNS_EACH = 25

WITH_TOOLS = SessionConfig(model=LlmConfig.of("scripted/prompt"), permission_policy=PermissionPolicy.permissive())


async def single(manager: SessionManager) -> list[Figure]:
    """A turn of one resident session on a model that answers at once; both of its appends are durable."""
    took: list[float] = []
    for _ in range(TURNS // SHORT):
        took += await _turns_of(await manager.create_session(new_id("turn")), "hello", SHORT)
    return [
        Figure("turn, p50", p50(took), Unit.seconds, most=5),
        Figure("turn, p99", percentile(took, 0.99), Unit.seconds),
    ]


async def long(manager: SessionManager) -> list[Figure]:
    """The same with 1,000 messages of 500 characters in the context, beside that of an empty session."""
    empty = await manager.create_session(new_id("empty"))
    full = await _filled(await manager.create_session(new_id("long")))
    short = p50(await _turns_of(empty, "hello", LONG_TURNS))
    took = p50(await _turns_of(full, "hello", LONG_TURNS))
    return [
        Figure(f"turn on {LONG_MESSAGES:,} messages, p50", took, Unit.seconds),
        Figure("the same to a turn on none", took / short, Unit.ratio, most=3),
    ]


async def tool_rounds(manager: SessionManager) -> list[Figure]:
    """A turn with 10 rounds of a tool that does nothing, on such a context and on none."""
    prompt = "\n".join(f'/say round {number}\n/tool nothing {{"number": {number}}}' for number in range(ROUNDS))
    empty = await manager.create_session(new_id("empty"), WITH_TOOLS)
    full = await _filled(await manager.create_session(new_id("long"), WITH_TOOLS))
    short = p50(await _turns_of(empty, prompt, ROUND_TURNS))
    took = p50(await _turns_of(full, prompt, ROUND_TURNS))
    return [
        Figure("tool round, p50", short / ROUNDS, Unit.seconds),
        Figure(f"tool round on {LONG_MESSAGES:,} messages to one on none", took / short, Unit.ratio, most=1.5),
    ]


async def _filled(session: SessionHandle) -> SessionHandle:
    for _ in range(LONG_MESSAGES):
        await session.add_message("x" * LONG_CHARS)
    return session


async def _turns_of(session: SessionHandle, prompt: str, times: int) -> list[float]:
    await session.generate(prompt)
    took = await each_timed((lambda: session.generate(prompt)) for _ in range(times))
    await session.hibernate()
    return took


async def rate(manager: SessionManager) -> list[Figure]:
    """Turns per second over 32 resident sessions, each asked by a caller of its own."""
    return [Figure(f"turns of {RESIDENT} sessions", await turns_per_s(manager), Unit.per_second, least=0.25)]


async def turns_per_s(manager: SessionManager) -> float:
    """Turns per second of 32 sessions at once."""
    sessions = await manager.create_sessions([new_id("rate") for _ in range(RESIDENT)])
    await asyncio.gather(*(_ask(session, 2) for session in sessions))
    took = await timed(asyncio.gather(*(_ask(session, TURNS_EACH) for session in sessions)))
    await gone(manager, sessions)
    return RESIDENT * TURNS_EACH / took


async def _ask(session: SessionHandle, times: int) -> None:
    for _ in range(times):
        await session.generate("hello")
