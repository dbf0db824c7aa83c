"""Reads over SQL: the half of the backend that needs no write lock, each a statement or two.

Above is ``sql``, which adds the writes; below are ``sql_journal``, ``rows`` and the tables.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Final

from pydantic import ValidationError
from sqlalchemy import ColumnElement, Connection, Engine, Select, Table, bindparam, func, select, tuple_

from actors.domain.actions import Action
from actors.domain.journal import Due, Filter, FirstOutcome, Letter, Snapshot, StoredRecord, StoredResult
from actors.domain.session import SessionInfo, SessionState
from actors.domain.usage import SpentOn
from actors.errors import RowCorrupt, SessionNotFound, StoreUnavailable
from actors.storage import sql_journal, sql_results
from actors.storage.database import STREAM
from actors.storage.failures import Failures, raised_by_driver, translated
from actors.storage.legible import Legible
from actors.storage.moments import NoMoment, maybe_moment, micros, moment
from actors.storage.rows import action_of, info_of
from actors.storage.rules import cursor, read_cursor, session_key, within
from actors.storage.schema import (
    ACTIONS,
    BLOBS,
    CLAIMED,
    HAS_PARENT,
    HAS_TIMER,
    NEEDS_ACTOR,
    OUTBOX,
    PENDING,
    RECORDS,
    SESSIONS,
    SPENDS,
)
from actors.storage.spending import Spending

_S: Final = SESSIONS.c
_R: Final = RECORDS.c

_ROW: Final = select(SESSIONS).where(_S.tenant == bindparam("of_tenant"), _S.journal_id == bindparam("of_journal"))
"""Asked all day, and built once."""

_DUE: Final = select(_S.tenant, _S.journal_id, _S.session_id, _S.head_seq)

_FETCH: Final = 64
"""Rows taken from the database at a time, so that a page of large messages stops near its limit of bytes."""


def of_journal(table: Table, tenant: str, journal_id: str) -> ColumnElement[bool]:
    """The condition that a row belongs to a journal."""
    return (table.c.tenant == tenant) & (table.c.journal_id == journal_id)


def session_row(connection: Connection, tenant: str, journal_id: str) -> SessionInfo | None:
    """The session of a journal."""
    found = connection.execute(_ROW, {"of_tenant": tenant, "of_journal": journal_id}).one_or_none()
    return None if found is None else info_of(found)


def _family(tenant: str, journal_id: str) -> Select[tuple[str]]:
    """A journal, those of the session's children, of theirs, and so on."""
    family = select(_S.journal_id).where(of_journal(SESSIONS, tenant, journal_id)).cte("family", recursive=True)
    children = select(_S.journal_id).where(_S.tenant == tenant, _S.parent_journal_id == family.c.journal_id)
    # Each once: rows that name each other as parents, as damage can make them, would be gone through for ever.
    return select(family.union(children).c.journal_id)


def _matching(tenant: str, wanted: Filter) -> list[ColumnElement[bool]]:
    conditions = [_S.tenant == tenant]
    if wanted.state is not None:
        conditions.append(_S.state == wanted.state)
    if wanted.activity is not None:
        conditions.append(_S.activity == wanted.activity)
    if wanted.parent_journal_id is not None:
        conditions += [_S.parent_journal_id == wanted.parent_journal_id, HAS_PARENT]
    if wanted.roots_only:
        conditions.append(_S.parent_journal_id.is_(None))
    if wanted.name_contains:
        conditions.append(_S.name_key.contains(wanted.name_contains.casefold(), autoescape=True))
    return conditions


