"""What a session's tool calls did, read off its journal: one line per attempt."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from enum import StrEnum

from actors.domain import records as r
from actors.domain.base import Frozen
from actors.domain.calls import OUTCOME, CallKey, HostRef, Outcome
from actors.domain.journal import StoredResult
from actors.domain.tools import EffectClass
from actors.session.external import OUTSIDE

Closing = (
    r.ToolCallCompleted
    | r.ToolCallHeld
    | r.ToolCallInDoubt
    | r.ToolCallLate
    | r.ToolCallInputRequired
    | r.CommandRetried
)


class EffectStatus(StrEnum):
    """How far an attempt has come.

    ``in_doubt``: nobody knows whether it ran. It stays so when another attempt is made; when somebody skips the call or
    says what came of it, the attempt is ``settled``. ``late``: closed as unknown, and then its outcome came after all.
    """

    started = "started"
    settled = "settled"
    in_doubt = "in_doubt"
    late = "late"


class Effect(Frozen):
    """One attempt of one tool call.

    Attributes:
        call_id: The same over all attempts; the tool receives it as its idempotency key.
        seq: Place of the attempt's ``tool.call.started``; durable before anything ran.
        outcome: None while there is none. Of a late one that which came late.
        host: Where it runs, or ran; ``session`` for what the session carries out by itself, such as ``sleep``.
    """

    call_id: str
    attempt: int
    tool: str
    status: EffectStatus
    outcome: Outcome | None = None
    seq: int
    turn_id: str | None
    effect: EffectClass
    host: HostRef


async def effects_of(records: AsyncIterator[r.Record], *, limit: int) -> tuple[Effect, ...]:
    """The first ``limit`` attempts that begin in these records, as they stand at the end of them, oldest first.

    Reads no further than it has to: what is settled stays so, unless its outcome is unknown and may still come.
    """
    found: dict[CallKey, Effect] = {}
    open_ones: set[CallKey] = set()
    async for record in records:
        if isinstance(record, r.ToolCallStarted):
            if len(found) < limit:
                begun = _begun(record)
                key = CallKey(call_id=begun.call_id, attempt=begun.attempt)
                found[key] = begun
                open_ones.add(key)
        elif isinstance(record, Closing):
            key = CallKey(call_id=record.data.call_id, attempt=record.data.attempt)
            if key in open_ones:
                found[key] = _after(found[key], record)
                if not _may_come(found[key]):
                    open_ones.remove(key)
        if len(found) == limit and not open_ones:
            break
    return tuple(found.values())


def with_late(effects: Iterable[Effect], results: Iterable[StoredResult]) -> tuple[Effect, ...]:
    """Effects with outcomes that their host has written down and their session, which is dormant, has not yet.

    Args:
        results: Read before the records: an activation takes them away as it writes ``tool.call.late``.
    """
    written = {CallKey(call_id=one.call_id, attempt=one.attempt): one.outcome for one in results if one.outcome}
    return tuple(_made_late(one, written.get(CallKey(call_id=one.call_id, attempt=one.attempt))) for one in effects)


def _made_late(effect: Effect, written: bytes | None) -> Effect:
    if written is None or effect.status is EffectStatus.started or not _may_come(effect):
        return effect
    outcome = OUTCOME.validate_json(written).outcome
    if outcome is Outcome.unknown:
        return effect
    return effect.model_copy(update={"status": EffectStatus.late, "outcome": outcome})


def _may_come(effect: Effect) -> bool:
    """Whether its outcome may still be told; a worker outside may also tell it after the task was taken back."""
    if effect.outcome in {None, Outcome.unknown}:
        return True
    taken_back = effect.outcome in {Outcome.timeout, Outcome.cancelled}
    return taken_back and effect.host == OUTSIDE and effect.status is not EffectStatus.late


def _begun(record: r.ToolCallStarted) -> Effect:
    data = record.data
    return Effect(
        call_id=data.call_id,
        attempt=data.attempt,
        tool=data.name,
        status=EffectStatus.started,
        seq=record.seq,
        turn_id=record.turn_id,
        effect=data.effect,
        host=data.host,
    )


def _after(effect: Effect, record: Closing) -> Effect:
    if isinstance(record, r.ToolCallInDoubt):
        return effect.model_copy(update={"status": EffectStatus.in_doubt})
    if isinstance(record, r.ToolCallInputRequired):
        return effect.model_copy(update={"status": EffectStatus.settled, "outcome": Outcome.input_required})
    status = EffectStatus.late if isinstance(record, r.ToolCallLate) else EffectStatus.settled
    return effect.model_copy(update={"status": status, "outcome": record.data.outcome})
