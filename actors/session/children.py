"""Where two sessions meet: a child as it is born in its parent's append, and what it tells its parent. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from actors.domain import commands as c
from actors.domain import records as r
from actors.domain.blobs import externalise
from actors.domain.budgets import Budget, Lease
from actors.domain.children import Birth, ChildOutcome, ChildReport
from actors.domain.ids import letter_id
from actors.domain.journal import NewSession, OutboxRow
from actors.domain.messages import BlobTextBlock, Message, TextBlock
from actors.domain.records import MAX_RECORD_BYTES, Draft
from actors.domain.session import MAX_DEPTH, PolicyBound, SessionConfig
from actors.policy.budgets import shares
from actors.session import budgets, steering
from actors.session.projection import new_session
from actors.session.state import State

MAX_MESSAGE_CHARS = 8192
"""A failure is told in so many characters: a provider's words can be longer."""


def born(parent: State, record: r.ChildStarted, birth: Birth, *, now: datetime) -> NewSession:
    """A child's first records. What its configuration leaves open it takes from its parent, as it is now."""
    inherited = _heir(parent, birth.config)
    return new_session(
        parent.tenant,
        record.data.child_id,
        record.data.child_journal_id,
        inherited,
        now=now,
        cause=letter_id(parent.journal_id, record.seq),
        parent=parent,
        task=birth.task,
        workspace=parent.workspace if inherited.workspace == parent.config.workspace else None,
        lease=_lease(parent, birth),
    )


def _lease(parent: State, birth: Birth) -> Lease | None:
    budget, above = birth.config.budget, parent.account.lease
    if budget is None or not budget.bounds:
        return None
    lenders = (parent.journal_id, *(above.lenders if above is not None else ()))
    return Lease(amounts=budget, lenders=lenders, unpriced=parent.account.unpriced, for_task=birth.task is not None)


def _heir(parent: State, config: SessionConfig) -> SessionConfig:
    above = PolicyBound(
        permission_policy=parent.config.permission_policy,
        confirmation_policy=parent.config.confirmation_policy,
        security=parent.config.security,
    )
    bounds: list[PolicyBound] = []
    for bound in (*parent.config.bounds, above, *config.bounds):
        if bound not in bounds:
            bounds.append(bound)
    return config.model_copy(
        update={
            "bounds": tuple(bounds),
            "max_depth": min(config.max_depth, parent.config.max_depth - 1),
            "parent_id": parent.session_id,
            "storage_type": parent.config.storage_type,
            "model": config.model or parent.config.model,
            "workspace": config.workspace or parent.config.workspace,
            "permission_policy": config.permission_policy or parent.config.permission_policy,
            "security": config.security or parent.config.security,
            "queue_config": config.queue_config or parent.config.queue_config,
            "confirmation_policy": config.confirmation_policy or parent.config.confirmation_policy,
        }
    )


def endowed(parent: State, births: Sequence[Birth]) -> list[Birth] | str:
    """These children, each with its part of the parent's budget; or, as a sentence, why they may not be started.

    What a child inherits has to fit into its first record: where it does not, nobody could write the append that it is
    born in, and so the parent's turn could never go on.
    """
    why = parent.refused_children(len(births), sum(birth.task is not None for birth in births))
    if why is not None:
        return why
    parts = shares(budgets.left(parent), [birth.config.budget for birth in births])
    if isinstance(parts, str):
        return parts
    own = parent.config.storage_type
    if any(birth.config.storage_type not in {None, own} for birth in births):
        return "A child lives in the store of its parent: leave storage_type out, or start a session of its own."
    for config in {id(birth.config): birth.config for birth in births}.values():
        heir = _heir(parent, config)
        if len(heir.bounds) > MAX_DEPTH:
            return f"A child has at most {MAX_DEPTH} bounds, those of the sessions above it included."
        if len(heir.model_dump_json().encode()) > MAX_RECORD_BYTES - _REST_BYTES:
            return "The policies of the family and the child's configuration are too large together. Shorten them."
    return [_with_budget(birth, part) for birth, part in zip(births, parts, strict=True)]


def _with_budget(birth: Birth, part: Budget) -> Birth:
    if part == (birth.config.budget or Budget()):
        return Birth(config=birth.config, task=birth.task)
    return Birth(config=birth.config.model_copy(update={"budget": part}), task=birth.task)


_REST_BYTES = 32 * 1024
"""All in a child's first record but its configuration: what its parent knows again, and what a budget adds to that."""


def started(child_id: str, journal_id: str, birth: Birth, turn_id: str | None = None, **call: Any) -> Iterator[Draft]:
    """The records that a child is born with: that it is there, and what it has of the budget. ``call``: who asked."""
    data = r.ChildStarted.Data(child_id=child_id, child_journal_id=journal_id, task=birth.task is not None, **call)
    yield Draft(r.ChildStarted, data, turn_id, birth=birth)
    if birth.config.budget is not None and birth.config.budget.bounds:
        granted = r.LeaseGranted.Data(child_id=child_id, child_journal_id=journal_id, amounts=birth.config.budget)
        yield Draft(r.LeaseGranted, granted, turn_id)


def told(before: State, record: r.Record, after: State, blobs: dict[str, bytes]) -> OutboxRow | None:
    """The message that follows from this record, if any. Large text goes to ``blobs``.

    To the parent when the record says what became of the task, or gives back; to a child when it is told something.
    """
    if isinstance(record, r.ChildSignalled):
        return steering.letter(before, record)
    if isinstance(record, r.LeaseEnded | r.LeaseReturned):
        return budgets.letter(before, record)
    if before.task is None or after.task is not None or before.parent_journal_id is None:
        return None
    report = ChildReport(
        child_id=after.session_id,
        child_journal_id=after.journal_id,
        usage=after.usage,
        cost_usd=str(after.cost),
        **_outcome(record, blobs),
    )
    command = c.ReportChild(command_id=letter_id(after.journal_id, record.seq), report=report)
    return OutboxRow(record.seq, before.parent_journal_id, command.model_dump_json().encode(), report.blobs)


def _outcome(record: r.Record, blobs: dict[str, bytes]) -> dict[str, Any]:
    if isinstance(record, r.TurnCompleted):
        return {"outcome": ChildOutcome.completed} | _text(record, blobs)
    if isinstance(record, r.TurnFailed | r.SessionError):
        message = record.data.message[:MAX_MESSAGE_CHARS]
        return {"outcome": ChildOutcome.failed, "code": record.data.code, "message": message}
    if isinstance(record, r.TurnCancelled):
        message = record.data.reason[:MAX_MESSAGE_CHARS]
        return {"outcome": ChildOutcome.cancelled, "code": "cancelled", "message": message}
    return {"outcome": ChildOutcome.cancelled, "code": "withdrawn", "message": "the task was withdrawn"}


def _text(record: r.TurnCompleted, blobs: dict[str, bytes]) -> dict[str, Any]:
    if record.data.parts:
        return {"parts": record.data.parts}
    message, found = externalise(Message.assistant(record.data.text))
    if not found:
        return {"text": record.data.text}
    blobs |= found
    return {"parts": tuple(part for part in message.content if isinstance(part, TextBlock | BlobTextBlock))}
