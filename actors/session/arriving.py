"""A session that comes from a document: what is written of it in this store. Pure.

Its journal is taken as it is. What ties it to where it was (an open turn, inputs, questions, a parent, children that
owe it answers) stays there, and one further record says so; a session without any of that gets no further
record, so that it is exported again as it came.
"""

from __future__ import annotations

import base64
import json
from datetime import datetime, timedelta

from actors.domain import records as r
from actors.domain.archive import MAX_ARCHIVE_BYTES, SessionArchive, settled
from actors.domain.budgets import dollars
from actors.domain.journal import NewSession
from actors.domain.records import MAX_RECORD_BYTES, Draft, decode_record
from actors.domain.session import SessionConfig
from actors.errors import InvalidRequest
from actors.session.closing import closing
from actors.session.fold import apply
from actors.session.projection import blobs_of, place, project, stored
from actors.session.state import State, initial

CLOCKS_APART = timedelta(minutes=5)
"""How far the clock of where a document comes from may be ahead. Time never goes back within a journal, so limits of
time would not be over for as long as its last record is in the future."""

MAX_EPOCH = 2**52
"""Highest epoch of a record that comes from outside: many activations, and restored stores, have room behind it."""

_REASON = "the session was exported in the middle of this turn"


def arrival(
    archive: SessionArchive, session_id: str, *, tenant: str, journal_id: str, now: datetime, cause: str
) -> tuple[NewSession, SessionConfig]:
    """The session of a document, under an id of this store, and its configuration.

    Raises:
        InvalidRequest: its records are no journal, content is missing, or it is too large.
    """
    records, state = _folded(archive, session_id, tenant=tenant, journal_id=journal_id)
    if records[-1].at > now + CLOCKS_APART:
        raise _damaged(len(records), "it is of a time that has not come yet")
    blobs = _blobs(archive, records)
    if _tied(state, records) or (state.expires_at is not None and state.expires_at <= now):
        drafts = [Draft(r.SessionImported, r.SessionImported.Data(origin=archive.format), cause=cause)]
        while drafts:
            state, record = place(state, drafts.pop(0), now=now, epoch=state.epoch)
            records.append(record)
            if isinstance(record, r.SessionImported) and state.turn is not None:
                drafts += closing(state.turn, _REASON)
    return NewSession(project(state), tuple(stored(record) for record in records), blobs=blobs), state.config


def _folded(archive: SessionArchive, session_id: str, *, tenant: str, journal_id: str) -> tuple[list[r.Record], State]:
    records: list[r.Record] = []
    state, size, before = initial(), 0, (0, "")
    for number, document in enumerate(archive.records, 1):
        encoded = json.dumps(settled(document, archive.session_id, session_id, journal_id, tenant)).encode()
        size += len(encoded)
        if size > MAX_ARCHIVE_BYTES:
            raise _too_large()
        try:
            record = decode_record(encoded)
            state = apply(state, record)
        except Exception as error:
            # Whatever the fold stumbles over in a journal that was never written by a session.
            raise _damaged(number, f"it does not follow from those before it ({type(error).__name__})") from None
        if not _is_paid(record):
            raise _damaged(number, "its cost is no amount of dollars")
        if len(r.encode_record(record)) > MAX_RECORD_BYTES:
            raise _damaged(number, "it is too large")
        place_in_time = (record.epoch, record.at.isoformat())
        if record.epoch < before[0] or (records and record.at < records[-1].at):
            raise _damaged(number, "it is older than the one before it")
        if record.epoch > MAX_EPOCH:
            raise _damaged(number, f"its epoch is beyond {MAX_EPOCH}")
        before = place_in_time
        records.append(record)
    if not isinstance(records[0], r.SessionCreated) or (state.journal_id, state.session_id) != (journal_id, session_id):
        raise _damaged(1, "a journal begins with how its session was created")
    return records, state


def _is_paid(record: r.Record) -> bool:
    """Whether what the record says of money, if it does, can be added to what others cost."""
    cost: str | None = getattr(record.data, "cost_usd", None)
    try:
        return cost is None or dollars(cost) >= 0
    except ValueError:
        return False


def _blobs(archive: SessionArchive, records: list[r.Record]) -> dict[str, bytes]:
    wanted = frozenset[str]().union(*(blobs_of(record) for record in records))
    missing = wanted - archive.blobs.keys()
    if missing:
        raise InvalidRequest(f"The document lacks content that its records refer to: blob {min(missing)}.")
    blobs = {digest: base64.b64decode(archive.blobs[digest]) for digest in wanted}
    if sum(map(len, blobs.values())) + sum(len(r.encode_record(record)) for record in records) > MAX_ARCHIVE_BYTES:
        raise _too_large()
    return blobs


def _tied(state: State, records: list[r.Record]) -> bool:
    """Whether anything in the journal binds the session to where it was."""
    silent: set[str] = set()
    for record in records:
        if isinstance(record, r.SessionForked | r.SessionImported):
            silent.clear()
        elif isinstance(record, r.ChildStarted) and record.data.task:
            silent.add(record.data.child_journal_id)
        elif isinstance(record, r.ChildCompleted):
            silent.discard(record.data.child_journal_id)
    under_way = state.turn or state.queue or state.actions or state.held
    return bool(under_way or silent or state.parent_journal_id or state.task)


def _damaged(number: int, why: str) -> InvalidRequest:
    return InvalidRequest(f"Record {number} of the document cannot be taken: {why}.")


def _too_large() -> InvalidRequest:
    return InvalidRequest(
        f"An exported session has at most {MAX_ARCHIVE_BYTES // 2**20} MiB. Move larger ones with greenroom backup."
    )
