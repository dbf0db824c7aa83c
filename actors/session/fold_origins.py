"""The meaning of the records with which a session begins: new, as a fork of another, or from a document.

Pure, as ``actors.session.fold``, which dispatches to these.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from actors.domain import records as r
from actors.domain.session import SessionState
from actors.session.account import Account
from actors.session.failure import Ending
from actors.session.fold_calls import change
from actors.session.state import State


def created(state: State, record: r.SessionCreated) -> State:
    """It is new."""
    data = record.data
    return change(
        state,
        journal_id=data.journal_id,
        tenant=data.tenant,
        session_id=record.session_id,
        config=data.config,
        parent_journal_id=data.parent_journal_id,
        root_journal_id=data.root_journal_id,
        task=data.task,
        workspace=data.workspace,
        account=Account(lease=data.lease, unpriced=data.lease.unpriced if data.lease is not None else ()),
        created_at=record.at,
        taints=data.taints,
    )


def forked(state: State, record: r.SessionForked) -> State:
    """It goes on from what another one was at that place."""
    data = record.data
    return change(
        state,
        journal_id=data.journal_id,
        session_id=record.session_id,
        config=state.config.model_copy(update={"name": data.name, "parent_id": data.source_session_id}),
        lifecycle=SessionState.active,
        inherited_usage=state.usage,
        inherited_cost=state.cost,
        created_at=record.at,
        windows={},
        lane_counts={},
        dead_letters=(),
        account=Account(),
        **_cut_loose(state, "forked"),
    )


def imported(state: State, record: r.SessionImported) -> State:
    """It was somewhere else before."""
    data = record.data
    told = {
        "lifecycle": data.state,
        "usage": data.usage,
        "cost": Decimal(data.cost_usd) if data.cost_usd is not None else None,
        "context_used": data.context_used,
    }
    told = {name: value for name, value in told.items() if value is not None}
    account = Account(**state.account.model_dump(include={"tool_calls", "worked_us", "raised", "unpriced"}))
    # Digests are under the key of the store that it was in.
    return change(state, account=account, taints=(), **told, **_cut_loose(state, "imported"))


def _cut_loose(state: State, reason: str) -> dict[str, Any]:
    """What changes when a session goes on elsewhere: all that was under way stays where it was."""
    turn = state.turn
    ending = Ending(reason=reason, then="cancelled", code="cancelled")
    return {
        "parent_journal_id": None,
        "root_journal_id": None,
        "task": None,
        "queue": (),
        "children": (),
        "actions": (),
        "expired": (),
        "unanswered": (),
        "compacting": None,
        "titling": False,
        "turn": turn.model_copy(update={"ending": ending}) if turn is not None else None,
    }
