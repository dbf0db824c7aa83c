"""Reads of one journal over SQL, of which another journal may hold the beginning.

Above are ``sql_reads`` and ``sql``; below are the tables. A fork's row in ``lineage`` says whose records are its own
first ones; most sessions have none, and are read without a look at that table.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from itertools import chain, islice
from typing import Any, Final

from sqlalchemy import ClauseElement, Connection, Integer, bindparam, func, insert, select

from actors.domain.journal import NewSession, Snapshot, StoredRecord
from actors.storage.prepared import Prepared
from actors.storage.rows import RECORD_COLUMNS, record_of
from actors.storage.rules import PAGE_BYTES, Segment, shared, within
from actors.storage.schema import LINEAGE, RECORDS, SESSIONS, SNAPSHOTS

_S: Final = SESSIONS.c
_R: Final = RECORDS.c
_N: Final = SNAPSHOTS.c
_L: Final = LINEAGE.c

_HEAD: Final = Prepared.always(
    select(_S.head_seq).where(_S.tenant == bindparam("of_tenant"), _S.journal_id == bindparam("of_journal"))
)


def _records(dialect: str) -> ClauseElement:
    mine = _R.tenant == bindparam("of_tenant"), _R.journal_id == bindparam("of_journal"), _R.seq > bindparam("after")
    page = select(*RECORD_COLUMNS).where(*mine).order_by(_R.seq).limit(bindparam("most", type_=Integer))
    if dialect != "postgresql":
        return page
    # Its driver takes an answer as a whole, so the server ends the page: behind the record that makes it large.
    size = func.octet_length(_R.body)
    before = (func.sum(size).over(order_by=_R.seq) - size).label("before")
    sized = page.add_columns(before).subquery()
    columns = [sized.c[column.name] for column in RECORD_COLUMNS]
    return select(*columns).where(sized.c.before < PAGE_BYTES).order_by(sized.c.seq)


_RECORDS: Final = Prepared(_records)
_SNAPSHOT: Final = Prepared.always(
    select(_N.seq, _N.version, _N.epoch, _N.body)
    .where(_N.tenant == bindparam("of_tenant"), _N.journal_id == bindparam("of_journal"), _N.seq <= bindparam("upto"))
    .order_by(_N.seq.desc())
    .limit(1)
)
_LINEAGE: Final = Prepared.always(
    select(_L.source_journal_id, _L.upto_seq)
    .where(_L.tenant == bindparam("of_tenant"), _L.journal_id == bindparam("of_journal"))
    .order_by(_L.upto_seq)
)
"""The reads that are asked all day are built once."""

_END: Final = 2**63 - 1
"""A place that no journal reaches."""


def lineage(connection: Connection, tenant: str, journal_id: str) -> list[Segment]:
    """Whose records a journal begins with, in their order; nothing when all are its own."""
    found = _LINEAGE.rows(connection, {"of_tenant": tenant, "of_journal": journal_id})
    return [Segment(source, upto) for source, upto in found]


def head(connection: Connection, tenant: str, journal_id: str) -> int | None:
    """The last record of a session's journal; None when there is no such session."""
    for (seq,) in _HEAD.rows(connection, {"of_tenant": tenant, "of_journal": journal_id}):
        return seq
    return None


def share(connection: Connection, new: NewSession) -> None:
    """Write down whose records a fork begins with."""
    if new.origin is None:
        return
    tenant, journal_id = new.row.tenant, new.row.journal_id
    segments = shared(lineage(connection, tenant, new.origin.journal_id), new.origin)
    values = [{"source_journal_id": one.source, "upto_seq": one.upto} for one in segments]
    connection.execute(insert(LINEAGE), [{"tenant": tenant, "journal_id": journal_id, **one} for one in values])


def records(connection: Connection, tenant: str, journal_id: str, after: int, limit: int) -> list[StoredRecord]:
    """Records with ``seq > after``, in order; at most ``limit`` and about 4 MiB."""
    own = _page(connection, _wanted(tenant, journal_id, after, limit))
    if not own or own[0].seq == after + 1:
        return own
    page: list[StoredRecord] = []
    for source, upto in lineage(connection, tenant, journal_id):
        most = min(limit - len(page), upto - after)
        if most > 0:
            page += _page(connection, _wanted(tenant, source, after, most))
            after = page[-1].seq if page else after
            if after < upto:
                break
    else:
        page = list(islice(chain(page, own), limit))
    return list(within(page, lambda record: len(record.body)))


def snapshot(connection: Connection, tenant: str, journal_id: str, upto: int | None) -> Snapshot | None:
    """The newest snapshot with ``seq <= upto``, of the journal or of one that it begins with."""
    last = _END if upto is None else upto
    found = _snapshot(connection, tenant, journal_id, last)
    if found is None:
        for source, end in reversed(lineage(connection, tenant, journal_id)):
            found = found or _snapshot(connection, tenant, source, min(end, last))
    return found


def _snapshot(connection: Connection, tenant: str, journal_id: str, upto: int) -> Snapshot | None:
    for seq, version, epoch, body in _SNAPSHOT.rows(
        connection, {"of_tenant": tenant, "of_journal": journal_id, "upto": upto}
    ):
        return Snapshot(seq, version, epoch, bytes(body))
    return None


def _wanted(tenant: str, journal_id: str, after: int, most: int) -> Mapping[str, Any]:
    return {"of_tenant": tenant, "of_journal": journal_id, "after": after, "most": most}


def _page(connection: Connection, wanted: Mapping[str, Any]) -> list[StoredRecord]:
    page: list[StoredRecord] = []
    size = 0
    with closing(_RECORDS.each(connection, wanted)) as rows:
        for row in rows:
            page.append(record_of(row))
            size += len(page[-1].body)
            if size >= PAGE_BYTES:
                break
    return page
