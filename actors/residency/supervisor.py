"""Sees to it that sessions with work to do live in an actor, and that idle ones do not.

Above is whoever owns the residency (the registry, or a local runtime); it is told of commits by ``hint``. The store's
projection says which sessions have work: an open turn or a queued input that waits for nobody, or a timer that is over.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from actors.domain.ids import utc_now
from actors.domain.journal import Due
from actors.errors import Fenced, GreenroomError, Overloaded, SessionNotFound, StoreUnavailable, Superseded
from actors.residency.housekeeping import Housekeeper
from actors.residency.residency import Residency
from actors.session.containment import contain
from actors.session.ports import Store
from actors.storage.watch import Hint

log = logging.getLogger(__name__)

SWEEP_S = 30.0
"""Safety net: how often the projection is asked for work that nobody was told about."""

IDLE_CHECK_S = 1.0
"""How often resident sessions are offered hibernation."""

REVIVE_AT_ONCE = 16
"""Sessions that are activated at the same time without anybody asking, so that callers are not pushed aside."""

DUE_AT_ONCE = 1000
"""Sessions with work to do that one look finds, beside those that are resident."""

RETRY_S = 0.1
"""First delay before a session is tried again; it doubles as long as the session makes no progress."""

MOST_DOUBLINGS = 10
"""Of that delay; it has reached ``SWEEP_S`` before."""

MAX_ACTIVATIONS = 3
"""Activations without any progress after which a session is taken out of service."""

MAX_REMEMBERED = 10_000
"""Sessions whose attempts are counted; beyond that the oldest count is forgotten, which costs an early retry."""


@dataclass(slots=True)
class _Attempts:
    """Activations since the session last made progress."""

    head_seq: int
    count: int = 0


class Supervisor:
    """Activates and hibernates without anybody asking."""

    def __init__(self, store: Store, residency: Residency) -> None:
        self._store = store
        self._residency = residency
        self._bell = residency.freed
        self._reviving: set[str] = set()
        self._crowded = False
        self._attempts: dict[str, _Attempts] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self) -> None:
        """Begin."""
        self._spawn(self._supervise())
        self._spawn(self._hibernate_idle())
        self._spawn(Housekeeper(self._store, self._residency.limits.retention).go_round())

    def hint(self) -> None:
        """Some session may need an actor."""
        self._bell.set()

    def hear(self, hints: Sequence[Hint]) -> None:
        """The store's word of commits. A resident session sees to its own turns and timers, so nothing is due there."""
        for hint in hints:
            self._residency.heard(hint.journal_id, busy=hint.needs_actor)
        if any(hint.journal_id not in self._residency.placed for hint in hints):
            self._bell.set()

    async def close(self) -> None:
        """Stop."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _supervise(self) -> None:
        while True:
            delay = await self._look()
            try:
                async with asyncio.timeout(delay):
                    await self._bell.wait()
            except TimeoutError:
                continue
            self._bell.clear()

    async def _look(self) -> float:
        """Activate what is due; returns after how many seconds to look again."""
        try:
            # Those that are resident come first among those that run when they have done so for long.
            for row in await self._store.due(utc_now(), limit=DUE_AT_ONCE + len(self._residency.placed)):
                if len(self._reviving) >= REVIVE_AT_ONCE:
                    self._crowded = True
                    return RETRY_S
                self._revive(row)
            wake_at = await self._store.next_wake()
        except GreenroomError as exc:
            log.warning("supervision waits for the store: %s", exc)
            return 1.0
        except Exception:
            log.exception("supervision failed in its own code and goes on")
            return 1.0
        if wake_at is None:
            return SWEEP_S
        return min(max((wake_at - utc_now()).total_seconds(), RETRY_S), SWEEP_S)

    def _revive(self, row: Due) -> None:
        if row.journal_id in self._residency.placed or row.journal_id in self._reviving:
            return
        self._reviving.add(row.journal_id)
        self._spawn(self._activate(row))

    async def _ring_later(self) -> None:
        await asyncio.sleep(RETRY_S)
        self._bell.set()

    async def _activate(self, row: Due) -> None:
        """Activate one session; one that dies again and again without progress waits longer each time."""
        attempts = self._attempts.pop(row.journal_id, None)
        if attempts is None or attempts.head_seq != row.head_seq:
            attempts = _Attempts(row.head_seq)
        self._attempts[row.journal_id] = attempts
        while len(self._attempts) > MAX_REMEMBERED:
            del self._attempts[next(iter(self._attempts))]
        delay = min(RETRY_S * 2 ** min(attempts.count, MOST_DOUBLINGS), SWEEP_S) if attempts.count else 0.0
        attempts.count += not self._residency.suspects.excuse(row.journal_id)
        try:
            await asyncio.sleep(delay)
            if attempts.count > MAX_ACTIVATIONS:
                await self._contain(row)
            else:
                await self._residency.resolve(row.tenant, row.journal_id, busy=True)
                if row.journal_id not in self._residency.placed:
                    # It has ended by itself already; a look just now took it for one that is being activated.
                    self._spawn(self._ring_later())
        except Superseded as exc:
            self._residency.superseded(exc)
        except (SessionNotFound, Fenced):
            self._attempts.pop(row.journal_id, None)
        except GreenroomError as exc:
            if isinstance(exc, Overloaded | StoreUnavailable):
                # It had no chance to make progress, so it is not what stands in its own way.
                attempts.count -= 1
            log.warning("session %s could not be activated: %s", row.session_id, exc)
            self._spawn(self._ring_later())
        finally:
            self._reviving.discard(row.journal_id)
            if self._crowded and len(self._reviving) <= REVIVE_AT_ONCE // 2:
                # Half of them at a time: each look reads all that is due.
                self._crowded = False
                self._bell.set()

    async def _contain(self, row: Due) -> None:
        message = f"{MAX_ACTIVATIONS} activations in a row ended without progress; resume the session to try again"
        why = self._residency.suspects.why(row.journal_id)
        message = f"{message}; {why}" if why else message
        self._residency.suspects.clear(row.journal_id)
        log.error("session %s is taken out of service: %s", row.session_id, message)
        number = self._residency.next_number()
        await contain(self._store, row.tenant, row.journal_id, self._residency.term, number, message)
        self._attempts.pop(row.journal_id, None)

    async def _hibernate_idle(self) -> None:
        idle_s = self._residency.limits.idle_s
        while True:
            await asyncio.sleep(min(IDLE_CHECK_S, idle_s))
            now = asyncio.get_running_loop().time()
            for placement in list(self._residency.placed.values()):
                if placement.ready.done() and now - placement.used > idle_s:
                    placement.used = now
                    await self._residency.hibernate(placement.journal_id, idle_s=idle_s)

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work, context=contextvars.Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
