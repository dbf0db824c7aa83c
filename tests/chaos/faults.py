"""The seeded killer: which actor is hit next, and how."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from contextlib import suppress

from ray.exceptions import RayError

from actors.cluster.links import actor_named, actor_names

TARGETS = ("session", "tools", "models", "store", "registry")

KINDS = ("kill", "kill", "freeze")
"""Kills twice as often: a freeze takes its time."""

AT_ONCE = (1, 2, 3, 4)
"""How many faults come together: what recovers is hit while others recover too."""

FROZEN_S = (0.2, 1.5)
"""How long a frozen process stays so, in seconds: shorter than the silence that counts as death."""

ASK_S = 5.0
"""Longest wait for an actor's pid; one that is just being replaced is not hit."""


class Faults:
    """Does a few faults at a time to one runtime.

    Args:
        runtime: Its name.
        seed: The same seed plans the same faults; which of several like actors is hit depends on who lives.
    """

    def __init__(self, runtime: str, seed: int) -> None:
        self._runtime = runtime
        self._random = random.Random(seed)

    async def some(self, most: int) -> list[tuple[str, str]]:
        """Do the next few, at the same time; returns their kinds and targets once what was frozen has been thawed."""
        together = min(most, self._random.choice(AT_ONCE))
        return await asyncio.gather(*(self._one(*self._plan()) for _ in range(together)))

    def _plan(self) -> tuple[str, str, float, float]:
        chosen = self._random
        return chosen.choice(KINDS), chosen.choice(TARGETS), chosen.uniform(*FROZEN_S), chosen.random()

    async def _one(self, kind: str, target: str, frozen_s: float, place: float) -> tuple[str, str]:
        pid = await self._pid(target, place)
        if kind == "kill":
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        else:
            await _freeze(pid, frozen_s)
        return kind, target

    async def _pid(self, target: str, place: float) -> int:
        while True:
            names = sorted(await asyncio.to_thread(actor_names, f"{self._runtime}.{target}"))
            if names and (actor := actor_named(names[int(place * len(names))])) is not None:
                with suppress(RayError, TimeoutError):
                    async with asyncio.timeout(ASK_S):
                        return await actor.pid.remote()
            await asyncio.sleep(0.05)


async def _freeze(pid: int, seconds: float) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            os.kill(pid, signal.SIGCONT)
