"""What became of a session's tool calls in numbers, as its journal tells it. Only the store is asked."""

from __future__ import annotations

from actors.domain import records as r
from actors.domain.calls import Outcome
from actors.domain.records import decode_record
from actors.domain.session import SessionInfo
from actors.domain.tool_metrics import ToolMetrics, ToolStats
from actors.reading.stretches import BEGINNINGS, pages
from actors.session.ports import Store

_ENDS = r.ToolCallCompleted.model_fields["type"].default


async def metrics_of(store: Store, info: SessionInfo) -> ToolMetrics:
    """The calls that have ended, each with its last attempt; those that never ran do not count."""
    total, by_tool = ToolStats(), dict[str, ToolStats]()
    async for page in pages(store, info.tenant, info.journal_id, upto=info.head_seq):
        for stored in page:
            if stored.type in BEGINNINGS:
                total, by_tool = ToolStats(), {}
            elif stored.type == _ENDS:
                record = decode_record(stored.body)
                assert isinstance(record, r.ToolCallCompleted)
                data = record.data
                success = data.outcome is Outcome.ok and data.exit_code == 0
                total = total.with_call(success=success, ms=data.duration_ms, at=record.at)
                before = by_tool.get(data.name, ToolStats())
                by_tool[data.name] = before.with_call(success=success, ms=data.duration_ms, at=record.at)
    return ToolMetrics(total=total, by_tool=dict(sorted(by_tool.items())))
