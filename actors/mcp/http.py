"""Boundary between the SDK and a server at a URL: headers, proofs, and bounds of time and size."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from actors.domain.mcp import MAX_ANSWER_S
from actors.domain.mcp_oauth import McpOAuth
from actors.domain.mcp_transports import HttpTransport
from actors.mcp.consent import Consent

if TYPE_CHECKING:
    import httpx2

    from actors.mcp.network import Reach

CONNECT_S: Final = 10.0
"""Longest wait for a connection, and for a piece of a request to be taken."""

SILENCE_S: Final = MAX_ANSWER_S
"""Longest silence of an open stream: a call stays open as long as its question. Calls have time-outs of their own."""


class HttpWay:
    """The way to a server at a URL, over all its connections: what was agreed on once is good for the next too.

    Args:
        consent: Asks people where the server wants that.
        redirect_uri: Where browsers are sent back to, unless the configuration says otherwise.
        learn: Told of each secret that comes to be known.
    """

    def __init__(
        self,
        transport: HttpTransport,
        oauth: McpOAuth | None,
        consent: Consent,
        redirect_uri: str,
        learn: Callable[[str], None],
    ) -> None:
        self._given = transport
        self._url = transport.url.get_secret_value()
        self._headers = {name: value.get_secret_value() for name, value in transport.headers.items()}
        if oauth is not None and oauth.access_token is not None:
            self._headers["Authorization"] = f"Bearer {oauth.access_token.get_secret_value()}"
        self._oauth = oauth or McpOAuth()
        self._consent = consent
        self._redirect_uri = redirect_uri
        self._learn = learn
        self._auth: httpx2.Auth | None = None
        self._reach: Reach | None = None

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[tuple[Any, Any]]:
        """A transport of the SDK."""
        import httpx2
        from mcp.client.sse import sse_client
        from mcp.client.streamable_http import streamable_http_client

        from actors.mcp.network import MAX_EVENT_BYTES

        self._prepare()
        times = httpx2.Timeout(CONNECT_S, read=SILENCE_S)
        if self._given.type == "sse":
            async with sse_client(self._url, None, CONNECT_S, SILENCE_S, self._client, self._auth) as streams:
                yield streams
        else:
            async with (
                self._client(timeout=times, auth=self._auth) as http,
                streamable_http_client(self._url, http_client=http, max_sse_event_size=MAX_EVENT_BYTES) as streams,
            ):
                yield streams

    def _prepare(self) -> None:
        from actors.mcp.oauth import auth_of

        if self._auth is None and not any(name.lower() == "authorization" for name in self._headers):
            # What its URL has beside the address is a secret, and no part of what a token is for.
            self._auth = auth_of(self._given.address, self._oauth, self._consent, self._redirect_uri, self._learn)

    def _client(self, headers: Any = None, timeout: Any = None, auth: Any = None) -> httpx2.AsyncClient:
        import httpx2

        from actors.mcp.network import Network, Reach

        del headers
        if self._reach is None:
            chosen = (self._oauth.issuer, self._oauth.token_url, self._oauth.idp_token_url)
            self._reach = Reach(self._url, [url for url in chosen if url is not None])
        return httpx2.AsyncClient(headers=self._headers, timeout=timeout, auth=auth, transport=Network(self._reach))
