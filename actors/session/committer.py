"""A session's writes: appends that are tried until the store says yes or no, and snapshots.

Between the driver, which has at most one append at a time, and the store.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator

from actors import faults
from actors.domain import records as r
from actors.domain.calls import Outcome
from actors.domain.ids import new_ulid
from actors.domain.journal import Appended, AppendPart, Snapshot
from actors.errors import Fenced, GreenroomError, SessionNotFound, StoreUnavailable, TransportLost
from actors.faults import Point
from actors.session.loading import Recovered
from actors.session.patience import answer_of
from actors.session.plan import Plan
from actors.session.ports import Store
from actors.session.projection import changed_actions, project, stored
from actors.session.state import SNAPSHOT_VERSION, State, to_snapshot

log = logging.getLogger(__name__)

SNAPSHOT_EVERY = 200
"""Records after which a resident session writes a snapshot: bounds what an activation has to fold."""

SNAPSHOT_AT_RELEASE = 100
"""Records since the last snapshot above which a session that is released writes one."""

ACKNOWLEDGE_WITHIN_S = 2.0
"""How long inputs wait for a store that refuses before they get StoreUnavailable."""

ANSWER_WITHIN_S = 10.0
"""The same for a store that says nothing, as when its disk hangs: on a machine that is busy, seconds mean nothing."""

RETRY_FIRST_S, RETRY_MAX_S = 0.05, 2.0
"""Bounds of the back-off between attempts of one append."""


class Committer:
    """Writes one session's journal under one epoch.

    Args:
        recovered: What the activation begins with; what is of no use in it goes with the first append.
        slow: Called once when an append takes too long, with the plan that waits.
    """

    def __init__(
        self,
        store: Store,
        epoch: int,
        recovered: Recovered,
        *,
        slow: Callable[[Plan], None],
    ) -> None:
        self._store = store
        self._epoch = epoch
        self._snapshot_seq = recovered.snapshot_seq
        self._slow = slow
        self._useless = recovered.useless
        self.down = False

    def part_of(self, made: Plan) -> AppendPart:
        """What a plan has the store append."""
        return part_of(made, self._epoch, self._useless)

    async def commit(self, made: Plan, part: AppendPart) -> Appended:
        """Append until the store says yes or no. Whoever waits is told when it takes long; the append goes on.

        Raises:
            Fenced, CommandConflict, SessionNotFound, SessionExists: refused; nothing was written.
        """
        hanging = asyncio.get_running_loop().call_later(ANSWER_WITHIN_S, self._is_late, made, "it does not answer")
        try:
            return await self._until_answered(made, part)
        finally:
            hanging.cancel()
            self.down = False

    async def confirm(self, state: State) -> None:
        """Return when no later activation has taken the journal: for answers that write nothing, and so prove nothing.

        Raises:
            Fenced, SessionNotFound: this activation does not count any more.
            StoreUnavailable, TransportLost: nobody can say.
        """
        row = await self._store.row(state.tenant, state.journal_id)
        if row is None:
            raise SessionNotFound(state.session_id)
        if row.epoch != self._epoch:
            raise Fenced(state.journal_id, self._epoch, row.epoch)

    async def _until_answered(self, made: Plan, part: AppendPart) -> Appended:
        delay = RETRY_FIRST_S
        began = asyncio.get_running_loop().time()
        while True:
            try:
                faults.hit(Point.commit_before)
                appended = await answer_of(self._store.append(part), "the store")
                faults.hit(Point.commit_after)
                self._useless = ()
                return appended
            except (StoreUnavailable, TransportLost) as exc:
                if asyncio.get_running_loop().time() - began > ACKNOWLEDGE_WITHIN_S:
                    self._is_late(made, exc)
            await asyncio.sleep(delay)
            delay = min(delay * 2, RETRY_MAX_S)

    def _is_late(self, made: Plan, why: object) -> None:
        if not self.down:
            log.warning("session %s: the store does not take its records: %s", made.state.session_id, why)
            self.down = True
            self._slow(made)

    def wants_snapshot(self, seq: int) -> bool:
        """Whether so many records follow the newest snapshot that one is due while the session is resident."""
        return seq - self._snapshot_seq >= SNAPSHOT_EVERY

    async def snapshot(self, state: State, *, threshold: int = SNAPSHOT_AT_RELEASE) -> None:
        """Write a snapshot when more than ``threshold`` records follow the newest; failing to is no failure."""
        if state.seq - self._snapshot_seq < threshold:
            return
        before, self._snapshot_seq = self._snapshot_seq, state.seq
        body = await asyncio.to_thread(to_snapshot, state)
        snapshot = Snapshot(seq=state.seq, version=SNAPSHOT_VERSION, epoch=self._epoch, body=body)
        try:
            faults.hit(Point.snapshot_before)
            await self._store.put_snapshot(state.tenant, state.journal_id, snapshot)
            faults.hit(Point.snapshot_after)
        except GreenroomError as exc:
            self._snapshot_seq = before
            log.info("no snapshot of %s: %s", state.session_id, exc)


def part_of(made: Plan, epoch: int, useless: tuple[tuple[str, int], ...] = ()) -> AppendPart:
    """What a plan has the store append. ``useless``: attempts of which nothing needs to be kept any longer."""
    return AppendPart(
        tenant=made.state.tenant,
        journal_id=made.state.journal_id,
        epoch=epoch,
        expected_seq=made.before.seq,
        batch_id=new_ulid(),
        records=tuple(stored(record, made.digests.get(record.seq)) for record in made.records),
        row=project(made.state),
        actions=changed_actions(made.before, tuple(made.records), made.state),
        outbox=tuple(made.outbox),
        blobs=made.blobs,
        creations=tuple(made.creations),
        settled=(*useless, *(key for record in made.records for key in _settled(record))),
    )


def _settled(record: r.Record) -> Iterator[tuple[str, int]]:
    """The attempt of which everything is known with this record."""
    ends = isinstance(
        record, r.ModelCallCompleted | r.ModelCallFailed | r.ToolCallHeld | r.ToolCallLate | r.CommandRetried
    )
    if ends or (isinstance(record, r.ToolCallCompleted) and record.data.outcome is not Outcome.unknown):
        yield record.data.call_id, record.data.attempt
