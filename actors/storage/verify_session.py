"""What must hold of one session's rows: its journal has no gaps and folds to its projection, and all it names is there.

Above is ``verify``, which gives a transaction in which nothing changes; below are the reads of a store and the core's
fold.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from pydantic import ValidationError
from sqlalchemy import ColumnElement, Connection, Table, func, select

from actors.domain.actions import Action
from actors.domain.journal import StoredRecord
from actors.domain.records import Record, decode_record
from actors.domain.session import SessionInfo
from actors.session.fold import apply
from actors.session.projection import blobs_of, project
from actors.session.state import SNAPSHOT_VERSION, State, from_snapshot, initial
from actors.storage import sql_journal
from actors.storage.rows import info_of
from actors.storage.schema import ACTIONS, BLOB_REFS, BLOBS, OUTBOX, PENDING, RECORDS, RESULTS, SESSIONS, SNAPSHOTS
from actors.storage.sql_reads import SqlReads, of_journal

_PAGE: Final = 1000

_FENCED: Final = frozenset({"epoch"})
"""Fields of the row that an activation changes without a record."""


class SessionCheck:
    """The check of one session.

    Args:
        reads: In the same transaction as the connection that ``findings`` is given.
    """

    def __init__(self, reads: SqlReads, tenant: str, journal_id: str) -> None:
        self.name = f"journal {journal_id} of {tenant}"
        self.records = 0
        self._reads = reads
        self._tenant = tenant
        self._journal_id = journal_id
        self._state: State = initial()
        self._last: StoredRecord | None = None
        self._snapshots: dict[int, tuple[int, bytes]] = {}

    def findings(self, connection: Connection) -> Iterator[str]:
        """What is wrong with it; a journal that cannot be read on is not looked at further."""
        found = connection.execute(select(SESSIONS).where(self._mine(SESSIONS))).one_or_none()
        if found is None:
            return  # It was destroyed since its name was read.
        try:
            row = info_of(found)
        except ValueError:
            self.name = f"session {found.session_id} of {self._tenant} ({self._journal_id})"
            yield "its row does not have the form that was written"
            return
        self.name = f"session {row.session_id} of {row.tenant} ({row.journal_id})"
        of = SNAPSHOTS.c
        query = select(of.seq, of.version, of.body).where(self._mine(SNAPSHOTS))
        self._snapshots = {seq: (version, bytes(body)) for seq, version, body in connection.execute(query)}
        broken = False
        for what in self._journal(connection, row):
            broken = True
            yield what
        if not broken:
            yield from self._row(row)
            yield from self._actions(connection)
        yield from self._causes(connection)
        yield from self._belongings(connection, row.head_seq)

    def _mine(self, table: Table) -> ColumnElement[bool]:
        return of_journal(table, self._tenant, self._journal_id)

    # --- the journal -----------------------------------------------------------------------------------------------

    def _journal(self, connection: Connection, row: SessionInfo) -> Iterator[str]:
        seq = 0
        while page := self._reads.records(self._tenant, self._journal_id, after=seq, limit=_PAGE):
            digests: set[str] = set()
            for stored in page:
                if stored.seq != seq + 1:
                    yield f"records {seq + 1} to {stored.seq - 1} are missing"
                    return
                seq = stored.seq
                record, wrong = self._record(stored)
                if record is None:
                    yield f"record {seq} {wrong}"
                    return
                digests |= blobs_of(record)
                yield from self._snapshot(seq)
                self.records += 1
            for digest in sorted(self._missing(connection, digests)):
                yield f"blob {digest} is missing"
        if seq != row.head_seq:
            yield f"its row says {row.head_seq} records, there are {seq}"

    def _record(self, stored: StoredRecord) -> tuple[Record | None, str]:
        """The record, folded into the state; or None and what is wrong with it."""
        try:
            record = decode_record(stored.body)
        except ValidationError:
            return None, "cannot be read"
        last, self._last = self._last, stored
        told = (record.seq, record.type, record.at, record.epoch, record.cause)
        if told != (stored.seq, stored.type, stored.at, stored.epoch, stored.cause):
            return None, "says something else than its columns"
        if last is not None and (stored.at < last.at or stored.epoch < last.epoch):
            return None, "is older than the one before it"
        try:
            self._state = apply(self._state, record)
        except Exception as error:
            return None, f"does not follow from the ones before it ({type(error).__name__})"
        return record, ""

    def _snapshot(self, seq: int) -> Iterator[str]:
        version, body = self._snapshots.pop(seq, (0, b""))
        if version != SNAPSHOT_VERSION:
            return  # There is none, or it is one of another release, which is not used.
        try:
            kept = from_snapshot(body)
        except ValidationError:
            yield f"the snapshot at {seq} cannot be read"
            return
        if _differing(kept, self._state):
            yield f"the snapshot at {seq} is not the fold of the records"

    def _missing(self, connection: Connection, digests: set[str]) -> set[str]:
        of = BLOBS.c
        sources = sql_journal.lineage(connection, self._tenant, self._journal_id) if digests else ()
        holders = [self._journal_id, *(one.source for one in sources)]
        query = (
            select(of.digest)
            .join(BLOB_REFS, (BLOB_REFS.c.tenant == of.tenant) & (BLOB_REFS.c.digest == of.digest))
            .where(BLOB_REFS.c.tenant == self._tenant, BLOB_REFS.c.journal_id.in_(holders))
        )
        return digests - set(connection.execute(query).scalars()) if digests else digests

    # --- what follows from it --------------------------------------------------------------------------------------

    def _row(self, row: SessionInfo) -> Iterator[str]:
        different = _differing(row, project(self._state))
        if different:
            yield f"its row is not the fold of its records: {', '.join(different)}"
        if self._last is not None and self._last.epoch > row.epoch:
            yield "its row has an older epoch than its last record"

    def _actions(self, connection: Connection) -> Iterator[str]:
        of = ACTIONS.c
        pending = {one.action_id: one for one in (*self._state.actions, *self._state.external_tasks)}
        for action_id, body in connection.execute(select(of.action_id, of.body).where(self._mine(ACTIONS), PENDING)):
            try:
                kept = Action.model_validate_json(bytes(body))
            except ValidationError:
                yield f"action {action_id} cannot be read"
                continue
            wanted = pending.pop(action_id, None)
            if wanted is None:
                yield f"action {action_id} is listed as pending and is not"
            elif kept != wanted:
                yield f"action {action_id} is listed otherwise than its records say"
        for action_id in pending:
            yield f"action {action_id} is pending and not listed"

    def _causes(self, connection: Connection) -> Iterator[str]:
        of = RECORDS.c
        claimed = select(of.cause).where(self._mine(RECORDS), of.digest.is_not(None))
        for (cause,) in connection.execute(claimed.group_by(of.cause).having(func.count() > 1)):
            yield f"command {cause} was carried out twice"

    def _belongings(self, connection: Connection, head_seq: int) -> Iterator[str]:
        for seq in self._snapshots:
            if seq > head_seq:
                yield f"the snapshot at {seq} is of a time to come"
        for (seq,) in connection.execute(select(OUTBOX.c.seq).where(self._mine(OUTBOX), OUTBOX.c.seq > head_seq)):
            yield f"message {seq} of its outbox follows from no record"
        results: Any = connection.execute(select(RESULTS.c.call_id).where(self._mine(RESULTS)))
        for (call_id,) in results:
            if not call_id.startswith(f"{self._journal_id}:"):
                yield f"the outcome of {call_id} is another session's"


def _differing(one: SessionInfo | State, other: SessionInfo | State) -> list[str]:
    """The fields in which two of a kind differ."""
    names = set(type(one).model_fields) - _FENCED
    return sorted(name for name in names if getattr(one, name) != getattr(other, name))
