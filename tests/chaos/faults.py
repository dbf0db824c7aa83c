"""The seeded killer: which actor is hit next, and how."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from actors.faults import WIRE, Fault, Point, What
from tests.chaos import targets
from tests.chaos.pipes import Pipes

SERVERS = ("session", "tools", "models", "store")
"""Actors on the data plane."""

TARGETS = (*SERVERS, "registry")

WEB_TARGETS = (*TARGETS, "replica", "proxy")
"""With the HTTP service."""

CALLS = (Point.execute_before, Point.execute_after, Point.host_reply)

PLACES: Mapping[str, tuple[Point, ...]] = {
    "session": (
        *(Point.commit_before, Point.commit_after, Point.run_before, Point.run_after),
        *(Point.attach_after, Point.ack_before, Point.ack_after, Point.session_reply),
        *(Point.release_before, Point.release_after, *WIRE),
    ),
    "tools": (*CALLS, *WIRE),
    "models": (*CALLS, *WIRE),
    "store": (Point.store_before, Point.store_after, Point.store_reply, *WIRE),
}
"""Where a process of a kind may be killed; others pass too few."""

KINDS = {"kill": 3, "kill at": 3, "freeze": 2, "stun": 1, "cut": 3}
"""How often each comes.

``kill at`` is a kill at a named place; ``cut`` breaks a connection of the data plane; ``freeze`` lets a process stand
still for a moment, ``stun`` for so long that it counts as dead and is replaced.
"""

AT_ONCE = (1, 2, 3, 4, 5, 6)
"""How many faults come together: what recovers is hit while others recover too."""

FROZEN_S = (0.2, 1.5)
"""How long a frozen process stays so, in seconds: shorter than the silence that counts as death."""

SILENCE_S = 4.0
"""Silence that counts as death in these runs."""

STUNNED_S = (1.5 * SILENCE_S, 2.0 * SILENCE_S)
"""Longer than that, also for the registry, which is given half as long again."""


@dataclass(frozen=True)
class Planned:
    """One fault.

    Attributes:
        which: Of the actors of the target's kind, from 0 to 1.
        seconds: How long a frozen process stays so.
        point: Where a process is killed, or a connection cut.
    """

    kind: str
    target: str
    which: float
    seconds: float
    point: Point

    @classmethod
    def next(cls, chosen: random.Random, among: Sequence[str]) -> Planned:
        """The next of a seeded sequence, that hits one of these kinds of actors."""
        kind = chosen.choices(list(KINDS), list(KINDS.values()))[0]
        target = chosen.choice(SERVERS if kind in {"cut", "kill at"} else among)
        seconds = chosen.uniform(*(STUNNED_S if kind == "stun" else FROZEN_S))
        point = chosen.choice(sorted(WIRE if kind == "cut" else PLACES.get(target, WIRE)))
        return cls(kind, target, chosen.random(), seconds, point)


class Faults:
    """Does a few faults at a time to one runtime.

    Args:
        seed: The same seed plans the same faults; which of several like actors is hit depends on who lives.
        pipes: Where its processes can be armed.
        among: The kinds of actors that are hit.
        below: The process that the runtime's descend from; this one when left out.
    """

    def __init__(
        self, seed: int, pipes: Path, *, among: Sequence[str] = TARGETS, below: int | Literal["self"] = "self"
    ) -> None:
        self._random = random.Random(seed)
        self._pipes = Pipes(pipes)
        self._among = among
        self._below = below

    async def some(self, most: int) -> list[tuple[str, str]]:
        """Do the next few, at the same time.

        Returns:
            Kinds and targets of those that came about, once what was frozen has been thawed: nobody may have passed
            the place where one was planned.
        """
        together = min(most, self._random.choice(AT_ONCE))
        planned = [Planned.next(self._random, self._among) for _ in range(together)]
        done = await asyncio.gather(*map(self._one, planned))
        return [(one.kind, one.target) for one, came_about in zip(planned, done, strict=True) if came_about]

    async def _one(self, planned: Planned) -> bool:
        pid = await targets.one(planned.target, self._below, planned.which)
        match planned.kind:
            case "kill":
                return _signal(pid, signal.SIGKILL)
            case "kill at":
                return await self._pipes.arm(pid, Fault(planned.point, 1, What.kill))
            case "cut":
                return await self._pipes.arm(pid, Fault(planned.point, 1, What.cut))
            case _:
                return await _freeze(pid, planned.seconds)


def _signal(pid: int, number: signal.Signals) -> bool:
    """False when the process is gone already."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


async def _freeze(pid: int, seconds: float) -> bool:
    try:
        stopped = _signal(pid, signal.SIGSTOP)
        await asyncio.sleep(seconds if stopped else 0)
        return stopped
    finally:
        _signal(pid, signal.SIGCONT)
