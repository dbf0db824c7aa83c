"""Tool calls in numbers."""

from __future__ import annotations

import pytest

from actors.domain.ids import utc_now
from actors.domain.tool_metrics import ToolStats
from actors.errors import SessionNotFound
from actors.tools.function import tool
from tests.unit.local.runtimes import calls, config, runtime, says


@tool
def works(text: str) -> str:
    """Give the text back."""
    return text


@tool
def breaks() -> str:
    """Never end well."""
    raise OSError("no")


def test_numbers_of_calls_add_up() -> None:
    at, later = utc_now(), utc_now()
    stats = ToolStats().with_call(success=True, ms=4, at=at).with_call(success=False, ms=10, at=later)
    assert (stats.calls, stats.succeeded, stats.failed) == (2, 1, 1)
    assert (stats.total_ms, stats.min_ms, stats.max_ms, stats.avg_ms, stats.last_called_at) == (14, 4, 10, 7.0, later)


async def test_calls_are_counted_by_tool_and_those_that_never_ran_are_not() -> None:
    steps = (
        calls(("works", {"text": "a"}), ("breaks", {}), ("bash", {"command": "exit 3"})),
        calls(("works", {"text": "b"}), ("nothing", {})),
        says("Done."),
    )
    async with runtime(works, breaks) as manager:
        one = await manager.create_session("s", config(*steps))
        assert (await one.tool_metrics()).by_tool == {}
        await one.generate("go")

        metrics = await manager.tool_metrics("s")
        assert {name: (each.calls, each.succeeded) for name, each in metrics.by_tool.items()} == {
            "bash": (1, 0),
            "breaks": (1, 0),
            "works": (2, 2),
        }
        assert (metrics.total.calls, metrics.total.succeeded, metrics.total.failed) == (4, 2, 2)
        assert metrics.stats_for("nobody") == ToolStats()
        assert metrics.stats_for("works").last_called_at is not None
        fork = await manager.fork_session("s", "f")
        assert (await fork.tool_metrics()).total == ToolStats()
        with pytest.raises(SessionNotFound):
            await manager.tool_metrics("nobody")
