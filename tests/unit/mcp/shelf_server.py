"""A server of the SDK with resources and prompts, over stdio; the tool ``grow`` adds one of each, and says so."""

from __future__ import annotations

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.prompts import Prompt
from mcp.server.mcpserver.resources import TextResource

server = MCPServer("shelf", version="1")


@server.resource("shelf://one", mime_type="text/plain")
def one() -> str:
    """The one resource that is there from the beginning."""
    return "first"


@server.resource("shelf://bytes", mime_type="application/octet-stream")
def some_bytes() -> bytes:
    """Bytes."""
    return b"\0\1\2"


@server.resource("shelf://book/{title}")
def book(title: str) -> str:
    """A resource by its title."""
    return f"the book {title}"


@server.prompt()
def review(code: str) -> str:
    """Ask for a review."""
    return f"Review this: {code}"


@server.tool()
async def grow(ctx: Context) -> str:
    """Add a resource and a prompt."""
    server.add_resource(TextResource(uri="shelf://two", name="two", text="second"))
    server.add_prompt(Prompt.from_function(lambda: "Again.", name="again", description="Asks again."))
    if (ctx.protocol_version or "") >= "2026":
        await ctx.notify_resources_changed()
        await ctx.notify_prompts_changed()
    else:
        await ctx.session.send_resource_list_changed()
        await ctx.session.send_prompt_list_changed()
    return "grown"


if __name__ == "__main__":
    server.run("stdio")
