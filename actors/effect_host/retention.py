"""Outcomes that nobody has acknowledged: kept in memory, then in the store, never lost by time.

Between the host, which adds and takes away, and the sink, which writes to the store's table of results.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections import OrderedDict
from collections.abc import Callable

from actors.domain.calls import OUTCOME, Attached, CallStatus
from actors.effect_host.entry import Entry
from actors.effect_host.ports import CallId, Clock, HostLimits, ResultSink

logger = logging.getLogger(__name__)

SWEEP_S = 5.0
"""How often outcomes are looked through for those that nobody fetched: well below the time after which they count."""

SAVE_S = 10.0
"""Longest wait for one write: the store's own retries take less; the outcome stays in memory and is tried again."""

ABANDONED_S = 24 * 3600.0
"""An id without an outcome in memory is forgotten after a day. Its outcome is in the store, or it never began; a
session that comes back later reads the store first, and no frame is that late."""


class Retention:
    """The settled entries, oldest first: those with an outcome in memory, and those without.

    ``forget`` is called with entries that are given up (see ``ABANDONED_S``).
    """

    def __init__(
        self, limits: HostLimits, clock: Clock, sink: ResultSink | None, forget: Callable[[Entry], None]
    ) -> None:
        self._limits = limits
        self._clock = clock
        self._sink = sink
        self._kept: OrderedDict[CallId, Entry] = OrderedDict()
        self._empty: OrderedDict[CallId, Entry] = OrderedDict()
        self._forget = forget
        self._saving = False
        self._keeper: asyncio.Task[None] | None = None
        self.bytes = 0
        self.pressure = asyncio.Event()

    @property
    def full(self) -> bool:
        """Whether outcomes take all the memory they may: no call should start that makes another."""
        return self.bytes >= self._limits.max_bytes

    def add(self, entry: Entry) -> None:
        """Take a settled entry; its outcome is in memory or there is none."""
        entry.since = self._clock()
        if entry.outcome is None:
            self._empty[entry.id] = entry
            return
        self.bytes += entry.size
        self._kept[entry.id] = entry
        if entry.unclaimed:
            # Its session may be dormant for long: until it is in the store, nobody could see it.
            self._kept.move_to_end(entry.id, last=False)
            self.pressure.set()
        if self.bytes > self._limits.keep_bytes:
            self.pressure.set()

    def discard(self, entry: Entry) -> None:
        """Let an entry go: it was acknowledged."""
        self._empty.pop(entry.id, None)
        if self._kept.pop(entry.id, None) is not None:
            self.bytes -= entry.size
            entry.size = 0

    def start(self) -> None:
        """Sweep from now on, every 5 s and when memory is short."""
        if self._keeper is None:
            self._keeper = asyncio.get_running_loop().create_task(self._keep(), context=contextvars.Context())

    async def close(self) -> None:
        """Write everything that is left, within ``close_s``."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper], timeout=self._limits.close_s)
        try:
            async with asyncio.timeout(self._limits.close_s):
                await self.sweep(everything=True)
        except TimeoutError:
            logger.warning("outcomes that nobody fetched were lost: the store took too long")

    async def _keep(self) -> None:
        while True:
            try:
                async with asyncio.timeout(SWEEP_S):
                    await self.pressure.wait()
            except TimeoutError:
                pass
            await self.sweep()

    async def sweep(self, *, everything: bool = False) -> None:
        """Write to the sink what waits for too long or is too much, oldest first, and drop it from memory.

        Stops at the first write that fails, unless everything is to be written; that outcome stays.
        """
        self.pressure.clear()
        self._give_up()
        if self._sink is None or self._saving:
            return
        self._saving = True
        try:
            for _ in range(len(self._kept)):
                entry = self._next(everything)
                if entry is None:
                    return
                if await self._save(self._sink, entry):
                    self._drop(entry)
                elif entry.id in self._kept:
                    # The others have their turn before it, in case the store never takes it.
                    self._kept.move_to_end(entry.id)
                    if not everything:
                        return
        finally:
            self._saving = False

    def _give_up(self) -> None:
        too_old = self._clock() - ABANDONED_S
        while self._empty and next(iter(self._empty.values())).since <= too_old:
            self._forget(self._empty.popitem(last=False)[1])

    def _next(self, everything: bool) -> Entry | None:
        entry = next(iter(self._kept.values()), None)
        if entry is None:
            return None
        idle = entry.unclaimed or self._clock() - entry.since >= self._limits.idle_s
        return entry if everything or idle or self.bytes > self._limits.keep_bytes else None

    async def _save(self, sink: ResultSink, entry: Entry) -> bool:
        if entry.outcome is None:
            return True
        encoded = OUTCOME.dump_json(entry.outcome)
        try:
            async with asyncio.timeout(SAVE_S):
                await sink.save(entry.tenant, entry.journal_id, entry.key.call_id, entry.key.attempt, encoded)
        except Exception as error:
            logger.warning("an unfetched outcome could not be stored and stays in memory: %s", type(error).__name__)
            return False
        return True

    def _drop(self, entry: Entry) -> None:
        if entry.id not in self._kept:
            return
        self.discard(entry)
        entry.outcome = None
        entry.status = CallStatus.settled_dropped
        entry.deltas.clear()
        entry.done = asyncio.get_running_loop().create_future()
        entry.done.set_result(Attached(key=entry.key, status=entry.status))
        self.add(entry)
