"""The seeded killer: does what is planned."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Literal

from actors.faults import Fault, What
from tests.chaos import targets
from tests.chaos.node import WorkerNode
from tests.chaos.pipes import Pipes
from tests.chaos.plan import TARGETS, Planned, planned
from tests.integration.processes import alive

AT_ONCE = (3, 5, 8, 12)
"""How many faults come together: what recovers is hit while others recover too."""


class Faults:
    """Does a few faults at a time to one runtime.

    Args:
        seed: The same seed plans the same faults; which of several like actors is hit depends on who lives.
        pipes: Where its processes can be armed.
        servers: The directory of the round, by which its MCP servers are known.
        among: The kinds of actors that are hit.
        below: The process that the runtime's descend from; this one when left out.
        node: What a fault of a node hits.
    """

    def __init__(
        self,
        seed: int,
        pipes: Path,
        servers: Path,
        *,
        among: Sequence[str] = TARGETS,
        below: int | Literal["self"] = "self",
        node: WorkerNode | None = None,
    ) -> None:
        self._random = random.Random(seed)
        self._plan = planned(seed, among)
        self._pipes = Pipes(pipes)
        self._servers = servers
        self._below = below
        self._node = node
        self._lasting: dict[asyncio.Task[bool], Planned] = {}

    async def some(self, most: int, group: asyncio.TaskGroup) -> list[tuple[str, str]]:
        """Begin the next few, at the same time, and wait for those that are over within a breath.

        Those that last, as until an actor counts as dead, go on meanwhile: what comes next hits what recovers from
        them.

        Args:
            most: Together with those that last still.
            group: Where they go on.

        Returns:
            Kinds and targets of those that are over since the last time and came about: nobody may have passed the
            place where one was planned.
        """
        together = min(most - len(self._lasting), self._random.choice(AT_ONCE))
        begun = {group.create_task(self._one(one)): one for one in islice(self._plan, together)}
        brief = [task for task, one in begun.items() if not one.lasts]
        if brief:
            await asyncio.wait(brief)
        self._lasting |= begun
        if not brief:
            await asyncio.wait(self._lasting, return_when=asyncio.FIRST_COMPLETED)
        over = [(task, self._lasting.pop(task)) for task in list(self._lasting) if task.done()]
        return [(one.kind, one.target) for task, one in over if task.result()]

    async def _one(self, one: Planned) -> bool:
        if one.target == "node":
            assert self._node is not None
            return await _to_node(self._node, one)
        pid = await targets.one(one.target, self._below, one.which, self._servers)
        match one.kind:
            case "kill":
                return _signal(pid, signal.SIGKILL)
            case "kill at":
                return await self._pipes.arm(pid, Fault(one.point, 1, What.kill))
            case "cut":
                return await self._pipes.arm(pid, Fault(one.point, 1, What.cut))
            case _:
                return await _freeze(pid, one.seconds)


async def _to_node(node: WorkerNode, one: Planned) -> bool:
    whole = one.which < 0.5
    match one.kind:
        case "kill":
            return await node.kill()
        case "freeze":
            return await node.freeze(one.seconds, with_workers=whole)
        case _:
            return await node.stun(with_workers=whole)


def _signal(pid: int, number: signal.Signals) -> bool:
    """False when the process is gone already."""
    if not alive(pid):
        return False
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
