"""A tool whose output says when it left: ``time.monotonic`` is one clock for all processes of a machine."""

from __future__ import annotations

import asyncio
from time import monotonic

from actors import tool
from actors.tools.base import ToolContext


@tool(effect="pure")
async def tick(pieces: int, pause_s: float, ctx: ToolContext) -> str:
    """Put out so many pieces of text, with pauses in between."""
    for _ in range(pieces):
        ctx.emit(f"{monotonic()} ")
        await asyncio.sleep(pause_s)
    return "done"
