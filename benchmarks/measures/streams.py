"""Pieces of running answers on their way to readers."""

from __future__ import annotations

import asyncio
from time import monotonic

from actors import LlmConfig, SessionConfig, SessionHandle, SessionManager
from actors.domain.events import MessageDelta
from benchmarks.figures import Figure, Unit, gone, new_id
from benchmarks.processes import cpu_s, pids
from benchmarks.stats import p50, percentile

STREAMS = 50
PIECES = 500
PIECE_S = 0.04
"""25 pieces a second: a model that answers fast."""

SPEAKER = LlmConfig.of("scripted/script", options={"steps": [{"clock": PIECES}], "token_delay_s": PIECE_S})


async def deltas(manager: SessionManager) -> list[Figure]:
    """How long the pieces of 50 answers take from the model to their readers; each says when it left."""
    ids = [new_id("stream") for _ in range(STREAMS)]
    sessions = await manager.create_sessions(ids, SessionConfig(model=SPEAKER))
    processes = await pids(manager.settings.runtime)
    before = cpu_s(processes)
    lags = [lag for found in await asyncio.gather(*(_lags(one) for one in sessions)) for lag in found]
    spent = cpu_s(processes) - before
    await gone(manager, sessions)
    return [
        Figure(f"delta of {STREAMS} streams, p50", p50(lags), Unit.seconds),
        Figure(f"delta of {STREAMS} streams, p98", percentile(lags, 0.98), Unit.seconds, most=10),
        Figure("deltas delivered", len(lags) / (STREAMS * PIECES), Unit.ratio, least=1),
        Figure("processor time per delta, all processes", spent / len(lags), Unit.seconds),
    ]


async def _lags(session: SessionHandle) -> list[float]:
    found: list[float] = []
    async for event in await session.generate_streaming("speak"):
        if isinstance(event, MessageDelta):
            now = monotonic()
            found += [now - float(left) for left in event.text.split()]
    return found
