"""Appends over SQL: one look at all journals concerned, a decision for each part, one insert per table for all parts.

Above is ``sql``, which gives a connection whose transaction holds the write lock, so that nothing changes between the
look and the inserts; below are ``rules`` (who decides) and ``rows`` (columns).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Table, bindparam, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from actors.domain.journal import Appended, AppendPart, NewSession, Refused
from actors.storage.rows import (
    PROJECTION,
    Values,
    action_values,
    outbox_values,
    projection_values,
    record_values,
    session_values,
)
from actors.storage.rules import Head, claims, judge, names, session_key
from actors.storage.schema import ACTIONS, BLOB_REFS, BLOBS, CLAIMED, OUTBOX, RECORDS, SESSIONS

_CHUNK: Final = 500
"""Values in one list of a query: SQLite takes 32,766 parameters, and short lists keep statements in the caches."""

_PAIRS: Final = 16
"""Claims looked up at a time. Two lists are looked up crosswise, 256 probes of the index; a list of pairs would be one
probe each in PostgreSQL, but SQLite reads every claim of the tenant for it."""

Key = tuple[str, str]
"""Tenant and journal id."""

_S: Final = SESSIONS.c
_R: Final = RECORDS.c

_HEADS: Final = select(_S.journal_id, _S.epoch, _S.head_seq, _S.batch_id, _S.batch_from).where(
    _S.tenant == bindparam("of_tenant"), _S.journal_id.in_(bindparam("journals", expanding=True))
)
_CLAIMED: Final = select(_R.journal_id, _R.cause).where(
    _R.tenant == bindparam("of_tenant"),
    _R.journal_id.in_(bindparam("journals", expanding=True)),
    _R.cause.in_(bindparam("causes", expanding=True)),
    CLAIMED,
)
_TAKEN: Final = select(_S.session_id, _S.journal_id).where(
    _S.tenant == bindparam("of_tenant"),
    or_(
        _S.session_key.in_(bindparam("keys", expanding=True)),
        _S.journal_id.in_(bindparam("journals", expanding=True)),
    ),
)
_PROJECT: Final = (
    update(SESSIONS)
    .where(_S.tenant == bindparam("of_tenant"), _S.journal_id == bindparam("of_journal"))
    .values({name: bindparam(name) for name in (*PROJECTION, "head_seq", "batch_id", "batch_from")})
)
_INSERT_SESSION: Final = insert(SESSIONS)
_INSERT_RECORD: Final = insert(RECORDS)
_INSERT_OUTBOX: Final = insert(OUTBOX)


def upsert(connection: Connection, table: Table, rows: Sequence[Values], *, replace: bool) -> None:
    """Insert rows; where the primary key exists, replace the other columns or leave the row alone."""
    if not rows:
        return
    make = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    statement = make(table)
    if replace:
        others = {column.name: statement.excluded[column.name] for column in table.c if not column.primary_key}
        statement = statement.on_conflict_do_update(index_elements=list(table.primary_key), set_=others)
    else:
        statement = statement.on_conflict_do_nothing(index_elements=list(table.primary_key))
    connection.execute(statement, rows)


def taken_names(connection: Connection, tenant: str, sessions: Iterable[NewSession]) -> set[str]:
    """The names in use among those that new sessions want."""
    taken: set[str] = set()
    for chunk in _chunks([(session_key(new.row.session_id), new.row.journal_id) for new in sessions]):
        keys, journals = zip(*chunk, strict=True)
        wanted = {"of_tenant": tenant, "keys": keys, "journals": journals}
        for session_id, journal_id in connection.execute(_TAKEN, wanted):
            taken |= names(session_id, journal_id)
    return taken


def insert_sessions(connection: Connection, sessions: Sequence[NewSession]) -> None:
    """Write new sessions with their first records."""
    if not sessions:
        return
    connection.execute(_INSERT_SESSION, [session_values(new.row, _first_head(new)) for new in sessions])
    records = [record_values(new.row.tenant, new.row.journal_id, new.first) for new in sessions]
    connection.execute(_INSERT_RECORD, records)


def append(connection: Connection, parts: Sequence[AppendPart]) -> list[Appended | Refused]:
    """Decide about each part and write those that are taken."""
    seen = _Seen(connection, parts)
    answers: list[Appended | Refused] = []
    accepted: list[AppendPart] = []
    for part in parts:
        answer = seen.judge(part)
        if answer is None:
            answer = Appended(seen.accept(part))
            accepted.append(part)
        answers.append(answer)
    _write(connection, accepted)
    return answers


class _Seen:
    """What the store holds of everything that some parts touch, kept up to date as parts are accepted."""

    def __init__(self, connection: Connection, parts: Sequence[AppendPart]) -> None:
        self._heads: dict[Key, Head] = {}
        self._used: defaultdict[Key, set[str]] = defaultdict(set)
        self._taken: defaultdict[str, set[str]] = defaultdict(set)
        by_tenant: defaultdict[str, list[AppendPart]] = defaultdict(list)
        for part in parts:
            by_tenant[part.tenant].append(part)
        for tenant, own in by_tenant.items():
            self._read(connection, tenant, own)

    def judge(self, part: AppendPart) -> Appended | Refused | None:
        key = (part.tenant, part.journal_id)
        return judge(part, self._heads.get(key), self._used[key], self._taken[part.tenant])

    def accept(self, part: AppendPart) -> int:
        key = (part.tenant, part.journal_id)
        self._heads[key] = self._heads[key].after(part)
        self._used[key].update(claims(part))
        for new in part.creations:
            self._heads[part.tenant, new.row.journal_id] = _first_head(new)
            self._taken[part.tenant] |= names(new.row.session_id, new.row.journal_id)
        return self._heads[key].seq

    def _read(self, connection: Connection, tenant: str, parts: Sequence[AppendPart]) -> None:
        for journals in _chunks(list({part.journal_id for part in parts})):
            for row in connection.execute(_HEADS, {"of_tenant": tenant, "journals": journals}):
                journal_id, epoch, seq, batch_id, batch_from = row
                self._heads[tenant, journal_id] = Head(epoch, seq, batch_id, batch_from)
        claimed = [(part.journal_id, claim) for part in parts for claim in claims(part)]
        for chunk in _chunks(claimed, _PAIRS):
            journals, causes = zip(*chunk, strict=True)
            wanted = {"of_tenant": tenant, "journals": journals, "causes": causes}
            for journal_id, cause in connection.execute(_CLAIMED, wanted):
                self._used[tenant, journal_id].add(cause)
        self._taken[tenant] = taken_names(connection, tenant, [new for part in parts for new in part.creations])


def _first_head(new: NewSession) -> Head:
    return Head(new.row.epoch, new.first.seq)


def _chunks(values: Sequence[Any], size: int = _CHUNK) -> Iterator[Sequence[Any]]:
    return (values[start : start + size] for start in range(0, len(values), size))


def _write(connection: Connection, parts: Sequence[AppendPart]) -> None:
    if not parts:
        return
    # Births first: a part of a child may stand behind its birth in the same batch.
    insert_sessions(connection, [new for part in parts for new in part.creations])
    records = [record_values(part.tenant, part.journal_id, record) for part in parts for record in part.records]
    if records:
        connection.execute(_INSERT_RECORD, records)
    connection.execute(_PROJECT, [_projected(part) for part in parts])
    outbox = [outbox_values(part.tenant, part.journal_id, row) for part in parts for row in part.outbox]
    if outbox:
        connection.execute(_INSERT_OUTBOX, outbox)
    actions = [action_values(part.tenant, part.journal_id, action) for part in parts for action in part.actions]
    upsert(connection, ACTIONS, actions, replace=True)
    _write_blobs(connection, parts)


def _projected(part: AppendPart) -> Values:
    return projection_values(part.row) | {
        "of_tenant": part.tenant,
        "of_journal": part.journal_id,
        "head_seq": part.expected_seq + len(part.records),
        "batch_id": part.batch_id,
        "batch_from": part.expected_seq,
    }


def _write_blobs(connection: Connection, parts: Sequence[AppendPart]) -> None:
    blobs = [(part, digest, body) for part in parts for digest, body in part.blobs.items()]
    rows = [{"tenant": part.tenant, "digest": digest, "body": body} for part, digest, body in blobs]
    refs = [{"tenant": part.tenant, "digest": digest, "journal_id": part.journal_id} for part, digest, _ in blobs]
    upsert(connection, BLOBS, rows, replace=False)
    upsert(connection, BLOB_REFS, refs, replace=False)