class SqlReads:
    """Reads on short-lived connections.

    Args:
        location: What errors call the store.
        failures: How its driver says what went wrong.
    """

    blocks = True

    def __init__(self, location: str, failures: Failures) -> None:
        self._location = location
        self._failures = failures
        self._engine: Engine | None = None
        self._legible = Legible(location)

    @contextmanager
    def _read(self) -> Generator[Connection]:
        with self._connected(self._engine) as connection:
            yield connection

    @contextmanager
    def _stream(self) -> Generator[Connection]:
        """For an answer that is read piece by piece."""
        with self._read() as connection, connection.execution_options(**{STREAM: True}).begin():
            yield connection

    @contextmanager
    def _connected(self, engine: Engine | None) -> Generator[Connection]:
        if engine is None:
            raise StoreUnavailable("it is not open")
        try:
            with translated(self._location, self._failures), self._fresh(engine) as connection:
                yield connection
        except (ValidationError, NoMoment):
            # Without its cause, whose text quotes the row.
            raise RowCorrupt(self._location, "a row does not have the form that was written") from None

    @contextmanager
    def _fresh(self, engine: Engine) -> Generator[Connection]:
        with engine.connect() as connection:
            try:
                yield connection
            except Exception as error:
                if self._failures.is_stale(raised_by_driver(error)):
                    connection.invalidate()
                    engine.dispose()
                raise

    def find(self, tenant: str, session_id: str) -> SessionInfo | None:
        """See ``Backend.find``."""
        mine = (_S.tenant == tenant) & (_S.session_key == session_key(session_id)) & (_S.session_id == session_id)
        with self._read() as connection:
            found = connection.execute(select(SESSIONS).where(mine)).one_or_none()
            return None if found is None else info_of(found)

    def row(self, tenant: str, journal_id: str) -> SessionInfo | None:
        """See ``Backend.row``."""
        with self._read() as connection:
            return session_row(connection, tenant, journal_id)

    def rows(
        self, tenant: str, wanted: Filter, *, after: str | None = None, limit: int = 100
    ) -> tuple[tuple[SessionInfo, ...], str | None]:
        """See ``Backend.rows``."""
        query = select(SESSIONS).where(*_matching(tenant, wanted))
        if after is not None:
            query = query.where(tuple_(_S.updated_at, _S.journal_id) < tuple_(*read_cursor(after)))
        with self._read() as connection:
            ordered = query.order_by(_S.updated_at.desc(), _S.journal_id.desc())
            found = connection.execute(ordered.limit(limit + 1)).all()
            page = found[:limit]
            more = cursor(page[-1].updated_at, page[-1].journal_id) if page and len(found) > limit else None
            return tuple(self._legible.of(page, info_of)), more

    def count(self, tenant: str, wanted: Filter) -> int:
        """See ``Backend.count``."""
        query = select(func.count()).select_from(SESSIONS).where(*_matching(tenant, wanted))
        with self._read() as connection:
            return connection.execute(query).scalar_one()

    def records(self, tenant: str, journal_id: str, *, after: int = 0, limit: int = 1000) -> tuple[StoredRecord, ...]:
        """See ``Backend.records``."""
        with self._read() as connection:
            page = sql_journal.records(connection, tenant, journal_id, after, limit)
            # Afterwards: what is left of a journal that is being removed is not shown.
            if sql_journal.head(connection, tenant, journal_id) is None:
                raise SessionNotFound(journal_id)
        return tuple(page)

    def first_outcome(self, tenant: str, journal_id: str, command_id: str) -> FirstOutcome | None:
        """See ``Backend.first_outcome``."""
        mine = of_journal(RECORDS, tenant, journal_id)
        query = select(_R.seq, _R.digest, _R.type).where(mine, _R.cause == command_id, CLAIMED)
        with self._read() as connection:
            found = connection.execute(query).one_or_none()
            return None if found is None else FirstOutcome(found.seq, found.digest, found.type)

    def snapshot(self, tenant: str, journal_id: str, *, upto: int | None = None) -> Snapshot | None:
        """See ``Backend.snapshot``."""
        with self._read() as connection:
            return sql_journal.snapshot(connection, tenant, journal_id, upto)

    def blobs(self, tenant: str, digests: Sequence[str]) -> dict[str, bytes]:
        """See ``Backend.blobs``."""
        query = select(BLOBS.c.digest, BLOBS.c.body).where(BLOBS.c.tenant == tenant, BLOBS.c.digest.in_(digests))
        with self._read() as connection:
            return {digest: bytes(body) for digest, body in connection.execute(query)}

    def actions(
        self,
        tenant: str,
        *,
        journal_id: str | None = None,
        tree: bool = False,
        pending: bool = True,
        kind: str | None = None,
        action_id: str | None = None,
        after: str | None = None,
        limit: int = 100,
    ) -> tuple[tuple[Action, ...], str | None]:
        """See ``Backend.actions``."""
        of = ACTIONS.c
        query = select(of.journal_id, of.requested_at, of.action_id, of.body).where(of.tenant == tenant)
        if journal_id is not None:
            query = query.where(of.journal_id.in_(_family(tenant, journal_id)) if tree else of.journal_id == journal_id)
        if action_id is not None:
            query = query.where(of.action_id == action_id)
        if pending:
            # Spelled like this the index of all that is pending does not fit, which would be looked through for a few.
            query = query.where(PENDING if journal_id is None else of.pending != 0)
        if kind is not None:
            query = query.where(of.kind == kind)
        if after is not None:
            query = query.where(tuple_(of.requested_at, of.action_id) > tuple_(*read_cursor(after)))
        with self._read() as connection:
            found = connection.execute(query.order_by(of.requested_at, of.action_id).limit(limit + 1)).all()
            page = found[:limit]
            more = cursor(page[-1].requested_at, page[-1].action_id) if page and len(found) > limit else None
            return tuple(self._legible.of(page, action_of)), more

    def spent(
        self,
        tenant: str,
        *,
        journal_id: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> tuple[SpentOn, ...]:
        """See ``Backend.spent``."""
        mine = select(_S.journal_id).where(_S.tenant == tenant)
        if journal_id is not None:
            mine = mine.where(_S.journal_id == journal_id)
        # A journal of which forks still have a part may be without a session.
        query = select(_R.type, _R.at, _R.body, _R.journal_id).where(
            _R.tenant == tenant, SPENDS, _R.journal_id.in_(mine)
        )
        if since is not None:
            query = query.where(_R.at >= micros(since))
        if until is not None:
            query = query.where(_R.at < micros(until))
        spending = Spending()
        with self._stream() as connection, connection.execute(query) as found:
            rows = found.yield_per(_FETCH)
            for _ in self._legible.of(rows, lambda row: spending.add(row.type, moment(row.at), bytes(row.body))):
                pass
        return spending.rows

    def receivers(self, *, after: tuple[str, str] | None = None, limit: int = 1000) -> tuple[tuple[str, str], ...]:
        """See ``Backend.receivers``."""
        place = (OUTBOX.c.tenant, OUTBOX.c.target_journal_id)
        query = select(*place).distinct().order_by(*place)
        if after is not None:
            query = query.where(tuple_(*place) > tuple_(*after))
        with self._read() as connection:
            return tuple((tenant, target) for tenant, target in connection.execute(query.limit(limit)))

    def letters(self, tenant: str, target_journal_id: str, *, limit: int = 100) -> tuple[Letter, ...]:
        """See ``Backend.letters``."""
        of = OUTBOX.c
        mine = (of.tenant == tenant) & (of.target_journal_id == target_journal_id)
        query = select(of.tenant, of.journal_id, of.seq, of.body).where(mine).order_by(of.journal_id, of.seq)
        with self._stream() as connection, connection.execute(query.limit(limit)) as found:
            letters = (Letter(owner, sender, seq, bytes(body)) for owner, sender, seq, body in found.yield_per(_FETCH))
            return tuple(within(letters, lambda letter: len(letter.body)))

    def results(self, tenant: str, journal_id: str) -> tuple[StoredResult, ...]:
        """See ``Backend.results``."""
        with self._read() as connection:
            return sql_results.of_session(connection, tenant, journal_id)

    def due(self, now: datetime, *, limit: int = 1000) -> tuple[Due, ...]:
        """See ``Backend.due``."""
        active = _S.state == SessionState.active.value
        # Two queries, each on an index of its own; one with OR would read every session.
        queries = (
            _DUE.where(HAS_TIMER, _S.wake_at <= micros(now), active).order_by(_S.wake_at),
            _DUE.where(NEEDS_ACTOR).order_by(_S.updated_at),
        )
        with self._read() as connection:
            found = [Due(*row) for query in queries for row in connection.execute(query.limit(limit))]
        return tuple(dict.fromkeys(found))[:limit]

    def next_wake(self) -> datetime | None:
        """See ``Backend.next_wake``."""
        query = select(func.min(_S.wake_at)).where(HAS_TIMER, _S.state == SessionState.active.value)
        with self._read() as connection:
            return maybe_moment(connection.execute(query).scalar_one())
