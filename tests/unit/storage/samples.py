"""Sessions, records and parts that look like the real ones, for the tests of stores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from actors.domain.actions import Action, ActionKind, Resolution
from actors.domain.journal import AppendPart, Letter, NewSession, OutboxRow, Refused, StoredRecord
from actors.domain.messages import TokenUsage
from actors.domain.session import SessionInfo
from actors.storage.backend import Backend

TENANT = "default"
START = datetime(2026, 3, 1, 12, 30, 15, 123457, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def journal(session_id: str) -> str:
    return f"J-{session_id}"


def info(session_id: str, *, tenant: str = TENANT, **values: Any) -> SessionInfo:
    merged: dict[str, Any] = {"head_seq": 1, "created_at": START, "updated_at": START}
    merged |= {"tenant": tenant, "session_id": session_id, "journal_id": journal(session_id)}
    return SessionInfo(**(merged | values))


def full_info(session_id: str) -> SessionInfo:
    """A row in which every field has a value of its own."""
    return info(
        session_id,
        name="Ärger mit 100% _Rest_",
        activity="running",
        model="scripted/x",
        parent_id="mother",
        parent_journal_id=journal("mother"),
        root_journal_id=journal("root"),
        open_turn="t1",
        queued=2,
        messages=3,
        turns=4,
        usage=TokenUsage(prompt_tokens=5, completion_tokens=6, total_tokens=11, cache_read_tokens=1),
        cost_usd="0.00000012345678901234567890",
        inherited_usage=TokenUsage(prompt_tokens=2, completion_tokens=1, total_tokens=3, cache_write_tokens=1),
        inherited_cost_usd="0.00000000000000000000000001",
        task="J-mother:4",
        wake_at=at(99.000001),
        expires_at=at(100.5),
        updated_at=at(1),
    )


def record(seq: int, *, epoch: int = 1, cause: str | None = None, digest: str | None = None) -> StoredRecord:
    return StoredRecord(seq, "user.message", at(seq), epoch, f'{{"seq":{seq}}}'.encode(), cause, digest)


def new(session_id: str, *, tenant: str = TENANT, **values: Any) -> NewSession:
    return NewSession(info(session_id, tenant=tenant, **values), (replace(record(1, epoch=0), type="session.created"),))


def part(
    session_id: str,
    after: int,
    count: int = 2,
    *,
    epoch: int = 1,
    batch: str | None = None,
    command: str | None = None,
    tenant: str = TENANT,
    row: Mapping[str, Any] | None = None,
    **values: Any,
) -> AppendPart:
    """A part of ``count`` records; the first claims ``command``, all carry it as their cause."""
    records = tuple(
        record(seq, epoch=epoch, cause=command, digest="dg" if command and seq == after + 1 else None)
        for seq in range(after + 1, after + count + 1)
    )
    projected = info(session_id, tenant=tenant, **({"head_seq": after + count, "epoch": epoch} | dict(row or {})))
    batch_id = batch or f"batch-{session_id}-{epoch}-{after}"
    return AppendPart(tenant, journal(session_id), epoch, after, batch_id, records, projected, **values)


def action(name: str, seconds: float = 0, resolution: Resolution | None = None) -> Action:
    return Action(
        action_id=name,
        kind=ActionKind.approval,
        session_id="s",
        turn_id="t1",
        call_index=0,
        tool_use_id="u1",
        tool="bash",
        args={"command": "ls", "deep": [1, None, {"x": 1.5}]},
        args_digest="00",
        requested_at=at(seconds),
        resolution=resolution,
    )


def outbox(seq: int, target: str = "other", *, blobs: tuple[str, ...] = ()) -> OutboxRow:
    return OutboxRow(seq, journal(target), b"hello", blobs)


def letter(seq: int, sender: str = "s") -> Letter:
    """What waits for the receiver of ``outbox(seq)``."""
    return Letter(TENANT, journal(sender), seq, b"hello")


def born(backend: Backend, *session_ids: str, tenant: str = TENANT) -> None:
    """Create sessions and take their first epoch."""
    sessions = [new(session_id, tenant=tenant) for session_id in session_ids]
    assert backend.create(tenant, f"create-{'-'.join(session_ids)}", "d", sessions)
    for session_id in session_ids:
        backend.acquire(tenant, journal(session_id), 0, 1)


def refusal(answer: object) -> Exception:
    """The error of a part that must have been refused."""
    assert isinstance(answer, Refused)
    return answer.error
