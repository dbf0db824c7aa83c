"""A server of the SDK over HTTP, on a listening socket that it inherits: ``http_server.py FD [TOKEN]``.

With a token it lets nobody in who does not show it; ``/token`` gives it to the client ``id`` with ``secret``.
"""

from __future__ import annotations

import base64
import itertools
import os
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from mcp.server.mcpserver import Context, MCPServer
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Mount, Route

server = MCPServer("over-http", version="1")


@server.tool()
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@server.tool()
async def steps(ctx: Context) -> str:
    """Report progress."""
    await ctx.report_progress(1, 2, "half")
    return "done"


@server.tool()
async def chatter(ctx: Context) -> str:
    """Report progress without end."""
    for step in itertools.count():
        await ctx.report_progress(step, None, "and so on")
    return ""


@server.tool()
def big(size: int) -> str:
    """Give a long text."""
    return "x" * size


@server.tool()
def leave() -> str:
    """End the process."""
    os._exit(3)


async def token(request: Request) -> JSONResponse:
    """The client-credentials grant."""
    form = await request.form()
    given = request.headers.get("authorization", "").removeprefix("Basic ")
    if base64.b64decode(given) != b"id:secret" or form.get("grant_type") != "client_credentials":
        return JSONResponse({"error": "invalid_client"}, status_code=401)
    return JSONResponse({"access_token": sys.argv[2], "token_type": "Bearer", "expires_in": 3600})


def guarded(app: Any) -> Callable[..., Awaitable[None]]:
    """The app behind the token."""

    async def guard(scope: dict[str, Any], receive: Any, send: Any) -> None:
        shown = dict(scope.get("headers", [])).get(b"authorization", b"").decode()
        if scope["type"] == "http" and scope["path"] != "/token" and shown != f"Bearer {sys.argv[2]}":
            await PlainTextResponse("no", status_code=401)(scope, receive, send)
        else:
            await app(scope, receive, send)

    return guard


def main() -> None:
    """Serve until killed."""
    streamable, events = server.streamable_http_app(), server.sse_app()

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        async with streamable.router.lifespan_context(streamable):
            yield

    routes = [Route("/token", token, methods=["POST"]), *events.routes, Mount("/", streamable)]
    app: Any = Starlette(routes=routes, lifespan=lifespan)
    uvicorn.run(guarded(app) if len(sys.argv) > 2 else app, fd=int(sys.argv[1]), log_level="critical")


if __name__ == "__main__":
    main()
