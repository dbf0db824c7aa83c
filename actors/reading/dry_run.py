"""A permission policy tried on a journal: what it would have said of the calls in it. Only the store is asked."""

from __future__ import annotations

from collections.abc import Iterator

from actors.domain import records as r
from actors.domain.base import Frozen
from actors.domain.messages import ToolUseBlock
from actors.domain.permissions import PermissionDecision, PermissionPolicy
from actors.domain.session import SessionInfo
from actors.policy.permissions import decide
from actors.reading.events import read_records
from actors.session.runtime import Runtime

Within = tuple[PermissionPolicy | None, PermissionPolicy, str, tuple[PermissionPolicy | None, ...]]
"""The runtime's policy, the one that is tried, the session's workspace, and the policies of the sessions above it."""


class JudgedCall(Frozen):
    """One call as the model proposed it, or as somebody changed it when they approved it.

    Attributes:
        seq: The record that holds the arguments: the model's answer, or the start of a call that was changed.
        tool_use_id: The model's id of the call, unique within one answer.
        decision: What the policy says of it.
    """

    seq: int
    turn_id: str | None
    tool_use_id: str
    tool: str
    decision: PermissionDecision


class DryRun(Frozen):
    """What a policy says of the calls of a stretch of a journal, oldest first.

    Attributes:
        next_after: Where to go on; None when the journal was read to its end.
    """

    calls: tuple[JudgedCall, ...]
    next_after: int | None

    def of(self, decision: PermissionDecision | str) -> tuple[JudgedCall, ...]:
        """The calls with this decision."""
        return tuple(call for call in self.calls if call.decision == PermissionDecision(decision))


async def dry_run(runtime: Runtime, info: SessionInfo, within: Within, *, after: int, limit: int) -> DryRun:
    """See ``SessionHandle.dry_run_policy``."""
    found: list[JudgedCall] = []
    upto = info.head_seq
    async for record in read_records(runtime, info.tenant, info.journal_id, after=after, upto=upto):
        found += _judged(record, within)
        if len(found) >= limit and record.seq < upto:
            return DryRun(calls=tuple(found), next_after=record.seq)
    return DryRun(calls=tuple(found), next_after=None)


def _judged(record: r.Record, within: Within) -> Iterator[JudgedCall]:
    global_policy, policy, workspace, bounds = within
    for tool_use_id, tool, args in _calls(record):
        decision = decide(global_policy, policy, tool, args, workspace=workspace, bounds=bounds)
        yield JudgedCall(seq=record.seq, turn_id=record.turn_id, tool_use_id=tool_use_id, tool=tool, decision=decision)


def _calls(record: r.Record) -> Iterator[tuple[str, str, dict[str, object]]]:
    if isinstance(record, r.ModelCallCompleted):
        for block in record.data.message.content:
            if isinstance(block, ToolUseBlock) and block.parse_error is None:
                yield block.id, block.name, block.input
    elif isinstance(record, r.ToolCallStarted) and record.data.args is not None and record.data.attempt == 1:
        yield record.data.tool_use_id, record.data.name, record.data.args
