"""How often tools were called, how that ended, and how long it took."""

from __future__ import annotations

from datetime import datetime

from actors.domain.base import Frozen


class ToolStats(Frozen):
    """Finished calls of one tool, or of all.

    Attributes:
        succeeded: Those that ended well: outcome ``ok`` and exit code 0.
        total_ms: Milliseconds that they took together; ``min_ms`` and ``max_ms`` are None without a call.
        last_called_at: When the last of them ended, in UTC.
    """

    calls: int = 0
    succeeded: int = 0
    failed: int = 0
    total_ms: int = 0
    min_ms: int | None = None
    max_ms: int | None = None
    avg_ms: float | None = None
    last_called_at: datetime | None = None

    def with_call(self, *, success: bool, ms: int, at: datetime) -> ToolStats:
        """The same with one more call."""
        calls, total_ms = self.calls + 1, self.total_ms + ms
        return ToolStats(
            calls=calls,
            succeeded=self.succeeded + success,
            failed=self.failed + (not success),
            total_ms=total_ms,
            min_ms=ms if self.min_ms is None else min(self.min_ms, ms),
            max_ms=ms if self.max_ms is None else max(self.max_ms, ms),
            avg_ms=total_ms / calls,
            last_called_at=at,
        )


class ToolMetrics(Frozen):
    """The calls of a session: all together, and by tool, in the order of their names."""

    total: ToolStats = ToolStats()
    by_tool: dict[str, ToolStats] = {}

    def stats_for(self, tool: str) -> ToolStats:
        """Those of one tool; of one that was never called there are none."""
        return self.by_tool.get(tool, ToolStats())
