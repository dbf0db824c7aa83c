"""How the supervisor is called: at once, or soon, together with others who call meanwhile."""

from __future__ import annotations

import asyncio


class Bell(asyncio.Event):
    """An event that can also be set in a while: many who need a look soon need only one."""

    def __init__(self) -> None:
        super().__init__()
        self._later: asyncio.TimerHandle | None = None

    def ring_within(self, seconds: float) -> None:
        """Be set so many seconds after the first who asked."""
        if self._later is None:
            self._later = asyncio.get_running_loop().call_later(seconds, self._ring)

    def _ring(self) -> None:
        self._later = None
        self.set()
