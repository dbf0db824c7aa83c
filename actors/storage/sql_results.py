"""What hosts wrote down of attempts, over SQL: written, read, forgotten.

Above are ``sql``, ``sql_reads``, ``sql_append`` and ``sql_retention``, which give connections; below is one table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Final

from sqlalchemy import ClauseElement, Connection, bindparam, delete, func, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from actors.domain.journal import StoredResult
from actors.storage.moments import micros
from actors.storage.prepared import Prepared
from actors.storage.rules import RESULT_MEMORY
from actors.storage.schema import RESULTS, SESSIONS

_S: Final = SESSIONS.c
_E: Final = RESULTS.c


def _keep(dialect: str) -> ClauseElement:
    make = postgresql.insert if dialect == "postgresql" else sqlite.insert
    statement = make(RESULTS).values({column.name: bindparam(column.name) for column in _E})
    new = statement.excluded
    kept = {"outcome": func.coalesce(_E.outcome, new.outcome), "facts": func.coalesce(new.facts, _E.facts)}
    return statement.on_conflict_do_update(index_elements=list(RESULTS.primary_key), set_=kept)


_KEEP: Final = Prepared(_keep)
_FIND: Final = Prepared.always(
    select(_E.call_id, _E.attempt, _E.outcome, _E.facts)
    .where(_E.tenant == bindparam("of_tenant"), _E.journal_id == bindparam("of_journal"))
    .order_by(_E.call_id, _E.attempt)
)
_FORGET: Final = Prepared.always(
    delete(RESULTS).where(
        _E.tenant == bindparam("of_tenant"),
        _E.journal_id == bindparam("of_journal"),
        _E.call_id == bindparam("of_call"),
        (_E.attempt == bindparam("of_attempt")) | (_E.attempt < bindparam("of_attempt")) & _E.outcome.is_(None),
    )
)


def keep(connection: Connection, tenant: str, journal_id: str, result: StoredResult) -> None:
    """Write what a host tells of an attempt; the first outcome stays, and the last facts."""
    _KEEP.run(connection, [{"tenant": tenant, "journal_id": journal_id, **asdict(result)}])


def of_session(connection: Connection, tenant: str, journal_id: str) -> tuple[StoredResult, ...]:
    """All that is kept of a session's attempts."""
    found = _FIND.rows(connection, {"of_tenant": tenant, "of_journal": journal_id})
    return tuple(
        StoredResult(call_id, attempt, _bytes(outcome), _bytes(facts)) for call_id, attempt, outcome, facts in found
    )


def _bytes(value: bytes | None) -> bytes | None:
    return None if value is None else bytes(value)


def forget(connection: Connection, attempts: Sequence[tuple[str, str, str, int]]) -> None:
    """Remove what is kept of attempts, by (tenant, journal_id, call_id, attempt), and facts of those before them."""
    names = ("of_tenant", "of_journal", "of_call", "of_attempt")
    _FORGET.run(connection, [dict(zip(names, attempt, strict=True)) for attempt in attempts])


def purge(connection: Connection, now: datetime, limit: int) -> int:
    """Remove what is kept of sessions that have no open turn, and so no call that could ask for it."""
    unused = select(_E.tenant, _E.journal_id, _E.call_id, _E.attempt).join(
        SESSIONS, (_S.tenant == _E.tenant) & (_S.journal_id == _E.journal_id)
    )
    unused = unused.where(_S.open_turn.is_(None), _S.updated_at < micros(now - RESULT_MEMORY)).limit(limit)
    key = tuple_(_E.tenant, _E.journal_id, _E.call_id, _E.attempt)
    return connection.execute(delete(RESULTS).where(key.in_(unused))).rowcount
