"""A fork of a session: what it writes behind the records that it shares with its source. Pure.

Context and configuration go on in the fork. What the source has under way stays with the source: an open turn is closed
here as cancelled, with each call that had begun as unknown.
"""

from __future__ import annotations

from datetime import datetime

from actors.domain import records as r
from actors.domain.journal import NewSession, Origin
from actors.domain.records import Draft
from actors.domain.session import Activity, SessionInfo, SessionState
from actors.session import budgets
from actors.session.closing import closing
from actors.session.projection import place, project, stored
from actors.session.state import State

MAX_NAME = 256
"""Characters of a session's name."""

_REASON = "the session was forked in the middle of this turn"


def name_of(source: str, wanted: str | None) -> str:
    """What a fork is called: as it was asked for, or after its source."""
    suffix = " (fork)"
    return wanted if wanted is not None else source[: MAX_NAME - len(suffix)] + suffix


def fork_of_row(
    source: SessionInfo, data: r.SessionForked.Data, session_id: str, now: datetime, cause: str
) -> NewSession:
    """A fork at the head of a session without an open turn: its row says all that is needed, however long it is."""
    at = max(now, source.updated_at)
    record = r.stamp(
        Draft(r.SessionForked, data, cause=cause),
        journal_id=data.journal_id,
        session_id=session_id,
        seq=source.head_seq + 1,
        at=at,
        epoch=source.epoch,
    )
    row = source.model_copy(
        update={
            "session_id": session_id,
            "journal_id": data.journal_id,
            "name": data.name,
            "state": SessionState.active,
            "activity": Activity.idle,
            "parent_id": data.source_session_id,
            "parent_journal_id": None,
            "root_journal_id": None,
            "head_seq": record.seq,
            "queued": 0,
            "inherited_usage": source.usage,
            "inherited_cost_usd": source.cost_usd,
            "budget": budgets.anew(source.budget),
            "task": None,
            "wake_at": None,
            "expires_at": at + (source.expires_at - source.updated_at) if source.expires_at else None,
            "created_at": at,
            "updated_at": at,
        }
    )
    return NewSession(row, (stored(record),), origin=Origin(source.journal_id, source.head_seq))


def fork_of_state(source: State, data: r.SessionForked.Data, session_id: str, now: datetime, cause: str) -> NewSession:
    """A fork of a session as it was at the state's place."""
    origin = Origin(source.journal_id, source.seq)
    state = source.model_copy(update={"journal_id": data.journal_id, "session_id": session_id})
    state, record = place(state, Draft(r.SessionForked, data, cause=cause), now=now, epoch=source.epoch)
    records = [stored(record)]
    for draft in closing(state.turn, _REASON) if state.turn is not None else ():
        state, record = place(state, draft, now=now, epoch=source.epoch)
        records.append(stored(record))
    return NewSession(project(state), tuple(records), origin=origin)
