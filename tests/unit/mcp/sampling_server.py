"""A server of the SDK whose tools ask for a model's answer and for the roots: ``sampling_server.py FD`` over HTTP.

``twice`` has a model answer twice and adds a line to a file when it takes effect; ``where`` tells the roots.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import mcp_types as t
import uvicorn
from mcp.server.mcpserver import Context, ListRoots, MCPServer, Resolve, Sample
from mcp.server.request_state import RequestStateSecurity

server = MCPServer("sampling", version="1", request_state_security=RequestStateSecurity(keys=[b"k" * 32]))


def said(text: str) -> list[t.SamplingMessage]:
    return [t.SamplingMessage(role="user", content=t.TextContent(type="text", text=text))]


def text_of(result: t.CreateMessageResult) -> str:
    assert isinstance(result.content, t.TextContent)
    return result.content.text


def first() -> Sample:
    """The first question."""
    return Sample(said("/say one"), max_tokens=100_000, system_prompt="Be brief.")


def second(one: Annotated[t.CreateMessageResult, Resolve(first)]) -> Sample:
    """The second, which needs the first one's answer."""
    return Sample(said(f"/say two after {text_of(one)}"), max_tokens=10)


@server.tool()
def twice(
    file: str,
    one: Annotated[t.CreateMessageResult, Resolve(first)],
    two: Annotated[t.CreateMessageResult, Resolve(second)],
) -> str:
    """Have a model answer twice."""
    with Path(file).open("a") as effects:
        effects.write("done\n")
    return f"{text_of(one)}, {text_of(two)} by {two.model}"


@server.tool()
def where(roots: Annotated[t.ListRootsResult, Resolve(lambda: ListRoots())]) -> str:
    """Tell the roots."""
    return " ".join(str(root.uri) for root in roots.roots)


def asked(ctx: Context, request: t.CreateMessageRequest | t.ListRootsRequest) -> Any:
    """What was answered, or the question."""
    if ctx.input_responses:
        return str(ctx.input_responses)
    return t.InputRequiredResult(input_requests={"q": request}, request_state="kept")


@server.prompt()
async def at_home(ctx: Context) -> Any:
    """A prompt that tells the roots."""
    return asked(ctx, t.ListRootsRequest())


@server.resource("asks://{what}")
async def asks(what: str, ctx: Context) -> Any:
    """A resource that asks a model, or for the roots."""
    model = t.CreateMessageRequest(params=t.CreateMessageRequestParams(messages=said("/say read"), max_tokens=9))
    return asked(ctx, model if what == "model" else t.ListRootsRequest())


if __name__ == "__main__":
    uvicorn.run(server.streamable_http_app(), fd=int(sys.argv[1]), log_level="critical")
