"""An MCP server that has to be authorized, and its authorization server, in this process and over real HTTP.

Both can be told to misbehave: what they say of each other, and what they want, is kept in attributes.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import secrets
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

import httpx
import uvicorn
from mcp.server.mcpserver import Context, MCPServer
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.types import Message, Receive, Scope, Send

RESOURCE = "/.well-known/oauth-protected-resource/mcp"
METADATA = "/.well-known/oauth-authorization-server"


class AuthServer:
    """Both servers.

    Attributes:
        tokens: Those that are good, with their scopes.
        wanted: Scopes that single tools want; all others want ``use``.
        resource, metadata: Members that replace those of the documents.
        answers: Whole answers in the place of documents and endpoints, by path.
        asked: Forms that came to the token endpoint; ``clients``: what was registered.
        challenge: More of the header that refuses.
        deaf: No token is good enough; ``blabbing``: codes are refused, with all that was sent;
            ``down``: the token endpoint is out of order.
    """

    def __init__(self) -> None:
        self.url = ""
        self.tokens: dict[str, set[str]] = {}
        self.refreshable: set[str] = set()
        self.wanted: dict[str, str] = {}
        self.resource: dict[str, Any] = {}
        self.metadata: dict[str, Any] = {}
        self.answers: dict[str, Response] = {}
        self.asked: list[dict[str, str]] = []
        self.clients: list[dict[str, Any]] = []
        self.challenge = ""
        self.deaf = self.blabbing = self.down = False
        self._codes: dict[str, tuple[str, str]] = {}
        self._meeting = asyncio.Barrier(2)

    # --- the MCP server ----------------------------------------------------------------------------------------------

    def _tools(self) -> MCPServer:
        server = MCPServer("authorized", version="1")

        @server.tool()
        def add(a: int, b: int) -> int:
            return a + b

        @server.tool()
        def admin() -> str:
            return "done"

        @server.tool()
        async def meet() -> str:
            await self._meeting.wait()
            return "met"

        @server.tool()
        def tell(ctx: Context) -> str:
            del ctx
            return f"tokens: {' '.join(self.tokens)} {' '.join(self.refreshable)}"

        return server

    async def _guard(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        more = scope["method"] == "POST"
        while more:
            message = await receive()
            body += message["body"]
            more = message.get("more_body", False)
        said = json.loads(body) if body else {}
        tool = said["params"]["name"] if said.get("method") == "tools/call" else ""
        wants = self.wanted.get(tool, "use")
        headers = dict(scope["headers"])
        has = self.tokens.get(headers.get(b"authorization", b"").decode().removeprefix("Bearer "))
        document = self.challenge or f'resource_metadata="{self.url}{RESOURCE}"'
        refusal = None
        if has is None or self.deaf:
            refusal = Response(status_code=401, headers={"WWW-Authenticate": f'Bearer scope="{wants}", {document}'})
        elif wants not in has:
            why = f'Bearer error="insufficient_scope", scope="{wants}", {document}'
            refusal = Response(status_code=403, headers={"WWW-Authenticate": why})

        async def again() -> Message:
            nonlocal body
            if body:
                given, body = body, b""
                return {"type": "http.request", "body": given, "more_body": False}
            return await receive()

        app = self._streamable if scope["path"] == "/mcp" else self._events
        await (refusal or app)(scope, again, send)

    # --- the authorization server ------------------------------------------------------------------------------------

    async def _document(self, request: Request) -> Response:
        path = request.url.path
        if path in self.answers:
            return self.answers[path]
        if path == RESOURCE:
            return JSONResponse({"resource": f"{self.url}/mcp", "authorization_servers": [self.url]} | self.resource)
        endpoints = {
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "registration_endpoint": f"{self.url}/register",
        }
        more = {"response_types_supported": ["code"], "code_challenge_methods_supported": ["S256"]}
        return JSONResponse({"issuer": self.url} | endpoints | more | self.metadata)

    async def _register(self, request: Request) -> Response:
        if request.url.path in self.answers:
            return self.answers[request.url.path]
        self.clients.append(await request.json())
        given = {"client_id": f"client-{len(self.clients)}", "client_secret": f"client-canary-{secrets.token_hex(8)}"}
        return JSONResponse(self.clients[-1] | given | {"token_endpoint_auth_method": "client_secret_post"}, 201)

    async def _authorize(self, request: Request) -> Response:
        query = request.query_params
        assert query["code_challenge_method"] == "S256"
        code = f"code-canary-{secrets.token_hex(8)}"
        self._codes[code] = query["code_challenge"], query.get("scope", "")
        back = urlencode({"code": code, "state": query["state"]})
        return RedirectResponse(f"{query['redirect_uri']}?{back}", 302)

    async def _token(self, request: Request) -> Response:
        form = {name: str(value) for name, value in (await request.form()).items()}
        self.asked.append(form)
        if self.down:
            return Response(status_code=503)
        if self.blabbing:
            return JSONResponse({"error": "invalid_grant", "error_description": str(form)}, 400)
        if form["grant_type"] == "refresh_token":
            if form["refresh_token"] not in self.refreshable:
                return JSONResponse({"error": "invalid_grant"}, 400)
            return self._give("use")
        challenge, scope = self._codes.pop(form["code"], ("", ""))
        proof = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).decode().rstrip("=")
        return self._give(scope) if proof == challenge else JSONResponse({"error": "invalid_grant"}, 400)

    def _give(self, scope: str) -> Response:
        token, refresh = (f"{kind}-canary-{secrets.token_hex(8)}" for kind in ("access", "refresh"))
        self.tokens[token] = set(scope.split())
        self.refreshable.add(refresh)
        given = {"access_token": token, "refresh_token": refresh, "token_type": "Bearer", "expires_in": 3600}
        return JSONResponse(given | {"scope": scope})

    # --- both --------------------------------------------------------------------------------------------------------

    async def agree(self, page: str) -> str:
        """Be the person who visits a page and agrees; the address that the browser is sent back to."""
        async with httpx.AsyncClient() as browser:
            return (await browser.get(page)).headers["location"]

    @asynccontextmanager
    async def serving(self) -> AsyncGenerator[AuthServer]:
        """Serve on a port of this machine."""
        tools = self._tools()
        self._streamable, self._events = tools.streamable_http_app(), tools.sse_app()

        @asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncGenerator[None]:
            async with self._streamable.router.lifespan_context(self._streamable):
                yield

        documents = [Route(path, self._document) for path in (RESOURCE, METADATA)]
        endpoints = [
            Route("/register", self._register, methods=["POST"]),
            Route("/authorize", self._authorize),
            Route("/token", self._token, methods=["POST"]),
        ]
        app = Starlette(routes=[*documents, *endpoints, Mount("/", self._guard)], lifespan=lifespan)
        with socket.create_server(("127.0.0.1", 0)) as listening:
            self.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
            server = uvicorn.Server(uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=0))
            task = asyncio.create_task(server.serve([listening]))
            try:
                yield self
            finally:
                server.should_exit = True
                await task
