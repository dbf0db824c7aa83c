"""The tool of the benchmarks."""

from __future__ import annotations

from actors import tool


@tool(effect="pure")
async def nothing(number: int) -> str:
    """Do nothing: what a round costs beside its tool. Each call of a turn has another number."""
    del number
    return "done"
