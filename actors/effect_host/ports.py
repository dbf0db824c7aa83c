"""What an effect host needs from outside, what bounds it, and the shapes in which it answers readers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from actors.domain.base import Frozen
from actors.domain.calls import (
    CallKey,
    CallStatus,
    Delta,
    Emit,
    ModelCall,
    ModelOutcome,
    Reconciled,
    ToolCall,
    ToolOutcome,
)

Call = ModelCall | ToolCall
CallResult = ModelOutcome | ToolOutcome
CallId = tuple[str, int]
"""(call_id, attempt): a ``CallKey`` in the form that hashes fast."""

Clock = Callable[[], float]
"""A monotonic clock in seconds."""

REMEMBER_S = 600.0
"""How long the id of an acknowledged call is kept: far longer than a frame can linger between two live processes,
since connections that miss their heartbeats are closed after seconds."""

MAX_WAIT_S = 30.0
"""Longest poll: a waiter whose caller has vanished is gone after that."""

MAX_KEYS = 1000
"""Attempts that one request may name; a session with more asks in several requests."""


class Executor(Protocol):
    """What carries calls out: a model client, a set of tools, an MCP connection."""

    async def execute(self, call: Call, emit: Emit) -> CallResult:
        """Carry the call out. Failures are outcomes; it raises nothing but CancelledError."""
        ...

    def cancelled(self, call: Call, deltas: Sequence[Delta]) -> CallResult:
        """What a cancelled call gave. ``deltas`` are the pieces still held; the first index tells what was lost."""
        ...

    async def reconcile(self, call: ToolCall, recorded: bytes | None) -> Reconciled:
        """What became of a call whose outcome was lost with its host; unclear when nobody can tell."""
        ...


class ResultSink(Protocol):
    """Where a host writes down what has to outlive it; both return only when it is durable."""

    async def save(self, tenant: str, journal_id: str, call_id: str, attempt: int, outcome: bytes) -> None:
        """Keep an outcome that nobody fetched (compact JSON); the first one of an attempt stays."""
        ...

    async def save_facts(self, tenant: str, journal_id: str, call_id: str, attempt: int, facts: bytes) -> None:
        """Keep what a tool records before it takes effect (compact JSON); the last of an attempt stays."""
        ...


class DeltaPage(Frozen):
    """What a reader of one attempt gets.

    Attributes:
        cursor: Index of the next piece; ask from here the next time.
        missed: How many pieces before the first of ``deltas`` were dropped, because nobody read in time.
        more: Whether further pieces are there already.
    """

    key: CallKey
    deltas: tuple[Delta, ...] = ()
    cursor: int = 0
    missed: int = 0
    more: bool = False
    status: CallStatus = CallStatus.never_seen

    @property
    def ended(self) -> bool:
        """The call has settled and every piece was read."""
        return not self.more and self.status not in {CallStatus.running, CallStatus.never_seen}

    @property
    def news(self) -> bool:
        """Whether it tells a reader more than to wait."""
        return bool(self.deltas) or self.ended


@dataclass(frozen=True, slots=True)
class HostLimits:
    """Bounds of one host. Over a bound, new calls get Overloaded; what runs is not touched.

    Attributes:
        running: Calls carried out at the same time.
        queued: Calls that wait for one of those places.
        call_bytes: Contexts held by calls that have not settled: 256 MiB is a quarter of a small node's memory.
        waiters: Polls that wait at the same time.
        unacknowledged: Attempts that nobody acknowledged, running or not, at about 2 KB each beside their outcomes.
        known: Attempts remembered in any form: 10 minutes of 800 calls per second, at about 100 bytes each.
        journals: Fences kept, at about 200 bytes each.
        keep_bytes: Outcomes nobody acknowledged that stay in memory; above it the oldest go to the store.
        max_bytes: Outcomes in memory when the store takes none.
        idle_s: An outcome that was not acknowledged for so long goes to the store: its session is gone.
        cancel_s: Longest wait for a cancelled call; then its outcome is ``unknown``.
        close_s: Longest wait for all calls when the host ends.
    """

    running: int = 64
    queued: int = 1024
    call_bytes: int = 256 * 1024 * 1024
    waiters: int = 1024
    unacknowledged: int = 20_000
    known: int = 500_000
    journals: int = 200_000
    keep_bytes: int = 64 * 1024 * 1024
    max_bytes: int = 256 * 1024 * 1024
    idle_s: float = 30.0
    cancel_s: float = 10.0
    close_s: float = 5.0


@dataclass(frozen=True, slots=True)
class HostStats:
    """Sizes and counts. ``open``: calls that run or queue; ``known``: attempts remembered in any form."""

    open: int
    executing: int
    unacknowledged: int
    retained_bytes: int
    known: int
    journals: int
    waiters: int
