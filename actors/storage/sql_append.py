"""Epochs and appends over SQL: a look at the journals concerned, a decision for each part, one insert per table.

Above is ``sql``, which gives a connection whose transaction holds the write lock, so that nothing changes between the
look and the inserts; below are ``rules`` (who decides), ``rows`` (columns) and ``prepared`` (statements).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from sqlalchemy import ClauseElement, Connection, Table, bindparam, delete, insert, select, union_all, update
from sqlalchemy.dialects import postgresql, sqlite

from actors.domain.journal import Acquired, Appended, AppendPart, NewSession, OutboxRow, Refused
from actors.errors import Fenced, SessionNotFound, Superseded
from actors.storage import sql_results
from actors.storage.prepared import Prepared
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
from actors.storage.schema import ACTIONS, BLOB_REFS, BLOBS, CLAIMED, META, OUTBOX, RECORDS, SESSIONS

Key = tuple[str, str]
"""Tenant and journal id."""

_S: Final = SESSIONS.c
_R: Final = RECORDS.c


def _insert(table: Table) -> Prepared:
    return Prepared.always(insert(table).values({column.name: bindparam(column.name) for column in table.c}))


def _upsert(table: Table, *, replace: bool) -> Prepared:
    """Insert a row; where the primary key exists, replace the other columns or leave the row alone."""

    def build(dialect: str) -> ClauseElement:
        make = postgresql.insert if dialect == "postgresql" else sqlite.insert
        statement = make(table).values({column.name: bindparam(column.name) for column in table.c})
        key = list(table.primary_key)
        if not replace:
            return statement.on_conflict_do_nothing(index_elements=key)
        others = {column.name: statement.excluded[column.name] for column in table.c if not column.primary_key}
        return statement.on_conflict_do_update(index_elements=key, set_=others)

    return Prepared(build)


_HEAD: Final = Prepared.always(
    select(_S.epoch, _S.head_seq, _S.batch_id, _S.batch_from).where(
        _S.tenant == bindparam("of_tenant"), _S.journal_id == bindparam("of_journal")
    )
)
_IS_CLAIMED: Final = Prepared.always(
    select(_R.seq).where(
        _R.tenant == bindparam("of_tenant"),
        _R.journal_id == bindparam("of_journal"),
        _R.cause == bindparam("of_cause"),
        CLAIMED,
    )
)
_NAMES: Final = select(_S.session_id, _S.journal_id).where(_S.tenant == bindparam("of_tenant"))
_TAKEN: Final = Prepared.always(
    # Two looks, each at an index of its own.
    union_all(_NAMES.where(_S.session_key == bindparam("key")), _NAMES.where(_S.journal_id == bindparam("of_journal")))
)
_PROJECT: Final = Prepared.always(
    update(SESSIONS)
    .where(_S.tenant == bindparam("of_tenant"), _S.journal_id == bindparam("of_journal"))
    .values({name: bindparam(name) for name in (*PROJECTION, "head_seq", "batch_id", "batch_from")})
)
_TERM: Final = Prepared.always(select(META.c.term))
_FENCE: Final = Prepared.always(
    select(_S.epoch, _S.head_seq, _S.term, _S.assignment_no).where(
        _S.tenant == bindparam("of_tenant"), _S.journal_id == bindparam("of_journal")
    )
)
_TAKE_EPOCH: Final = Prepared.always(
    update(SESSIONS)
    .where(_S.tenant == bindparam("of_tenant"), _S.journal_id == bindparam("of_journal"))
    .values({name: bindparam(name) for name in ("epoch", "term", "assignment_no")})
)
_INSERT_SESSION: Final = _insert(SESSIONS)
_INSERT_RECORD: Final = _insert(RECORDS)
_INSERT_OUTBOX: Final = _insert(OUTBOX)
_FORGET_LETTER: Final = Prepared.always(
    delete(OUTBOX).where(
        OUTBOX.c.tenant == bindparam("of_tenant"),
        OUTBOX.c.journal_id == bindparam("of_journal"),
        OUTBOX.c.seq == bindparam("of_seq"),
    )
)
_UPSERT_ACTION: Final = _upsert(ACTIONS, replace=True)
_KEEP_BLOB: Final = _upsert(BLOBS, replace=False)
_KEEP_REF: Final = _upsert(BLOB_REFS, replace=False)


def taken_names(connection: Connection, tenant: str, sessions: Iterable[NewSession]) -> set[str]:
    """The names in use among those that new sessions want."""
    wanted = [
        {"of_tenant": tenant, "key": session_key(new.row.session_id), "of_journal": new.row.journal_id}
        for new in sessions
    ]
    taken: set[str] = set()
    for found in _TAKEN.answers(connection, wanted):
        for session_id, journal_id in found:
            taken |= names(session_id, journal_id)
    return taken


def insert_sessions(connection: Connection, sessions: Sequence[NewSession]) -> None:
    """Write new sessions with their first records."""
    _INSERT_SESSION.run(connection, [session_values(new.row, _first_head(new)) for new in sessions])
    records = [record_values(new.row.tenant, new.row.journal_id, record) for new in sessions for record in new.records]
    _INSERT_RECORD.run(connection, records)
    for new in sessions:
        _keep_blobs(connection, new.row.tenant, new.row.journal_id, new.blobs)


def acquire(connection: Connection, tenant: str, journal_id: str, term: int, assignment_no: int) -> Acquired:
    """See ``Backend.acquire``."""
    mine = {"of_tenant": tenant, "of_journal": journal_id}
    ((store_term,),) = _TERM.rows(connection, {})
    found = _FENCE.rows(connection, mine)
    if not found:
        raise SessionNotFound(journal_id)
    epoch, head_seq, last_term, last_no = found[0]
    if term < store_term:
        raise Superseded(term, store_term)
    if (term, assignment_no) < (last_term, last_no):
        raise Fenced(journal_id, assignment_no, last_no)
    taken = {"epoch": epoch + 1, "term": term, "assignment_no": assignment_no}
    _TAKE_EPOCH.run(connection, [mine | taken])
    return Acquired(epoch + 1, head_seq)


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
        self._look_at_heads(connection, parts)
        self._look_at_claims(connection, parts)
        for part in parts:
            self._taken[part.tenant] |= taken_names(connection, part.tenant, part.creations)

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

    def _look_at_heads(self, connection: Connection, parts: Sequence[AppendPart]) -> None:
        keys = list(dict.fromkeys((part.tenant, part.journal_id) for part in parts))
        asked = [{"of_tenant": tenant, "of_journal": journal_id} for tenant, journal_id in keys]
        for key, found in zip(keys, _HEAD.answers(connection, asked), strict=True):
            for row in found:
                self._heads[key] = Head(*row)

    def _look_at_claims(self, connection: Connection, parts: Sequence[AppendPart]) -> None:
        claimed = [(part.tenant, part.journal_id, claim) for part in parts for claim in claims(part)]
        asked = [{"of_tenant": one[0], "of_journal": one[1], "of_cause": one[2]} for one in claimed]
        for (tenant, journal_id, claim), found in zip(claimed, _IS_CLAIMED.answers(connection, asked), strict=True):
            if found:
                self._used[tenant, journal_id].add(claim)


def _first_head(new: NewSession) -> Head:
    return Head(new.row.epoch, new.records[-1].seq)


def _write(connection: Connection, parts: Sequence[AppendPart]) -> None:
    # Births first: a part of a child may stand behind its birth in the same batch.
    insert_sessions(connection, [new for part in parts for new in part.creations])
    records = [record_values(part.tenant, part.journal_id, record) for part in parts for record in part.records]
    _INSERT_RECORD.run(connection, records)
    _PROJECT.run(connection, [_projected(part) for part in parts])
    post(connection, [(part.tenant, part.journal_id, row) for part in parts for row in part.outbox])
    actions = [action_values(part.tenant, part.journal_id, action) for part in parts for action in part.actions]
    _UPSERT_ACTION.run(connection, actions)
    sql_results.forget(connection, [(part.tenant, part.journal_id, *one) for part in parts for one in part.settled])
    for part in parts:
        _keep_blobs(connection, part.tenant, part.journal_id, part.blobs)


def _projected(part: AppendPart) -> Values:
    return projection_values(part.row) | {
        "of_tenant": part.tenant,
        "of_journal": part.journal_id,
        "head_seq": part.expected_seq + len(part.records),
        "batch_id": part.batch_id,
        "batch_from": part.expected_seq,
    }


def post(connection: Connection, letters: Sequence[tuple[str, str, OutboxRow]]) -> None:
    """Write messages (tenant, sender, row), and hold what they refer to for their receivers."""
    addressed = [(tenant, sender, _to_the_living(connection, tenant, row)) for tenant, sender, row in letters]
    _INSERT_OUTBOX.run(connection, [outbox_values(*letter) for letter in addressed])
    for tenant, _, row in letters:
        receiver = {"of_tenant": tenant, "of_journal": row.target_journal_id}
        if row.blobs and _HEAD.rows(connection, receiver):
            _hold(connection, tenant, row.target_journal_id, row.blobs)


def _to_the_living(connection: Connection, tenant: str, row: OutboxRow) -> OutboxRow:
    if not row.heirs:
        return row
    return replace(row, target_journal_id=living(connection, tenant, (row.target_journal_id, *row.heirs)))


def living(connection: Connection, tenant: str, journals: Sequence[str]) -> str:
    """The first of these that exists; the first when none does."""
    there = (one for one in journals if _HEAD.rows(connection, {"of_tenant": tenant, "of_journal": one}))
    return next(there, journals[0])


def has_taken(connection: Connection, tenant: str, journal_id: str, command_id: str) -> bool:
    """Whether a journal has the records of this command."""
    wanted = {"of_tenant": tenant, "of_journal": journal_id, "of_cause": command_id}
    return bool(_IS_CLAIMED.rows(connection, wanted))


def forget_letters(connection: Connection, letters: Sequence[tuple[str, str, int]]) -> None:
    """Remove messages (tenant, sender, seq)."""
    keys = [{"of_tenant": tenant, "of_journal": journal_id, "of_seq": seq} for tenant, journal_id, seq in letters]
    _FORGET_LETTER.run(connection, keys)


def _keep_blobs(connection: Connection, tenant: str, journal_id: str, blobs: Mapping[str, bytes]) -> None:
    if blobs:
        _KEEP_BLOB.run(connection, [{"tenant": tenant, "digest": name, "body": body} for name, body in blobs.items()])
        _hold(connection, tenant, journal_id, blobs)


def _hold(connection: Connection, tenant: str, journal_id: str, digests: Iterable[str]) -> None:
    refs = [{"tenant": tenant, "digest": digest, "journal_id": journal_id} for digest in digests]
    _KEEP_REF.run(connection, refs)
