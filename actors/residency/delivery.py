"""Carries what sessions tell each other from the store to their receivers, which are activated for it.

Above is ``upkeep``, which tells it of commits by ``hear``. A message is a row that its sender's append left in the
store. It is handed over at least once, and forgotten after the receiver has committed what it says; a receiver applies
it once, since the row's name is the cause of its record. Each receiver is served by itself: one that cannot be reached
is tried again ever less often, and holds nobody else up.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Coroutine, Sequence
from enum import Enum, auto
from typing import Any

from actors import faults
from actors.domain.journal import Letter
from actors.domain.session import SessionState
from actors.errors import GreenroomError, InternalError, NotHere, Overloaded, SessionNotFound
from actors.faults import Point
from actors.residency.residency import Residency
from actors.session import patience
from actors.session.patience import answer_of
from actors.session.ports import Store
from actors.storage.watch import Hint

log = logging.getLogger(__name__)

SWEEP_S = 30.0
"""Safety net: how often the store is asked for messages that nobody was told about."""

AT_ONCE = 32
"""Receivers that are served at the same time; each may have to wait for a session actor."""

PAGE = 100
"""Messages that are handed to one receiver at a time: it takes them in one append."""

RETRY_FIRST_S, RETRY_MAX_S = 0.1, 30.0
"""Bounds of the back-off of one receiver."""

MAX_MOVES = 8
"""How often a receiver may move, or hibernate again, between being found and being given its messages."""

MAX_ASKED = 10_000
"""Receivers that may be waiting to be served; the next look at the store finds what is over that."""

Receiver = tuple[str, str]
"""Tenant and journal id."""


class _Then(Enum):
    """What follows an attempt."""

    done = auto()
    more = auto()
    """More may wait."""

    later = auto()
    """It failed; the next attempt waits longer."""

    in_line = auto()
    """There was no room for the receiver, which stands in line again at once: it is not what failed."""


class Delivery:
    """Delivers without anybody asking."""

    def __init__(self, store: Store, residency: Residency) -> None:
        self._store = store
        self._residency = residency
        self._bell = asyncio.Event()
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._serving: set[Receiver] = set()
        self._again: set[Receiver] = set()
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self) -> None:
        """Begin with what waits from before."""
        self._spawn(self._sweep())

    def look(self) -> None:
        """Somebody may have left messages."""
        self._bell.set()

    def hear(self, hints: Sequence[Hint]) -> None:
        """The store's word of commits."""
        for hint in hints:
            for journal_id in hint.mail:
                self._want((hint.tenant, journal_id))

    async def close(self) -> None:
        """Stop; what was not delivered waits in the store."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _sweep(self) -> None:
        while True:
            self._bell.clear()
            after: Receiver | None = None
            try:
                while page := await self._store.receivers(after=after):
                    for receiver in page:
                        self._want(receiver)
                    after = page[-1]
            except GreenroomError as exc:
                log.warning("delivery waits for the store: %s", exc)
            try:
                async with asyncio.timeout(SWEEP_S):
                    await self._bell.wait()
            except TimeoutError:
                continue

    def _want(self, receiver: Receiver) -> None:
        if receiver in self._serving:
            self._again.add(receiver)
        elif len(self._serving) < MAX_ASKED:
            self._serving.add(receiver)
            self._spawn(self._serve(receiver))

    async def _serve(self, receiver: Receiver) -> None:
        """Hand over what waits until nothing does; after a failure later and later."""
        delay = 0.0
        try:
            while True:
                self._again.discard(receiver)
                async with self._slots:
                    then = await self._tried(receiver, doubtful=delay > 0)
                if then is _Then.later:
                    delay = min(max(delay * 2, RETRY_FIRST_S), RETRY_MAX_S)
                    await asyncio.sleep(delay)
                elif then is _Then.in_line:
                    await asyncio.sleep(RETRY_FIRST_S)
                elif then is _Then.more or receiver in self._again:
                    delay = 0.0
                else:
                    return
        finally:
            self._serving.discard(receiver)

    async def _tried(self, receiver: Receiver, *, doubtful: bool) -> _Then:
        try:
            if doubtful and await self._out_of_service(receiver):
                return _Then.later
            return await self._hand_over(receiver)
        except Overloaded as exc:
            log.info("session %s gets its messages once there is room: %s", receiver[1], exc)
            return _Then.in_line
        except GreenroomError as exc:
            log.info("session %s gets its messages later: %s", receiver[1], exc)
        except Exception:
            log.exception("session %s gets its messages later", receiver[1])
        return _Then.later

    async def _out_of_service(self, receiver: Receiver) -> bool:
        """Whether a receiver that failed is one that supervision has given up: activating it may kill its actor."""
        row = await self._store.row(*receiver)
        return row is not None and row.state is SessionState.error

    async def _hand_over(self, receiver: Receiver) -> _Then:
        letters = await self._store.letters(*receiver, limit=PAGE)
        if not letters:
            return _Then.done
        faults.hit(Point.deliver_before)
        outcomes = await self._given(receiver, letters)
        faults.hit(Point.deliver_after)
        done: list[tuple[str, str, int]] = []
        for letter, outcome in zip(letters, outcomes, strict=True):
            if outcome is not None and (outcome.retryable or isinstance(outcome, NotHere | InternalError)):
                # A defect says nothing of the message: its receiver may take it once it is activated anew.
                continue
            if outcome is not None and not isinstance(outcome, SessionNotFound):
                log.error("message %s:%s is dropped: %s", letter.journal_id, letter.seq, outcome)
            done.append((letter.tenant, letter.journal_id, letter.seq))
        if done:
            await self._store.delivered(done)
        if len(done) < len(letters):
            return _Then.later
        return _Then.more if len(letters) == PAGE else _Then.done

    async def _given(self, receiver: Receiver, letters: Sequence[Letter]) -> Sequence[GreenroomError | None]:
        """What came of each message: None when the receiver has committed it, now or before."""
        stale = 0
        bodies = [letter.body for letter in letters]
        for _ in range(MAX_MOVES):
            try:
                placement = await self._residency.resolve(*receiver, stale=stale)
                asked = placement.seat.deliver(receiver[1], placement.assignment_no, bodies)
                return await answer_of(asked, placement.seat.seat_id, within_s=patience.SEAT_S)
            except SessionNotFound as gone:
                return [gone] * len(letters)
            except NotHere as moved:
                stale = max(stale, moved.assignment_no)
        raise NotHere(receiver[1], stale)

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.get_running_loop().create_task(work, context=contextvars.Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
