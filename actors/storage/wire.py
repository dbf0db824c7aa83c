"""The boundary between the store's values and what msgpack carries: short lists, integers, and opaque bytes.

Both directions are exact. Moments are microseconds since 1970; rows and actions travel as the JSON bytes of their
models. ``x_out`` makes the plain form, ``x_in`` reads it and raises InvalidRequest when it is malformed.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from actors.domain.actions import Action
from actors.domain.journal import (
    Acquired,
    Appended,
    AppendPart,
    Filter,
    FirstOutcome,
    Letter,
    NewSession,
    Origin,
    OutboxRow,
    Refused,
    Snapshot,
    StoredRecord,
    StoredResult,
    StoreIdentity,
)
from actors.domain.retention import Retention
from actors.domain.session import SessionInfo
from actors.errors import InternalError, InvalidRequest, from_wire, to_wire
from actors.session.ports import Loaded
from actors.storage.moments import maybe_micros, maybe_moment, micros, moment
from actors.storage.watch import Hint

Plain = Any
"""A value that msgpack carries."""

T = TypeVar("T")
P = TypeVar("P")


@contextmanager
def wellformed() -> Generator[None]:
    """Raise InvalidRequest where reading a plain form fails."""
    try:
        yield
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise InvalidRequest(f"A value of the store's protocol is malformed ({type(error).__name__}).") from error


def each(convert: Callable[[T], P], values: Sequence[T]) -> list[P]:
    """A list of converted values."""
    return [convert(value) for value in values]


def maybe(convert: Callable[[T], P], value: T | None) -> P | None:
    """The converted value; None stays None."""
    return None if value is None else convert(value)


# --- records, sessions, actions --------------------------------------------------------------------------------------


def record_out(record: StoredRecord) -> Plain:
    """``[seq, type, at, epoch, body, cause, digest]``."""
    return [record.seq, record.type, micros(record.at), record.epoch, record.body, record.cause, record.digest]


def record_in(plain: Plain) -> StoredRecord:
    """See ``record_out``."""
    seq, kind, at, epoch, body, cause, digest = plain
    return StoredRecord(seq, kind, moment(at), epoch, body, cause, digest)


def info_out(row: SessionInfo) -> Plain:
    """JSON bytes."""
    return row.model_dump_json().encode()


def info_in(plain: Plain) -> SessionInfo:
    """See ``info_out``."""
    return SessionInfo.model_validate_json(plain)


def action_out(action: Action) -> Plain:
    """JSON bytes."""
    return action.model_dump_json().encode()


def action_in(plain: Plain) -> Action:
    """See ``action_out``."""
    return Action.model_validate_json(plain)


def outbox_out(row: OutboxRow) -> Plain:
    """``[seq, target_journal_id, body, blobs, heirs]``."""
    return [row.seq, row.target_journal_id, row.body, list(row.blobs), list(row.heirs)]


def outbox_in(plain: Plain) -> OutboxRow:
    """See ``outbox_out``."""
    seq, target, body, blobs, heirs = plain
    return OutboxRow(seq, target, body, tuple(blobs), tuple(heirs))


def letter_out(letter: Letter) -> Plain:
    """``[tenant, journal_id, seq, body]``."""
    return [letter.tenant, letter.journal_id, letter.seq, letter.body]


def letter_in(plain: Plain) -> Letter:
    """See ``letter_out``."""
    tenant, journal_id, seq, body = plain
    return Letter(tenant, journal_id, seq, body)


def new_out(new: NewSession) -> Plain:
    """``[row, records, blobs, origin]``, the origin of a fork being ``[journal_id, upto]``."""
    origin = [new.origin.journal_id, new.origin.upto] if new.origin else None
    return [info_out(new.row), each(record_out, new.records), dict(new.blobs), origin]


def new_in(plain: Plain) -> NewSession:
    """See ``new_out``."""
    row, records, blobs, origin = plain
    return NewSession(
        info_in(row), tuple(each(record_in, records)), dict(blobs), Origin(*origin) if origin is not None else None
    )


# --- appends ---------------------------------------------------------------------------------------------------------


def part_out(part: AppendPart) -> Plain:
    """The fields of a part, in their order."""
    return [
        part.tenant,
        part.journal_id,
        part.epoch,
        part.expected_seq,
        part.batch_id,
        each(record_out, part.records),
        info_out(part.row),
        each(action_out, part.actions),
        each(outbox_out, part.outbox),
        dict(part.blobs),
        each(new_out, part.creations),
        each(list, part.settled),
    ]


def part_in(plain: Plain) -> AppendPart:
    """See ``part_out``."""
    tenant, journal_id, epoch, expected_seq, batch_id, records, row, actions, outbox, blobs, creations, settled = plain
    return AppendPart(
        tenant,
        journal_id,
        epoch,
        expected_seq,
        batch_id,
        tuple(each(record_in, records)),
        info_in(row),
        tuple(each(action_in, actions)),
        tuple(each(outbox_in, outbox)),
        dict(blobs),
        tuple(each(new_in, creations)),
        tuple((call_id, attempt) for call_id, attempt in settled),
    )


def answer_out(answer: Appended | Refused) -> Plain:
    """``[head_seq, replayed]``, or ``[error]``."""
    return [to_wire(answer.error)] if isinstance(answer, Refused) else [answer.head_seq, answer.replayed]


def answer_in(plain: Plain) -> Appended | Refused:
    """See ``answer_out``."""
    match plain:
        case [int(head_seq), bool(replayed)]:
            return Appended(head_seq, replayed)
        case [error]:
            return Refused(from_wire(error))
        case _:
            raise InternalError("malformed answer to an append")


def acquired_out(acquired: Acquired) -> Plain:
    """``[epoch, head_seq]``."""
    return [acquired.epoch, acquired.head_seq]


def acquired_in(plain: Plain) -> Acquired:
    """See ``acquired_out``."""
    epoch, head_seq = plain
    return Acquired(epoch, head_seq)


# --- what is asked for and answered ----------------------------------------------------------------------------------


def identity_out(identity: StoreIdentity) -> Plain:
    """``[store_id, schema_version, location, secret]``."""
    return [identity.store_id, identity.schema_version, identity.location, identity.secret]


def identity_in(plain: Plain) -> StoreIdentity:
    """See ``identity_out``."""
    store_id, schema_version, location, secret = plain
    return StoreIdentity(store_id, schema_version, location, secret)


def filter_out(wanted: Filter) -> Plain:
    """The fields, in their order."""
    return [wanted.state, wanted.activity, wanted.parent_journal_id, wanted.roots_only, wanted.name_contains]


def filter_in(plain: Plain) -> Filter:
    """See ``filter_out``."""
    state, activity, parent, roots_only, name = plain
    return Filter(state, activity, parent, roots_only, name)


def outcome_out(outcome: FirstOutcome) -> Plain:
    """``[seq, digest, type]``."""
    return [outcome.seq, outcome.digest, outcome.type]


def outcome_in(plain: Plain) -> FirstOutcome:
    """See ``outcome_out``."""
    seq, digest, kind = plain
    return FirstOutcome(seq, digest, kind)


def snapshot_out(snapshot: Snapshot) -> Plain:
    """``[seq, version, epoch, body]``."""
    return [snapshot.seq, snapshot.version, snapshot.epoch, snapshot.body]


def snapshot_in(plain: Plain) -> Snapshot:
    """See ``snapshot_out``."""
    seq, version, epoch, body = plain
    return Snapshot(seq, version, epoch, body)


def loaded_out(loaded: Loaded) -> Plain:
    """``[snapshot or None, records, results, kept]``."""
    return [
        maybe(snapshot_out, loaded.snapshot),
        each(record_out, loaded.records),
        each(result_out, loaded.results),
        loaded.kept,
    ]


def loaded_in(plain: Plain) -> Loaded:
    """See ``loaded_out``."""
    snapshot, records, results, kept = plain
    read = tuple(each(record_in, records)), tuple(each(result_in, results))
    return Loaded(maybe(snapshot_in, snapshot), *read, kept)


def result_out(result: StoredResult) -> Plain:
    """``[call_id, attempt, outcome, facts]``."""
    return [result.call_id, result.attempt, result.outcome, result.facts]


def result_in(plain: Plain) -> StoredResult:
    """See ``result_out``."""
    call_id, attempt, outcome, facts = plain
    return StoredResult(call_id, attempt, outcome, facts)


def hint_out(hint: Hint) -> Plain:
    """The fields, in their order."""
    return [hint.tenant, hint.journal_id, hint.needs_actor, maybe_micros(hint.wake_at), list(hint.mail)]


def hint_in(plain: Plain) -> Hint:
    """See ``hint_out``."""
    tenant, journal_id, needs_actor, wake_at, mail = plain
    return Hint(tenant, journal_id, needs_actor, maybe_moment(wake_at), tuple(mail))


def retention_out(retention: Retention) -> Plain:
    """``[ttl_s, {tenant: ttl_s}]``."""
    return [retention.ttl_s, dict(retention.tenants)]


def retention_in(plain: Plain) -> Retention:
    """See ``retention_out``."""
    ttl_s, tenants = plain
    return Retention(None if ttl_s is None else float(ttl_s), {str(name): float(ttl) for name, ttl in tenants.items()})
