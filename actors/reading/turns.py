"""Turns as readers see them: waiting for one, and listing those there were. Only the store is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime

from actors.domain import records as r
from actors.domain.base import Frozen
from actors.domain.blobs import blobs_in, inflate
from actors.domain.contexts import Context
from actors.domain.messages import Message, Role, TokenUsage, decode_messages
from actors.domain.records import Record, decode_record
from actors.domain.session import Activity
from actors.domain.turns import AgentResult, Receipt, TurnEnd, TurnStatus
from actors.errors import (
    BudgetExceeded,
    GreenroomError,
    InputNotFound,
    InternalError,
    ModelAuthFailed,
    ModelUnavailable,
    NoModel,
    OutputInvalid,
    TurnFailed,
    TurnPending,
    from_wire,
)
from actors.reading.following import followed
from actors.session.plan import turn_end
from actors.session.ports import Store
from actors.session.state import from_snapshot

_RAISED_AS_THEY_ARE = (ModelAuthFailed, ModelUnavailable, NoModel, OutputInvalid)
"""Failures that are about the model and not the turn: callers catch them by their own names."""


class TurnInfo(Frozen):
    """One turn of a session. ``error`` is the sentence of a failed or cancelled one."""

    turn_id: str
    status: TurnStatus
    inputs: tuple[str, ...]
    started_seq: int
    started_at: datetime
    ended_seq: int | None = None
    ended_at: datetime | None = None
    text: str | None = None
    usage: TokenUsage = TokenUsage()
    tool_calls_count: int = 0
    cost_usd: str | None = None
    error_code: str | None = None
    error: str | None = None


async def result_of(store: Store, tenant: str, session_id: str, end: TurnEnd, context: Context) -> AgentResult:
    """The answer of an ended turn, with what the store keeps apart of it and of the conversation.

    Raises:
        TurnFailed: it failed or was cancelled.
        ModelAuthFailed, ModelUnavailable, NoModel: the model was the reason.
    """
    if end.status is not TurnStatus.completed:
        raise error_of(session_id, end)
    result = AgentResult(
        text=await whole_text(store, tenant, end),
        usage=end.usage,
        tool_calls_count=end.tool_calls_count,
        turn_id=end.turn_id,
        cost_usd=end.cost_usd,
    )
    return result.with_context(await _whole_context(store, tenant, context))


async def whole_text(store: Store, tenant: str, end: TurnEnd) -> str:
    """The text of an answer, however long it is."""
    if not end.parts:
        return end.text
    (message,) = await whole(store, tenant, [Message(role=Role.assistant, content=end.parts)])
    return message.text


async def whole(store: Store, tenant: str, messages: Sequence[Message]) -> tuple[Message, ...]:
    """Messages with the content that the store keeps apart."""
    wanted = blobs_in(messages)
    if not wanted:
        return tuple(messages)
    blobs = await store.blobs(tenant, sorted(wanted))
    return tuple(inflate(message, blobs) for message in messages)


async def _whole_context(store: Store, tenant: str, context: Context) -> tuple[bytes, ...]:
    messages, cut = context.messages, context.references
    if not cut:
        return messages
    grown = await whole(store, tenant, decode_messages([messages[place] for place in cut]))
    changed = dict(zip(cut, grown, strict=True))
    return tuple(changed[place].encode() if place in changed else encoded for place, encoded in enumerate(messages))


def error_of(session_id: str, end: TurnEnd) -> GreenroomError:
    """The error that a turn without an answer stands for."""
    known = from_wire({"type": end.code, "args": list(end.error_args)})
    if isinstance(known, _RAISED_AS_THEY_ARE):
        return known
    kind = BudgetExceeded if end.code == BudgetExceeded.__name__ else TurnFailed
    return kind(session_id, end.turn_id, end.code, end.message)


def error_of_failure(session_id: str, record: r.SessionTitleFailed | r.SessionCompactionFailed) -> GreenroomError:
    """The error of something that is done like a turn, and failed."""
    data = record.data
    end = TurnEnd(
        turn_id=record.turn_id or "",
        status=TurnStatus.failed,
        seq=record.seq,
        code=data.code,
        message=data.message,
        error_args=data.error_args,
    )
    return error_of(session_id, end)


async def wait_turn(
    store: Store, tenant: str, receipt: Receipt, *, timeout: float | None = None, until_action: bool = False
) -> AgentResult:
    """Wait at the store for the turn that takes an input.

    Raises:
        TurnPending: ``timeout`` seconds passed, or with ``until_action`` the turn waits for a decision.
        InputNotFound: the input was withdrawn.
    """
    try:
        async with asyncio.timeout(timeout):
            end = await _end_of(store, tenant, receipt, until_action=until_action)
    except TimeoutError:
        raise TurnPending(receipt.session_id, receipt.input_id, receipt.seq) from None
    snapshot = await store.state(tenant, receipt.journal_id, upto=end.seq)
    context = Context.of(tuple(entry.message for entry in from_snapshot(snapshot.body).context))
    return await result_of(store, tenant, receipt.session_id, end, context)


async def _end_of(store: Store, tenant: str, receipt: Receipt, *, until_action: bool) -> TurnEnd:
    turn_id: str | None = None
    asked = False
    async for batch in followed(store, tenant, receipt.journal_id, after=receipt.seq):
        for stored in batch:
            if stored.type not in _TELLING:
                continue
            record = decode_record(stored.body)
            if isinstance(record, r.InputWithdrawn) and record.data.input_id == receipt.input_id:
                raise InputNotFound(receipt.input_id)
            if isinstance(record, r.TurnStarted | r.TurnSteered) and receipt.input_id in record.data.inputs:
                turn_id = record.turn_id
            elif isinstance(record, r.TURN_ENDS) and record.turn_id == turn_id:
                return turn_end(record)
            asked = asked or (isinstance(record, r.ActionRequested) and record.turn_id == turn_id)
        if until_action and asked:
            row = await store.row(tenant, receipt.journal_id)
            if row is not None and row.activity is Activity.requires_action:
                raise TurnPending(receipt.session_id, receipt.input_id, receipt.seq, "requires_action")
    raise InternalError("a journal ended under its reader")


_TELLING = frozenset(
    {
        "input.withdrawn",
        "turn.started",
        "turn.steered",
        "turn.completed",
        "turn.failed",
        "turn.cancelled",
        "action.requested",
    }
)
"""The records that tell a waiter something; others are not decoded."""


async def turns_of(store: Store, tenant: str, records: Iterable[Record], activity: Activity) -> list[TurnInfo]:
    """The turns in a journal, oldest first. ``activity`` is that of the session now."""
    turns: dict[str, TurnInfo] = {}
    for record in records:
        if isinstance(record, r.TurnStarted):
            turns[record.turn_id or ""] = TurnInfo(
                turn_id=record.turn_id or "",
                status=TurnStatus.running,
                inputs=record.data.inputs,
                started_seq=record.seq,
                started_at=record.at,
            )
        elif isinstance(record, r.TurnSteered) and record.turn_id in turns:
            turn = turns[record.turn_id]
            turns[record.turn_id] = turn.model_copy(update={"inputs": (*turn.inputs, *record.data.inputs)})
        elif isinstance(record, r.TURN_ENDS) and record.turn_id in turns:
            end = turn_end(record)
            text = await whole_text(store, tenant, end)
            turns[record.turn_id] = _ended(turns[record.turn_id], end, record.at, text)
    found = list(turns.values())
    if found and found[-1].status is TurnStatus.running and activity is Activity.requires_action:
        found[-1] = found[-1].model_copy(update={"status": TurnStatus.requires_action})
    return found


def _ended(turn: TurnInfo, end: TurnEnd, at: datetime, text: str) -> TurnInfo:
    done = end.status is TurnStatus.completed
    return turn.model_copy(
        update={
            "status": end.status,
            "ended_seq": end.seq,
            "ended_at": at,
            "text": text if done else None,
            "usage": end.usage,
            "tool_calls_count": end.tool_calls_count,
            "cost_usd": end.cost_usd,
            "error_code": None if done else end.code,
            "error": None if done else end.message,
        }
    )
