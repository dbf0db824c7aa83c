"""Two hundred sessions that all get an input at the same moment, on a model that takes half a second."""

from __future__ import annotations

import asyncio

from actors import LlmConfig, SessionConfig, SessionHandle, SessionManager
from benchmarks.figures import Figure, Unit, gone, new_id
from benchmarks.measures.turns import turns_per_s
from benchmarks.stats import timed

CROWD = 200
MODEL_S = 0.5
SLOW = SessionConfig(model=LlmConfig.of("scripted/echo", options={"delay_s": MODEL_S}))


async def resident(manager: SessionManager) -> list[Figure]:
    """All of them resident, several in an actor."""
    per_s = await turns_per_s(manager)
    sessions = await _crowd(manager)
    await asyncio.gather(*(session.configure(name="awake") for session in sessions))
    took = await _all_at_once(sessions)
    await gone(manager, sessions)
    return [
        Figure(f"{CROWD} sessions at once, resident", took, Unit.seconds),
        Figure("the same to its bound", took / _bound(per_s), Unit.ratio, most=1),
    ]


async def from_dormant(manager: SessionManager) -> list[Figure]:
    """All of them dormant, with an actor each for as many as there are warm ones."""
    per_s = await turns_per_s(manager)
    sessions = await _crowd(manager)
    took = await _all_at_once(sessions)
    await gone(manager, sessions)
    return [
        Figure(f"{CROWD} sessions at once, from dormant", took, Unit.seconds),
        Figure("the same to its bound", took / (2.0 + 2 * _bound(per_s)), Unit.ratio, most=1),
    ]


def _bound(per_s: float) -> float:
    """Half a second for the model, and the turns at the rate of this machine with a third to spare."""
    return MODEL_S + 1.3 * CROWD / per_s


async def _crowd(manager: SessionManager) -> list[SessionHandle]:
    return await manager.create_sessions([new_id("crowd") for _ in range(CROWD)], SLOW)


async def _all_at_once(sessions: list[SessionHandle]) -> float:
    return await timed(asyncio.gather(*(session.generate("hello") for session in sessions)))
