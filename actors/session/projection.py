"""A session's projection row and the append that carries it: from drafts to what a store is given.

Pure. Large content leaves the records for blobs here, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import cast

from actors.domain import records as r
from actors.domain.actions import Action
from actors.domain.base import Frozen
from actors.domain.blobs import BLOB_LIMIT, blobs_in, externalise
from actors.domain.budgets import Lease
from actors.domain.children import ChildReport
from actors.domain.journal import NewSession, StoredRecord
from actors.domain.messages import Message, Role
from actors.domain.records import Draft
from actors.domain.session import SessionConfig, SessionInfo
from actors.domain.workspaces import Workspace
from actors.errors import InvalidRequest
from actors.session import budgets
from actors.session.fold import apply
from actors.session.fold_external import changed_tasks
from actors.session.fold_waits import resolved_action
from actors.session.state import State


@dataclass(frozen=True, slots=True)
class Step:
    """Drafts with their places, and the state they lead to."""

    state: State
    records: tuple[r.Record, ...]


def project(state: State) -> SessionInfo:
    """The row that listings, the inbox and supervision read."""
    if state.created_at is None or state.updated_at is None:
        raise AssertionError("a session has a first record")
    return SessionInfo.model_construct(
        tenant=state.tenant,
        session_id=state.session_id,
        journal_id=state.journal_id,
        name=state.config.name,
        state=state.lifecycle,
        activity=state.activity,
        model=state.config.model.name if state.config.model else None,
        parent_id=state.config.parent_id,
        parent_journal_id=state.parent_journal_id,
        root_journal_id=state.root_journal_id,
        head_seq=state.seq,
        epoch=state.epoch,
        open_turn=state.turn.turn_id if state.turn else None,
        queued=len(state.queue),
        messages=len(state.context),
        turns=state.turns,
        usage=state.usage,
        cost_usd=str(state.cost),
        inherited_usage=state.inherited_usage,
        inherited_cost_usd=str(state.inherited_cost),
        budget=budgets.standing(state),
        workspace_node=state.workspace_node,
        task=state.task,
        wake_at=state.wake_at,
        expires_at=state.expires_at,
        created_at=state.created_at,
        updated_at=state.updated_at,
    )


def place(state: State, draft: Draft, *, now: datetime, epoch: int) -> tuple[State, r.Record]:
    """Stamp one draft behind the state and fold it. Time never goes back within a journal."""
    at = max(now, state.updated_at) if state.updated_at else now
    record = r.stamp(
        draft, journal_id=state.journal_id, session_id=state.session_id, seq=state.seq + 1, at=at, epoch=epoch
    )
    return apply(state, record), record


_FROM_OUTSIDE = (
    r.SessionConfigured.Data,
    r.SessionError.Data,
    r.TurnCancelling.Data,
    r.ActionResolved.Data,
    r.TaskCompleted.Data,
)
"""Further records whose size callers decide; what the core makes by itself is bounded."""


def small(draft: Draft, blobs: dict[str, bytes]) -> Draft:
    """The draft with its large content moved to ``blobs``.

    Raises:
        InvalidRequest: it is too large even so.
    """
    data = draft.data
    changed: Frozen = data
    found: dict[str, bytes] = {}
    if isinstance(data, r.UserMessage.Data | r.MessageAdded.Data | r.ModelCallCompleted.Data):
        message, found = externalise(data.message)
        changed = data.model_copy(update={"message": message})
    elif isinstance(data, r.SessionCompacted.Data) and data.summary is not None:
        summary, found = externalise(data.summary)
        changed = data.model_copy(update={"summary": summary})
    elif isinstance(data, r.ModelCallFailed.Data) and data.partial is not None:
        partial, found = externalise(data.partial)
        changed = data.model_copy(update={"partial": partial})
    elif isinstance(data, r.ToolCallCompleted.Data | r.ToolCallLate.Data):
        changed, found = _small_result(data)
    elif not isinstance(data, _FROM_OUTSIDE):
        return draft
    if changed is not data:
        draft = replace(draft, data=changed)
    if len(draft.data.model_dump_json().encode()) > r.MAX_RECORD_BYTES - _ENVELOPE_BYTES:
        raise InvalidRequest(f"The content is larger than a record may be ({r.MAX_RECORD_BYTES // 1024} KiB).")
    blobs |= found
    return draft


def _small_result(
    data: r.ToolCallCompleted.Data | r.ToolCallLate.Data,
) -> tuple[r.ToolCallCompleted.Data | r.ToolCallLate.Data, dict[str, bytes]]:
    for limit in (BLOB_LIMIT, _MANY_PARTS_LIMIT):
        message, found = externalise(Message.tool_result("", data.content), limit)
        block = message.content[0]
        changed = data.model_copy(update={"content": getattr(block, "content", data.content)})
        if len(changed.model_dump_json()) < r.MAX_RECORD_BYTES // 2:
            break
    return changed, found


_MANY_PARTS_LIMIT = 1024
"""Above so many bytes each part of a result of many parts becomes a blob, when they are too large together."""

_ENVELOPE_BYTES = 1024
"""Everything in a record but its data: a few ids of at most 128 characters and two numbers."""


def blobs_of(record: r.Record) -> frozenset[str]:
    """The digests of the blobs that a record refers to."""
    data = record.data
    messages: list[Message] = []
    apart: tuple[str, ...] = ()
    if isinstance(data, r.UserMessage.Data | r.MessageAdded.Data | r.ModelCallCompleted.Data):
        messages.append(data.message)
    elif isinstance(data, r.SessionCompacted.Data) and data.summary is not None:
        messages.append(data.summary)
    elif isinstance(data, r.ModelCallFailed.Data) and data.partial is not None:
        messages.append(data.partial)
    elif isinstance(data, r.ToolCallCompleted.Data | r.ToolCallLate.Data):
        messages.append(Message.tool_result("", data.content))
        apart = tuple(piece for one in (data.artifact, *data.files) if one is not None for piece in one.pieces)
    elif isinstance(data, r.TurnCompleted.Data | ChildReport):
        messages.append(Message(role=Role.assistant, content=data.parts))
    elif isinstance(record, r.ChildCompleted):
        apart = record.data.blobs
    elif isinstance(data, r.ToolCallInputRequired.Data) and data.state is not None:
        apart = (data.state,)
    return blobs_in(messages).union(apart)


def stored(record: r.Record, digest: str | None = None) -> StoredRecord:
    """The record as stores keep it."""
    return StoredRecord(
        seq=record.seq,
        type=record.type,
        at=record.at,
        epoch=record.epoch,
        body=r.encode_record(record),
        cause=record.cause,
        digest=digest,
    )


def changed_actions(before: State, records: tuple[r.Record, ...], after: State) -> tuple[Action, ...]:
    """The rows of the actions table that these records change."""
    rows = {action.action_id: action for action in after.actions}
    known = {action.action_id: action for action in before.actions}
    touched: dict[str, Action] = {key: row for key, row in rows.items() if key not in known}
    for record in records:
        if isinstance(record, r.ActionResolved):
            action = known.get(record.data.action_id)
            if action is not None:
                touched[action.action_id] = resolved_action(action, record)
        elif isinstance(record, r.ActionRequested) and record.data.action_id not in rows:
            known[record.data.action_id] = _brief(record, after)
    return (*touched.values(), *changed_tasks(before, records))


def _brief(record: r.ActionRequested, state: State) -> Action:
    """An action that was requested and resolved within one append."""
    data = record.data
    return Action(
        action_id=data.action_id,
        kind=data.kind,
        session_id=state.session_id,
        turn_id=cast("str", record.turn_id),
        call_index=data.index,
        tool_use_id=data.tool_use_id,
        tool=data.tool,
        args=data.args,
        args_digest=data.args_digest,
        requested_at=record.at,
        detail=data.detail,
    )


def new_session(
    tenant: str,
    session_id: str,
    journal_id: str,
    config: SessionConfig,
    *,
    now: datetime,
    cause: str,
    parent: SessionInfo | State | None = None,
    task: Message | None = None,
    workspace: Workspace | None = None,
    lease: Lease | None = None,
) -> NewSession:
    """The first records and the row of a session. A child with a task is born with it in its queue."""
    root = (parent.root_journal_id or parent.journal_id) if parent else None
    data = r.SessionCreated.Data(
        journal_id=journal_id,
        tenant=tenant,
        config=config,
        parent_journal_id=parent.journal_id if parent else None,
        root_journal_id=root,
        task=cause if task is not None else None,
        workspace=workspace,
        lease=lease,
        taints=parent.taints if isinstance(parent, State) else (),
    )
    drafts = [Draft(r.SessionCreated, data, cause=cause)]
    if task is not None:
        drafts.append(Draft(r.UserMessage, r.UserMessage.Data(input_id=cause, message=task), cause=cause))
    state = State(journal_id=journal_id, session_id=session_id, tenant=tenant)
    blobs: dict[str, bytes] = {}
    records: list[StoredRecord] = []
    for draft in drafts:
        state, record = place(state, small(draft, blobs), now=now, epoch=0)
        records.append(stored(record))
    return NewSession(row=project(state), records=tuple(records), blobs=blobs)


def new_sessions(
    tenant: str, names: Sequence[tuple[str, str]], config: SessionConfig, *, now: datetime, cause: str
) -> list[NewSession]:
    """The same for many that differ in nothing but their names (session id, journal id): only the first is folded."""
    first = new_session(tenant, *names[0], config, now=now, cause=cause)
    (written,) = first.records
    record = r.decode_record(written.body)
    made = [first]
    for session_id, journal_id in names[1:]:
        data = record.data.model_copy(update={"journal_id": journal_id})
        its_own = record.model_copy(update={"session_id": session_id, "data": data})
        row = first.row.model_copy(update={"session_id": session_id, "journal_id": journal_id})
        made.append(replace(first, row=row, records=(replace(written, body=r.encode_record(its_own)),)))
    return made
