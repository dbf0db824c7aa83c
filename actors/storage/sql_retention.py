"""What a SQL store forgets: a session with all its rows, and what nothing refers to any more, a little at a time.

Above is ``sql``, which gives a connection in a transaction; below are the tables.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    Text,
    cast,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    tuple_,
    update,
)

from actors.domain.ids import letter_id
from actors.domain.retention import Retention
from actors.domain.session import SessionInfo
from actors.storage import sql_append, sql_journal, sql_results
from actors.storage.moments import micros
from actors.storage.rules import COMMAND_MEMORY, heirs_of, is_heritable, last_messages
from actors.storage.schema import (
    ACTIONS,
    BELONGINGS,
    BLOB_REFS,
    BLOBS,
    COMMANDS,
    ERASED,
    EXPIRES,
    LINEAGE,
    OUTBOX,
    PENDING,
    RECORDS,
    SESSIONS,
)
from actors.storage.sql_reads import of_journal

Key = tuple[str, str]
"""Tenant and journal id."""

AT_ONCE: Final = 1000
"""Records that are removed with their session: some 10 ms in which nobody else writes."""

_BLOB_COST: Final = 10
"""A blob is a chain of pages: removing one of average size takes as long as removing so many records."""

_LONG: Final = (RECORDS, BLOB_REFS)
"""The tables in which a session may have any number of rows."""

_S: Final = SESSIONS.c


def erase(connection: Connection, row: SessionInfo) -> None:
    """Remove a session, and the blobs that only it held. What it told others is still delivered.

    Of a long one, only the session itself goes at once, and all that is found without it; ``purge`` does the rest.
    """
    tenant, journal_id = row.tenant, row.journal_id
    _pass_on(connection, row)
    sources = [one.source for one in sql_journal.lineage(connection, tenant, journal_id)]
    for table in (SESSIONS, *BELONGINGS):
        if table not in _LONG:
            connection.execute(delete(table).where(of_journal(table, tenant, journal_id)))
    connection.execute(insert(ERASED).values(tenant=tenant, journal_id=journal_id))
    going = [source for source in sources if _let_go(connection, (tenant, source))]
    left = AT_ONCE
    for name in (journal_id, *going):
        left -= _erase_some(connection, (tenant, name), left) if left > 0 else 0
    told_it = (OUTBOX.c.tenant == tenant) & (OUTBOX.c.target_journal_id == journal_id)
    connection.execute(delete(OUTBOX).where(told_it))
    sql_append.post(connection, [(tenant, journal_id, last) for last in last_messages(row)])


def _pass_on(connection: Connection, row: SessionInfo) -> None:
    """What was on its way back to the session, and did not reach it, goes to the one above it that is left."""
    of, heirs = OUTBOX.c, heirs_of(row)
    if not heirs:
        return
    told_it = (of.tenant == row.tenant) & (of.target_journal_id == row.journal_id)
    heir = sql_append.living(connection, row.tenant, heirs)
    for letter in connection.execute(select(of.journal_id, of.seq, of.body).where(told_it)).all():
        name = letter_id(letter.journal_id, letter.seq)
        if is_heritable(bytes(letter.body)) and not sql_append.has_taken(connection, row.tenant, row.journal_id, name):
            this = told_it & (of.journal_id == letter.journal_id) & (of.seq == letter.seq)
            connection.execute(update(OUTBOX).where(this).values(target_journal_id=heir))


def _let_go(connection: Connection, key: Key) -> bool:
    """A fork of this journal is gone. Whether its session is too, so that what nobody shares any more goes."""
    if sql_journal.head(connection, *key) is not None:
        return False
    going = connection.execute(select(ERASED.c.tenant).where(of_journal(ERASED, *key))).one_or_none()
    if going is None:
        connection.execute(insert(ERASED).values(tenant=key[0], journal_id=key[1]))
    return True


def _shared(connection: Connection, key: Key) -> int:
    """The last of a journal's records that are a fork's too; 0 when there is none."""
    of = LINEAGE.c
    query = select(func.max(of.upto_seq)).where(of.tenant == key[0], of.source_journal_id == key[1])
    return connection.execute(query).scalar_one() or 0


def _erase_some(connection: Connection, key: Key, limit: int) -> int:
    """Remove at most ``limit`` records, and as many blobs as cost the same; how many rows there were.

    What forks begin with stays, and all blobs as long as there is a fork: which record named one is not written down.
    """
    tenant, journal_id = key
    records, refs = (of_journal(table, tenant, journal_id) for table in (RECORDS, BLOB_REFS))
    shared = _shared(connection, key)
    records &= RECORDS.c.seq > shared
    some = select(RECORDS.c.seq).where(records).limit(limit)
    done = connection.execute(delete(RECORDS).where(records, RECORDS.c.seq.in_(some))).rowcount
    held = select(BLOB_REFS.c.digest).where(refs).limit(max(1, -((done - limit) // _BLOB_COST)))
    others = exists().where(BLOB_REFS.c.tenant == BLOBS.c.tenant, BLOB_REFS.c.digest == BLOBS.c.digest)
    for digest in () if shared else list(connection.execute(held).scalars()):
        connection.execute(delete(BLOB_REFS).where(refs, BLOB_REFS.c.digest == digest))
        connection.execute(delete(BLOBS).where(BLOBS.c.tenant == tenant, BLOBS.c.digest == digest, ~others))
        done += _BLOB_COST
    if done < limit:
        done += connection.execute(delete(ERASED).where(of_journal(ERASED, tenant, journal_id))).rowcount
    return done


# --- sessions that nobody uses ---------------------------------------------------------------------------------------


def expired(connection: Connection, now: datetime, retention: Retention, limit: int) -> list[Key]:
    """Sessions whose time is over, at most ``limit``."""
    found: list[Key] = []
    for over in _conditions(connection, now, retention):
        if len(found) < limit:
            query = select(_S.tenant, _S.journal_id).where(over, _idle()).limit(limit - len(found))
            found += [(row.tenant, row.journal_id) for row in connection.execute(query)]
    return found


def is_expired(connection: Connection, key: Key, now: datetime, retention: Retention) -> bool:
    """Whether a session's time is over."""
    tenant, journal_id = key
    over = [(_S.expires_at <= micros(now))]
    ttl = retention.ttl_of(tenant)
    if ttl is not None:
        over.append(_S.expires_at.is_(None) & (_S.updated_at <= micros(now - ttl)))
    query = select(_S.journal_id).where(of_journal(SESSIONS, tenant, journal_id), or_(*over), _idle())
    return connection.execute(query).one_or_none() is not None


