"""The calls that a host carries out at this moment: each in a task of its own, so many at a time.

Between the host, which knows which attempts there are and what became of them, and the executor.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import logging
from typing import Protocol

from actors import faults
from actors.domain.calls import OUTCOME, CallStatus
from actors.domain.tools import EffectClass
from actors.effect_host.entry import Channel, Entry
from actors.effect_host.fences import Fences
from actors.effect_host.line import Line
from actors.effect_host.outcomes import broken
from actors.effect_host.ports import Call, CallResult, Clock, Executor, HostLimits
from actors.errors import Fenced, GreenroomError, HostGone, Overloaded
from actors.faults import Point

logger = logging.getLogger(__name__)


class Owner(Protocol):
    """Whoever keeps the entries."""

    def settled(self, entry: Entry, outcome: CallResult) -> None:
        """A call has come to its end."""
        ...

    def withdrawn(self, entry: Entry, error: GreenroomError) -> None:
        """A call has had no effect, or may have it again: it is as if it had never come."""
        ...

    def emitted(self, entry: Entry) -> None:
        """There is a new piece of output."""
        ...


class Work:
    """The calls under way at one host.

    Args:
        fences: Asked once more when a call's place is free.
    """

    def __init__(
        self, name: str, executor: Executor, limits: HostLimits, fences: Fences, owner: Owner, clock: Clock
    ) -> None:
        self._name = name
        self._executor = executor
        self._limits = limits
        self._fences = fences
        self._owner = owner
        self._line = Line(limits.running, clock)
        self._tasks: dict[asyncio.Task[CallResult], Entry] = {}
        self._bytes = 0
        self._closing = False
        self.executing = 0

    def __len__(self) -> int:
        return len(self._tasks)

    def check_room(self) -> None:
        """Raise Overloaded when no more calls can be taken."""
        if len(self._tasks) >= self._limits.running + self._limits.queued:
            raise Overloaded("too many calls wait at an effect host")
        if self._bytes >= self._limits.call_bytes:
            raise Overloaded("the calls at an effect host hold too much context")

    def begin(self, entry: Entry, call: Call) -> None:
        """Carry a call out as soon as there is a place for it."""
        entry.call = call
        self._bytes += entry.weight
        task = asyncio.get_running_loop().create_task(self._carry_out(entry, call), context=contextvars.Context())
        entry.task = task
        self._tasks[task] = entry
        task.add_done_callback(functools.partial(self._finished, entry, call))

    async def _carry_out(self, entry: Entry, call: Call) -> CallResult:
        async with self._line.place(call):
            self._fences.check(entry.journal_id, entry.epoch)
            entry.executing = True
            self.executing += 1
            try:
                faults.hit(Point.execute_before)
                result = await self._executor.execute(call, functools.partial(self._emit, entry))
                faults.hit(Point.execute_after)
                return result
            finally:
                self.executing -= 1

    def _emit(self, entry: Entry, channel: Channel, text: str) -> None:
        if text and entry.status is CallStatus.running:
            entry.deltas.append(channel, text)
            self._owner.emitted(entry)

    def _finished(self, entry: Entry, call: Call, task: asyncio.Task[CallResult]) -> None:
        del self._tasks[task]
        self._bytes -= entry.weight
        entry.task = None
        entry.call = None
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Fenced) and not entry.executing:
            # It has not begun, and no present activation asked for it.
            self._owner.withdrawn(entry, error)
        elif task.cancelled() and self._closing and _may_run_again(call):
            self._owner.withdrawn(entry, HostGone(self._name, "it is closing"))
        else:
            self._owner.settled(entry, self._outcome(entry, call, task))

    def _outcome(self, entry: Entry, call: Call, task: asyncio.Task[CallResult]) -> CallResult:
        try:
            if not task.cancelled():
                return _sized(entry, task.result())
            if entry.cancelling:
                return _sized(entry, self._executor.cancelled(call, entry.deltas.read(0)))
            return _sized(entry, broken(call, None, begun=entry.executing))
        except Exception as error:
            logger.exception("the executor of host %s broke", self._name)
            return _sized(entry, broken(call, error, begun=entry.executing))

    async def close(self) -> None:
        """Cancel every call, and wait for their ends for at most ``close_s``."""
        self._closing = True
        for entry in self._tasks.values():
            entry.stop()
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=self._limits.close_s)


def _sized(entry: Entry, outcome: CallResult) -> CallResult:
    """The outcome, once it is known that it can be written: no session could take one that cannot."""
    entry.size = len(OUTCOME.dump_json(outcome))
    return outcome


def _may_run_again(call: Call) -> bool:
    """Whether a call that a host did not bring to its end is simply begun anew by whoever asks next."""
    return call.kind == "model" or call.effect is not EffectClass.unsafe
