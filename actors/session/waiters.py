"""Callers that wait in a session's own process for the end of a turn."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace

from actors.domain.commands import Reply
from actors.session.submitted import Submitted

RECENT = 64
"""Ends that are kept for a moment; whoever comes later asks the store."""


class TurnWaiters:
    """By input, what its turn came to; known only for inputs that were accepted in this process."""

    def __init__(self) -> None:
        self._ends: dict[str, asyncio.Future[Submitted | None]] = {}
        self._recent: dict[str, asyncio.Future[Submitted | None]] = {}

    def expect(self, input_id: str) -> None:
        """An input was accepted; some turn will take it."""
        self._ends.setdefault(input_id, asyncio.get_running_loop().create_future())

    def end(self, inputs: Iterable[str], submitted: Submitted | None) -> None:
        """Tell whoever waits for these inputs."""
        for input_id in inputs:
            future = self._ends.pop(input_id, None)
            if future is not None and not future.done():
                future.set_result(submitted)
                self._keep(input_id, future)

    def _keep(self, input_id: str, future: asyncio.Future[Submitted | None]) -> None:
        """A turn may end before its sender, who has only just been answered, begins to wait."""
        self._recent[input_id] = future
        if len(self._recent) > RECENT:
            del self._recent[next(iter(self._recent))]

    async def wait(self, input_id: str, reply: Reply, wait_s: float) -> Submitted:
        """The turn's end, or only the reply when it does not come within ``wait_s`` seconds."""
        future = self._ends.get(input_id) or self._recent.pop(input_id, None)
        if future is None:
            return Submitted(reply)
        try:
            async with asyncio.timeout(wait_s):
                submitted = await asyncio.shield(future)
        except TimeoutError:
            return Submitted(reply)
        return replace(submitted, reply=reply) if submitted is not None else Submitted(reply)

    def close(self) -> None:
        """The session is not here any more: everybody gets the receipt and waits at the store."""
        self.end(list(self._ends), None)
