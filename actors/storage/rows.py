"""The boundary between the store's values and the columns of its tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, cast

from sqlalchemy import Column, Row

from actors.domain.actions import Action
from actors.domain.budgets import BudgetStanding
from actors.domain.journal import OutboxRow, StoredRecord
from actors.domain.messages import TokenUsage
from actors.domain.session import SessionInfo
from actors.storage.moments import maybe_micros, maybe_moment, micros, moment
from actors.storage.rules import Head, session_key
from actors.storage.schema import RECORDS, SESSIONS

if TYPE_CHECKING:
    AnyRow = Row[*tuple[Any, ...]]

Values = dict[str, Any]
"""Column values by name."""

_FIXED: Final = frozenset(
    "tenant journal_id session_id session_key parent_id parent_journal_id root_journal_id created_at".split()
)
_FENCE: Final = frozenset("head_seq epoch term assignment_no batch_id batch_from".split())

_USAGE: Final = tuple(TokenUsage.model_fields)
_MOMENTS: Final = ("wake_at", "expires_at", "created_at", "updated_at")
_USAGES: Final = {"usage": "", "inherited_usage": "inherited_"}
"""The fields whose counts are columns, and what the names of those begin with."""

_PLAIN: Final = tuple(name for name in SessionInfo.model_fields if name not in {*_USAGES, *_MOMENTS, "budget"})
"""The fields of a row that are columns of the same name, as they are."""

PROJECTION: Final = tuple(column.name for column in SESSIONS.c if column.name not in _FIXED | _FENCE)
"""The columns of a session that the row of an append replaces."""

_R = RECORDS.c
RECORD_COLUMNS: Final[tuple[Column[Any], ...]] = (_R.seq, _R.type, _R.at, _R.epoch, _R.body, _R.cause, _R.digest)
"""What a StoredRecord is read from, in the order of its fields."""


def projection_values(row: SessionInfo) -> Values:
    """The values of the columns named in ``PROJECTION``."""
    return {
        "name": row.name,
        "name_key": row.name.casefold(),
        "state": row.state.value,
        "activity": row.activity.value,
        "model": row.model,
        "open_turn": row.open_turn,
        "queued": row.queued,
        "messages": row.messages,
        "turns": row.turns,
        **{prefix + name: getattr(getattr(row, field), name) for field, prefix in _USAGES.items() for name in _USAGE},
        "cost_usd": row.cost_usd,
        "inherited_cost_usd": row.inherited_cost_usd,
        "budget": row.budget.model_dump_json(exclude_defaults=True) if row.budget is not None else None,
        "workspace_node": row.workspace_node,
        "task": row.task,
        "needs_actor": int(row.needs_actor),
        "wake_at": maybe_micros(row.wake_at),
        "expires_at": maybe_micros(row.expires_at),
        "updated_at": micros(row.updated_at),
    }


def session_values(row: SessionInfo, head: Head) -> Values:
    """All columns of a new session."""
    return projection_values(row) | {
        "tenant": row.tenant,
        "journal_id": row.journal_id,
        "session_id": row.session_id,
        "session_key": session_key(row.session_id),
        "parent_id": row.parent_id,
        "parent_journal_id": row.parent_journal_id,
        "root_journal_id": row.root_journal_id,
        "created_at": micros(row.created_at),
        "head_seq": head.seq,
        "epoch": head.epoch,
        "term": 0,
        "assignment_no": 0,
        "batch_id": head.batch_id,
        "batch_from": head.batch_from,
    }


def info_of(row: AnyRow) -> SessionInfo:
    """The projection in a row of all columns of ``sessions``.

    Raises:
        ValidationError, NoMoment: A value is none that was ever written.
    """
    got = _mapping(row)
    return SessionInfo.model_validate({field: read(got) for field, read in _READ.items()})


def legible_of(row: AnyRow) -> SessionInfo:
    """What can be read of the same: where a value is none that was ever written, it has its default."""
    with suppress(ValueError, TypeError):
        return info_of(row)
    got = _mapping(row)
    values: Values = {name: str(got[name]) for name in ("tenant", "session_id", "journal_id")}
    values |= {"created_at": moment(0), "updated_at": moment(0)}
    for field, read in _READ.items():
        with suppress(ValueError, TypeError):
            one = values | {field: read(got)}
            SessionInfo.model_validate(one)
            values = one
    return SessionInfo.model_validate(values)


def _mapping(row: AnyRow) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", row._mapping)  # pyright: ignore[reportPrivateUsage] - public in spite of its name


def _usage(prefix: str) -> Callable[[Mapping[str, Any]], Values]:
    return lambda got: {name: got[prefix + name] for name in _USAGE}


def _moment(name: str) -> Callable[[Mapping[str, Any]], datetime | None]:
    return lambda got: maybe_moment(got[name])


def _budget(got: Mapping[str, Any]) -> BudgetStanding | None:
    return BudgetStanding.model_validate_json(got["budget"]) if got["budget"] is not None else None


_READ: Final[Mapping[str, Callable[[Mapping[str, Any]], Any]]] = {
    **{name: itemgetter(name) for name in _PLAIN},
    **{field: _usage(prefix) for field, prefix in _USAGES.items()},
    **{name: _moment(name) for name in _MOMENTS},
    "budget": _budget,
}
"""How each field of a ``SessionInfo`` is read from the columns."""


def record_values(tenant: str, journal_id: str, record: StoredRecord) -> Values:
    """All columns of a record."""
    return {
        "tenant": tenant,
        "journal_id": journal_id,
        "seq": record.seq,
        "type": record.type,
        "at": micros(record.at),
        "epoch": record.epoch,
        "cause": record.cause,
        "digest": record.digest,
        "body": record.body,
    }


def record_of(row: Sequence[Any]) -> StoredRecord:
    """The record in a row of ``RECORD_COLUMNS``."""
    seq, kind, at, epoch, body, cause, digest = row
    return StoredRecord(seq, kind, moment(at), epoch, bytes(body), cause, digest)


def action_values(tenant: str, journal_id: str, action: Action) -> Values:
    """All columns of an action."""
    return {
        "tenant": tenant,
        "journal_id": journal_id,
        "action_id": action.action_id,
        "pending": int(action.pending),
        "requested_at": micros(action.requested_at),
        "body": action.model_dump_json().encode(),
        "kind": action.kind.value,
    }


def action_of(row: AnyRow) -> Action:
    """The action in a row with its ``body``.

    Raises:
        ValidationError: It has another form than one that was ever written.
    """
    return Action.model_validate_json(bytes(row.body))


def outbox_values(tenant: str, journal_id: str, row: OutboxRow) -> Values:
    """All columns of a message that was not delivered yet."""
    return {
        "tenant": tenant,
        "journal_id": journal_id,
        "seq": row.seq,
        "target_journal_id": row.target_journal_id,
        "body": row.body,
    }
