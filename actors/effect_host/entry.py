"""One attempt of one call as the host holds it: the task that runs it, its pieces of output, what came of it."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Literal

from actors.domain.calls import Attached, CallKey, CallStatus, Delta
from actors.effect_host.ports import Call, CallId, CallResult
from actors.errors import GreenroomError

Channel = Literal["text", "thinking", "tool_input", "output"]

MAX_DELTAS = 16_384
"""Pieces kept of one attempt: twice the tokens of a long answer."""

MAX_DELTA_CHARS = 512 * 1024
"""Characters kept of one attempt: five times what a tool may return."""


class DeltaRing:
    """The newest pieces of an output; the oldest are dropped over the bounds. Indexes never change."""

    def __init__(self) -> None:
        self._pieces: deque[tuple[Channel, str]] = deque()
        self._chars = 0
        self._next = 0

    @property
    def end(self) -> int:
        """Index of the piece to come."""
        return self._next

    @property
    def start(self) -> int:
        """Index of the oldest piece that is kept."""
        return self._next - len(self._pieces)

    def append(self, channel: Channel, text: str) -> None:
        """Add a piece; of one above the bound only the end is kept."""
        text = text[-MAX_DELTA_CHARS:]
        self._pieces.append((channel, text))
        self._chars += len(text)
        self._next += 1
        while len(self._pieces) > MAX_DELTAS or self._chars > MAX_DELTA_CHARS:
            _, dropped = self._pieces.popleft()
            self._chars -= len(dropped)

    def read(self, cursor: int, max_chars: int = MAX_DELTA_CHARS) -> tuple[Delta, ...]:
        """Pieces from ``cursor`` on, as many as fit in ``max_chars``."""
        found: list[Delta] = []
        first = max(cursor, self.start)
        for index in range(first, self._next):
            channel, text = self._pieces[index - self.start]
            max_chars -= len(text)
            if max_chars < 0:
                break
            found.append(Delta(index=index, channel=channel, text=text))
        return tuple(found)

    def clear(self) -> None:
        """Drop every piece; the indexes go on."""
        self._pieces.clear()
        self._chars = 0


@dataclass(slots=True, eq=False)
class Entry:
    """An attempt that is not acknowledged.

    Attributes:
        epoch: The newest activation that asked for it.
        call: What to do; None once settled, and for a call that was cancelled before it was seen.
        done: Gets the answer when the call settles, or the error when it was withdrawn before it began.
        acknowledged: Acknowledged while it runs: nobody will come for what it gives.
        given_up: Whoever wanted its end was told that it did not come in time, and may be gone.
        waiting: How many wait for its end now.
        unclaimed: It settled after it was given up, and nobody was there who would write down what became of it.
        size: Bytes of the outcome while it is in memory.
        since: Clock when it settled, or was dropped.
    """

    key: CallKey
    journal_id: str
    tenant: str
    epoch: int
    done: asyncio.Future[Attached | GreenroomError]
    call: Call | None = None
    status: CallStatus = CallStatus.running
    outcome: CallResult | None = None
    task: asyncio.Task[CallResult] | None = None
    deltas: DeltaRing = field(default_factory=DeltaRing)
    executing: bool = False
    cancelling: bool = False
    acknowledged: bool = False
    given_up: bool = False
    waiting: int = 0
    unclaimed: bool = False
    size: int = 0
    since: float = 0.0

    @property
    def id(self) -> CallId:
        """The attempt's name."""
        return (self.key.call_id, self.key.attempt)

    @property
    def weight(self) -> int:
        """Bytes of context that the call holds until it settles."""
        return sum(map(len, self.call.messages)) if self.call is not None and self.call.kind == "model" else 0

    def attached(self) -> Attached:
        """What is known of it now."""
        return Attached(key=self.key, status=self.status, outcome=self.outcome)

    async def settled(self) -> Attached:
        """Wait for the answer; a waiter that is cancelled changes nothing."""
        self.waiting += 1
        try:
            answer = await asyncio.shield(self.done)
        finally:
            self.waiting -= 1
        if isinstance(answer, GreenroomError):
            raise answer
        return answer

    async def ended(self, within_s: float) -> bool:
        """Wait for the answer for some time; whether it is there."""
        self.waiting += 1
        try:
            await asyncio.wait([self.done], timeout=within_s)
        finally:
            self.waiting -= 1
        return self.done.done()

    def stop(self) -> None:
        """Cancel once: a second time would interrupt the executor's clean-up."""
        if self.task is not None and not self.cancelling:
            self.cancelling = True
            self.task.cancel()