def _conditions(connection: Connection, now: datetime, retention: Retention) -> Iterator[ColumnElement[bool]]:
    """Each on an index of its own: sessions with a time of their own, then those of each tenant."""
    yield EXPIRES & (_S.expires_at <= micros(now))
    for tenant in _tenants(connection) if retention.ttl_s is not None else retention.tenants:
        ttl = retention.ttl_of(tenant)
        if ttl is not None:
            yield (_S.tenant == tenant) & (_S.updated_at <= micros(now - ttl)) & _S.expires_at.is_(None)


def _tenants(connection: Connection) -> Iterator[str]:
    """Each once, by as many looks at the index."""
    last = ""
    while True:
        found = connection.execute(select(func.min(_S.tenant)).where(_S.tenant > last)).scalar_one()
        if found is None:
            return
        yield found
        last = found


def _idle() -> ColumnElement[bool]:
    """It has no open turn, no input, no question to anybody, no message on its way, and no child owes it an answer."""
    child = SESSIONS.alias("child")
    owing = exists().where(
        child.c.tenant == _S.tenant, child.c.parent_journal_id == _S.journal_id, child.c.task.is_not(None)
    )

    def none_of(table: Table, *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
        return ~exists().where(table.c.tenant == _S.tenant, *conditions)

    return (
        _S.open_turn.is_(None)
        & (_S.queued == 0)
        & none_of(ACTIONS, ACTIONS.c.journal_id == _S.journal_id, PENDING)
        & none_of(OUTBOX, OUTBOX.c.journal_id == _S.journal_id)
        & none_of(OUTBOX, OUTBOX.c.target_journal_id == _S.journal_id)
        & ~owing
    )


# --- what nothing refers to ------------------------------------------------------------------------------------------


def purge(connection: Connection, now: datetime, limit: int) -> int:
    """Remove at most ``limit`` rows of each kind; how many there were."""
    done = _purge_commands(connection, now, limit) + sql_results.purge(connection, now, limit)
    erased = connection.execute(select(ERASED.c.tenant, ERASED.c.journal_id).limit(1)).one_or_none()
    return done if erased is None else done + _erase_some(connection, (erased.tenant, erased.journal_id), limit)


def erase_more(connection: Connection, key: Key, limit: int) -> int:
    """Remove at most ``limit`` records of one destroyed session; 0 when there is nothing more to remove."""
    going = connection.execute(select(ERASED.c.tenant).where(of_journal(ERASED, *key))).one_or_none()
    return 0 if going is None else _erase_some(connection, key, limit)


def _purge_commands(connection: Connection, now: datetime, limit: int) -> int:
    of = COMMANDS.c
    # A message may be delivered again for as long as it is there, and must meet what it led to.
    name = OUTBOX.c.journal_id + ":" + cast(OUTBOX.c.seq, Text)
    letter = exists().where(OUTBOX.c.tenant == of.tenant, of.command_id == name)
    # Most ids have no colon, and are not looked for among the messages.
    kept = of.command_id.contains(":") & letter
    old = select(of.tenant, of.command_id).where(of.at < micros(now - COMMAND_MEMORY), ~kept).limit(limit)
    return connection.execute(delete(COMMANDS).where(tuple_(of.tenant, of.command_id).in_(old))).rowcount
