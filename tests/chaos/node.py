"""The worker node of a run on several raylets: killed, or frozen until it counts as dead; another takes its place."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from actors.cluster.nodes import living
from tests.chaos.targets import found
from tests.cluster.raylets import Raylets
from tests.integration.waiting import until

BUSY_WITHIN_S = 15.0
"""Longest wait for a new node to host a session: an idle one is not hit."""

ZOMBIE_S = 1.0
"""How long a node that counted as dead is awake again, and may try to go on, before it is taken away."""


class WorkerNode:
    """The one worker of a cluster; at most one fault of it is under way at a time."""

    def __init__(self, raylets: Raylets) -> None:
        self._raylets = raylets
        self._hit = False

    async def start(self) -> None:
        """See to it that there is one."""
        await self._raylets.worker()

    async def kill(self) -> bool:
        """Kill all of it, as a loss of power would. False when there was nothing to break."""
        if not await self._is_free():
            return False
        try:
            await asyncio.to_thread(self._raylets.kill)
            await self.start()
        finally:
            self._hit = False
        return True

    async def freeze(self, seconds: float, *, with_workers: bool) -> bool:
        """Let it stand still for a moment; its raylet alone, or all that it runs."""
        if not await self._is_free():
            return False
        try:
            self._raylets.freeze(with_workers=with_workers)
            await asyncio.sleep(seconds)
        finally:
            self._raylets.thaw()
            self._hit = False
        return True

    async def stun(self, *, with_workers: bool) -> bool:
        """Let it stand still until it counts as dead, and wake it: what it does then must count for nothing."""
        if not await self._is_free():
            return False
        try:
            self._raylets.freeze(with_workers=with_workers)
            await until(lambda: len(living()) == 1, what="the frozen node counts as dead", within_s=60.0)
            self._raylets.thaw()
            await asyncio.sleep(ZOMBIE_S)
            await asyncio.to_thread(self._raylets.forget)
            await self.start()
        finally:
            self._raylets.thaw()
            self._hit = False
        return True

    async def _is_free(self) -> bool:
        """Take it, once it hosts a session; False when another fault has it, or no session comes."""
        if self._hit:
            return False
        self._hit = True
        with suppress(TimeoutError):
            async with asyncio.timeout(BUSY_WITHIN_S):
                while not await asyncio.to_thread(found, "session", self._raylets.pid):  # noqa: ASYNC110 - unannounced
                    await asyncio.sleep(0.1)
                return True
        self._hit = False
        return False
