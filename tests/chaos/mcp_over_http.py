"""An MCP server of 2026-07-28 on a socket that it inherits: ``python -m tests.chaos.mcp_over_http FOLDER FD``.

It keeps nothing of its calls: what it wants back is sealed with a key that all its processes share. FOLDER tells whose
it is.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated

import uvicorn
from mcp.server.mcpserver import Elicit, ElicitationResult, MCPServer, Resolve, Sample
from mcp.server.request_state import RequestStateSecurity
from mcp_types import CreateMessageResult, SamplingMessage, TextContent, ToolAnnotations
from pydantic import BaseModel

from tests.chaos.appending import LINES, answers_beside, appended
from tests.chaos.mcp_over_stdio import PAUSE_S

server = MCPServer(
    "http", version="1", log_level="CRITICAL", request_state_security=RequestStateSecurity(keys=[b"k" * 32])
)


class Fate(BaseModel):
    """What becomes of a word."""

    name: str


def fate(word: str) -> Elicit[Fate]:
    """The question."""
    return Elicit(f"What becomes of {word}?", Fate)


def wording(word: str) -> Sample:
    """What a model is asked."""
    return Sample([SamplingMessage(role="user", content=TextContent(type="text", text=f"/say {word}"))], max_tokens=100)


@server.tool()
async def append(path: str, word: str) -> str:
    """Append a line; a second run would show."""
    appended(path, word)
    await asyncio.sleep(PAUSE_S)
    return word


@server.tool(annotations=ToolAnnotations(idempotent_hint=True), structured_output=False)
async def again(path: str, word: str) -> str:
    """The same where a second run is allowed, with much to tell."""
    appended(path, word)
    await asyncio.sleep(PAUSE_S)
    return f"{word}\n" * LINES


@server.tool()
async def ask(path: str, word: str, given: Annotated[ElicitationResult[Fate], Resolve(fate)]) -> str:
    """Append a line once somebody has said so."""
    if given.action != "accept":
        raise ValueError("nothing was appended")
    appended(answers_beside(path), given.data.name)
    return await append(path, word)


@server.tool()
async def sample(path: str, word: str, given: Annotated[CreateMessageResult, Resolve(wording)]) -> str:
    """Append what a model says."""
    assert isinstance(given.content, TextContent)
    return await append(path, given.content.text)


if __name__ == "__main__":
    uvicorn.run(server.streamable_http_app(), fd=int(sys.argv[2]), log_level="critical")
