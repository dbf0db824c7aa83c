"""What a seed plans: which actor is hit next, and how. Knows neither Ray nor processes."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from actors.faults import WIRE, Point

SERVERS = ("session", "tools", "models", "store", "mcp")
"""Actors on the data plane."""

TARGETS = (*SERVERS, "registry", "server")
"""All that a runtime consists of, and the processes of MCP servers."""

WEB_TARGETS = (*TARGETS, "replica", "proxy")
"""With the HTTP service."""

NODE_TARGETS = (*TARGETS, "node", "node")
"""With a worker node, which is hit as often as two others."""

CALLS = (Point.execute_before, Point.execute_after, Point.host_reply)

PLACES: Mapping[str, tuple[Point, ...]] = {
    "session": (
        *(Point.commit_before, Point.commit_after, Point.run_before, Point.run_after),
        *(Point.attach_after, Point.ack_before, Point.ack_after, Point.session_reply),
        *(Point.release_before, Point.release_after, *WIRE),
    ),
    "tools": (*CALLS, Point.piece_after, *WIRE),
    "models": (*CALLS, *WIRE),
    "mcp": (*CALLS, *WIRE),
    "store": (Point.store_before, Point.store_after, Point.store_reply, *WIRE),
}
"""Where a process of a kind may be killed; others pass too few."""

KINDS = {"kill": 3, "kill at": 3, "freeze": 2, "stun": 1, "cut": 3}
"""How often each comes.

``kill at`` is a kill at a named place; ``cut`` breaks a connection of the data plane; ``freeze`` lets a process stand
still for a moment, ``stun`` for so long that it counts as dead and is replaced.
"""

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
        which: Of the actors of the target's kind, from 0 to 1; of a node, whether its raylet stands still alone.
        seconds: How long a frozen process stays so.
        point: Where a process is killed, or a connection cut.
    """

    kind: str
    target: str
    which: float
    seconds: float
    point: Point

    @property
    def lasts(self) -> bool:
        """Whether it takes longer than a breath."""
        return self.kind == "stun" or self.target == "node"


def planned(seed: int, among: Sequence[str]) -> Iterator[Planned]:
    """The faults of a seed, which hit these kinds of actors."""
    chosen = random.Random(seed)
    while True:
        kind = chosen.choices(list(KINDS), list(KINDS.values()))[0]
        target = chosen.choice(SERVERS if kind in {"cut", "kill at"} else among)
        seconds = chosen.uniform(*(STUNNED_S if kind == "stun" else FROZEN_S))
        point = chosen.choice(sorted(WIRE if kind == "cut" else PLACES.get(target, WIRE)))
        yield Planned(kind, target, chosen.random(), seconds, point)


FEW = 13
"""Faults of each of the runs that are part of every test run."""

FEW_OF_NODES, FEW_OVER_HTTP = 13226, 16091
"""Their seeds: so few faults are of all kinds, hit all kinds of actors, and are soon over."""
