"""The gate in front of every route: between a raw ASGI request and the application.

Who asks, from where, with how large a body of what kind; and an answer for whatever falls through.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from actors.domain.mcp_oauth import CALLBACK_PATH, CLIENT_PATH
from actors.errors import Unauthorized
from serve_app.auth import Keyring, is_local_host, is_local_origin
from serve_app.problems import BodyTooLarge, ForeignOrigin, HttpRefusal, NotJson, ProblemResponse, problem_of

MAX_BODY_BYTES = 10 * 1024 * 1024
"""Largest request body: a 5 MB image, the largest that providers take, is 6.7 MB in base64."""

OPEN_PATHS = frozenset({"/", "/healthz", "/readyz", "/openapi.json", CALLBACK_PATH, CLIENT_PATH})
"""What anybody may read even with keys configured: probes, the description, the page that asks for the key, where
browsers come back to from an authorization page, which know its state, and what its server reads about the service."""

OPEN_PREFIX = "/console/"

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}

_log = logging.getLogger("greenroom.http")


class _ClientGone(Exception):
    """The client hung up while it was sending its body."""


@dataclass(frozen=True, slots=True)
class Gate:
    """ASGI middleware that lets through what may pass.

    Attributes:
        keyring: With keys, every path but the open ones wants a Bearer token. Without, requests have to come from
            this machine and from no foreign page.
    """

    app: ASGIApp
    keyring: Keyring
    max_body: int = MAX_BODY_BYTES

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or hand on to the application."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        sending = _Sending(send)
        try:
            headers = Headers(scope=scope)
            self._check_sender(scope["path"], headers)
            checked = await self._checked_body(headers, receive)
            await self.app(scope, checked, sending)
        except _ClientGone:
            return
        except HttpRefusal as refusal:
            await _refuse(refusal, scope, receive, sending)
        except Unauthorized as refusal:
            await _refuse(refusal, scope, receive, sending)
        except Exception as error:
            _log.exception("A request failed: %s %s", scope["method"], scope["path"])
            if sending.started:
                raise
            await _refuse(error, scope, receive, sending)

    def _check_sender(self, path: str, headers: Mapping[str, str]) -> None:
        if self.keyring:
            is_open = path in OPEN_PATHS or path.startswith(OPEN_PREFIX)
            if not is_open and not self.keyring.admits(headers.get("authorization")):
                raise Unauthorized("send one of the configured API keys as 'Authorization: Bearer KEY'")
            return
        if not is_local_host(headers.get("host")):
            raise ForeignOrigin(
                "Without API keys only the names 127.0.0.1, localhost and [::1] are served. Use one of them, or "
                "configure GREENROOM_API_KEYS."
            )
        if not is_local_origin(headers.get("origin")):
            raise ForeignOrigin("Pages of other origins may not call this service. Configure GREENROOM_API_KEYS.")

    async def _checked_body(self, headers: Mapping[str, str], receive: Receive) -> Receive:
        declared = headers.get("content-length")
        chunked = "chunked" in headers.get("transfer-encoding", "").lower()
        if not chunked and (declared is None or declared == "0"):
            return receive
        if declared is not None and (not declared.isdigit() or int(declared) > self.max_body):
            raise self._too_large()
        media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != "application/json":
            raise NotJson("Only bodies of Content-Type application/json are read.")
        return await self._whole_body(receive) if chunked else receive

    async def _whole_body(self, receive: Receive) -> Receive:
        """Read a body of undeclared length, up to the limit, and give it again."""
        body = bytearray()
        more = True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                raise _ClientGone
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > self.max_body:
                raise self._too_large()
        pending: list[Message] = [{"type": "http.request", "body": bytes(body), "more_body": False}]

        async def replay() -> Message:
            return pending.pop() if pending else await receive()

        return replay

    def _too_large(self) -> BodyTooLarge:
        return BodyTooLarge(f"The body is longer than {self.max_body} bytes. Send less at once.")


class _Sending:
    """The response on its way: adds the headers that every answer has, and knows whether it began."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            headers = MutableHeaders(scope=message)
            for name, value in SECURITY_HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("Cache-Control", "no-store")
        await self._send(message)


async def _refuse(error: Exception, scope: Scope, receive: Receive, send: Send) -> None:
    await ProblemResponse(problem_of(error, scope["path"]))(scope, receive, send)
