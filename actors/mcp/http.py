"""Boundary between the SDK and a server at a URL: headers, tokens, and bounds of time and size."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from actors.domain.mcp import MAX_ANSWER_S
from actors.domain.mcp_transports import HttpTransport, McpOAuth

if TYPE_CHECKING:
    import httpx2

MAX_EVENT_BYTES: Final = 8 * 1024 * 1024
"""Longest message, as over stdio."""

CONNECT_S: Final = 10.0
"""Longest wait for a connection, and for a piece of a request to be taken."""

SILENCE_S: Final = MAX_ANSWER_S
"""Longest silence of an open stream: a call stays open as long as its question. Calls have time-outs of their own."""


@asynccontextmanager
async def http_transport(transport: HttpTransport, oauth: McpOAuth | None) -> AsyncGenerator[tuple[Any, Any]]:
    """A transport of the SDK to a URL."""
    import httpx2
    from mcp.client.sse import sse_client
    from mcp.client.streamable_http import streamable_http_client

    url = transport.url.get_secret_value()
    headers = {name: value.get_secret_value() for name, value in transport.headers.items()}
    if oauth is not None and oauth.access_token is not None:
        headers["Authorization"] = f"Bearer {oauth.access_token.get_secret_value()}"
    auth = _client_credentials(url, oauth) if oauth is not None and oauth.access_token is None else None
    timeout = httpx2.Timeout(CONNECT_S, read=SILENCE_S)

    def client(headers: Any = None, timeout: Any = timeout, auth: Any = auth) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(headers=headers, timeout=timeout, auth=auth, transport=_bounded())

    if transport.type == "sse":
        async with sse_client(url, headers, CONNECT_S, SILENCE_S, client, auth) as streams:
            yield streams
    else:
        async with (
            client(headers) as http,
            streamable_http_client(url, http_client=http, max_sse_event_size=MAX_EVENT_BYTES) as streams,
        ):
            yield streams


def _client_credentials(url: str, oauth: McpOAuth) -> httpx2.Auth:
    """Gets a token when the first request is made, and another one when that has run out."""
    import time

    import httpx2

    class ClientCredentials(httpx2.Auth):
        requires_response_body = True

        def __init__(self) -> None:
            self._token = ""
            self._until = 0.0

        def _request(self) -> httpx2.Request:
            form = {"grant_type": "client_credentials", "resource": url.partition("?")[0]}
            if oauth.scopes:
                form["scope"] = " ".join(oauth.scopes)
            assert oauth.token_url is not None and oauth.client_id is not None and oauth.client_secret is not None
            basic = httpx2.BasicAuth(oauth.client_id, oauth.client_secret.get_secret_value())
            return next(basic.sync_auth_flow(httpx2.Request("POST", oauth.token_url, data=form)))

        def auth_flow(self, request: httpx2.Request) -> Any:
            if not self._token or time.monotonic() >= self._until:
                yield from self._fetch()
            request.headers["Authorization"] = f"Bearer {self._token}"
            response = yield request
            if response.status_code == 401:
                yield from self._fetch()
                request.headers["Authorization"] = f"Bearer {self._token}"
                yield request

        def _fetch(self) -> Any:
            response = yield self._request()
            try:
                answer = response.json() if response.status_code == 200 else {}
                self._token = str(answer["access_token"])
                self._until = time.monotonic() + float(answer.get("expires_in", 3600)) - 30
            except (ValueError, KeyError, TypeError, AttributeError):
                raise httpx2.RequestError(
                    f"the token endpoint answered {response.status_code} without a token"
                ) from None

    return ClientCredentials()


def _bounded() -> httpx2.AsyncBaseTransport:
    """Ends responses that are larger than a message may be; streams of events are bounded event by event."""
    import httpx2

    class Bounded(httpx2.AsyncHTTPTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            response = await super().handle_async_request(request)
            if not response.headers.get("content-type", "").startswith("text/event-stream"):
                response.stream = _BoundedStream(response.stream)
            return response

    class _BoundedStream(httpx2.AsyncByteStream):
        def __init__(self, stream: Any) -> None:
            self._stream = stream

        async def __aiter__(self) -> AsyncGenerator[bytes]:
            size = 0
            async for chunk in self._stream:
                size += len(chunk)
                if size > MAX_EVENT_BYTES:
                    raise httpx2.ReadError("the response is larger than 8 MiB")
                yield chunk

        async def aclose(self) -> None:
            await self._stream.aclose()

    return Bounded()
