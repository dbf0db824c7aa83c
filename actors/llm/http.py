"""HTTP to one provider: between a request body and the bytes of the answer, with every failure in our own words.

Nothing here logs. Errors carry at most the provider's own sentence, cut and with the key removed; aiohttp's exceptions
hold request headers, so they are never chained.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from pydantic import SecretStr

from actors.domain.ids import utc_now
from actors.domain.llm import RetryConfig
from actors.errors import (
    ContextExceeded,
    ModelAuthFailed,
    ModelError,
    ModelProtocolError,
    ModelRejected,
    ModelUnavailable,
    ModelUnreachable,
)
from actors.llm.answer import error_text, load_object
from actors.llm.overflow import says_too_long, window_in
from actors.policy.retry import is_retryable, parse_retry_after

CONNECT_TIMEOUT_S = 10.0
"""Longest wait for TCP and TLS: a reachable server answers within a second or two, even across the world."""

READ_TIMEOUT_S = 120.0
"""Longest silence within a stream. Providers send pings or tokens every few seconds; a reasoning model may think longer
before its first token."""

MAX_CONNECTIONS = 256
"""Connections of one model host to one provider; further calls wait for a free one within their own time limit."""

MAX_RESPONSE_BYTES = 32 * 1024 * 1024
"""Largest answer. The longest outputs of today's models are below 1 MiB of text; a stream wraps it about tenfold."""

MAX_ERROR_BYTES = 64 * 1024
"""How much of an error's body is read."""

MAX_DETAIL = 500
"""Characters of a provider's own words that an error carries."""

DRAIN_S = 0.1
"""How long the end of a finished stream is awaited, so that its connection can be used again."""

_CONTROL = re.compile(r"[\x00-\x20\x7f-\x9f]+")
_AUTH = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
_TOO_LONG = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY})
"""Statuses with which servers refuse a conversation that is too long."""


@dataclass(frozen=True)
class Limits:
    """Bounds of the traffic with one provider; seconds and bytes."""

    connect_s: float = CONNECT_TIMEOUT_S
    read_s: float = READ_TIMEOUT_S
    response_bytes: int = MAX_RESPONSE_BYTES


@dataclass(frozen=True)
class Request:
    """One POST.

    Attributes:
        stream: Whether a stream of events is asked for.
        read_s: Longest silence in seconds; the provider's limit when None.
    """

    path: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    stream: bool = True
    read_s: float | None = None


class ApiClient:
    """Connections to one provider's server.

    Args:
        provider: Name for errors.
        base_url: Root of the server.
        key: Removed from whatever the server says.
        retry: Which statuses mean that the server may answer later.
        limits: Bounds of time and size.
        now: The present in UTC, for Retry-After dates.
    """

    def __init__(
        self,
        provider: str,
        base_url: str,
        key: SecretStr | None,
        retry: RetryConfig,
        limits: Limits | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self.provider = provider
        self.base_url = base_url.rstrip("/")
        self._key = key
        self._retry = retry
        self._limits = limits or Limits()
        self._now = now
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close all connections; a later request opens new ones."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def clean(self, text: str) -> str:
        """A text from outside as an error may carry it: one line, bounded, without the key."""
        secret = self._key.get_secret_value().strip() if self._key else ""
        if secret:
            text = text.replace(secret, "[key]")
        text = _CONTROL.sub(" ", text[: 8 * MAX_DETAIL]).strip()
        return text if len(text) <= MAX_DETAIL else f"{text[: MAX_DETAIL - 3]}..."

    def fault(self, detail: str) -> ModelError:
        """The error for an answer that is broken in this way, or that says in the stream what a status could have."""
        detail = self.clean(detail).rstrip(". ")
        if says_too_long(detail, {}):
            return ContextExceeded(self.provider, HTTPStatus.OK.value, detail, window_in(detail, {}))
        return ModelProtocolError(self.provider, detail)

    @asynccontextmanager
    async def post(self, request: Request) -> AsyncGenerator[ApiResponse]:
        """Send a request and hand out the successful answer; leaving early closes its connection.

        Raises:
            ModelUnreachable: no connection.
            ModelUnavailable: no answer, or a status after which another attempt may help.
            ModelAuthFailed: 401 or 403.
            ContextExceeded: the conversation is longer than the model's window.
            ModelRejected: any other status, a redirect, or a server whose certificate cannot be trusted.
        """
        response = await self._open(request)
        try:
            if not HTTPStatus.OK <= response.status < HTTPStatus.MULTIPLE_CHOICES:
                raise await self._failure(response)
            yield ApiResponse(self, response, self._limits, request.stream)
        except BaseException:
            response.close()
            raise
        response.release()

    async def _open(self, request: Request) -> aiohttp.ClientResponse:
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=self._limits.connect_s, sock_read=request.read_s or self._limits.read_s
        )
        url = self.base_url + request.path
        try:
            return await self._connected().post(
                url, data=request.body, headers=request.headers, allow_redirects=False, timeout=timeout
            )
        except (aiohttp.ClientSSLError, aiohttp.InvalidURL) as error:
            raise ModelRejected(self.provider, 0, f"{_what_failed(error)} at {self._where()}") from None
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise ModelUnreachable(self.provider, f"{_what_failed(error)} at {self._where()}") from None
        except (aiohttp.ClientError, OSError) as error:
            raise ModelUnavailable(self.provider, f"{_what_failed(error)} at {self._where()}") from None

    def _connected(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=MAX_CONNECTIONS),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": "greenroom", "Accept-Encoding": "identity"},
            )
        return self._session

    def _where(self) -> str:
        return urlsplit(self.base_url).netloc

    async def _failure(self, response: aiohttp.ClientResponse) -> ModelError:
        status = response.status
        body, said = await self._explanation(response)
        detail = f"status {status}: {said}".rstrip(". ")
        if is_retryable(self._retry, status):
            return ModelUnavailable(
                self.provider, detail, parse_retry_after(response.headers.get("Retry-After"), self._now())
            )
        if status in _AUTH:
            return ModelAuthFailed(self.provider, detail)
        if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
            detail = "the server redirects, which is not followed with a key; check base_url"
        detail = detail.removeprefix(f"status {status}: ")
        if status in _TOO_LONG and says_too_long(detail, body):
            return ContextExceeded(self.provider, status, detail, window_in(detail, body))
        return ModelRejected(self.provider, status, detail)

    async def _explanation(self, response: aiohttp.ClientResponse) -> tuple[dict[str, Any], str]:
        """The error's body, empty unless it is a JSON object, and the sentence in it."""
        raw = b""
        body: dict[str, Any] = {}
        try:
            while len(raw) < MAX_ERROR_BYTES and (chunk := await response.content.readany()):
                raw += chunk
        except (aiohttp.ClientError, OSError):
            pass  # What arrived is explanation enough; the status is known.
        text = raw[:MAX_ERROR_BYTES].decode(errors="replace").strip()
        try:
            body = load_object(text, self.fault)
            text = error_text(body)
        except ModelProtocolError:
            text = "" if text.startswith("<") else text
        return body, self.clean(text) or _phrase(response.status)


class ApiResponse:
    """A successful answer whose body is still to be read."""

    def __init__(self, client: ApiClient, response: aiohttp.ClientResponse, limits: Limits, asked: bool) -> None:
        self._client = client
        self._response = response
        self._left = limits.response_bytes
        self._asked = asked

    @property
    def is_event_stream(self) -> bool:
        """Whether the body is a stream of events: the server says so, or was asked for one and does not say JSON."""
        kind = self._response.content_type
        return kind == "text/event-stream" or (self._asked and not kind.endswith("json"))

    async def next_chunk(self) -> bytes:
        """What has arrived since, at least one byte; empty at the end.

        Raises:
            ModelProtocolError: the connection broke, was silent for too long, or the answer is too large.
        """
        try:
            chunk = await self._response.content.readany()
        except (aiohttp.ClientError, OSError) as error:
            raise self._client.fault(f"the answer was cut off ({_what_failed(error)})") from None
        self._left -= len(chunk)
        if self._left < 0:
            raise self._client.fault("the answer is larger than Greenroom takes")
        return chunk

    async def read(self) -> bytes:
        """The whole body."""
        chunks: list[bytes] = []
        while chunk := await self.next_chunk():
            chunks.append(chunk)
        return b"".join(chunks)

    async def drain(self) -> None:
        """Wait a moment for the end of a stream of which nothing more is wanted."""
        try:
            async with asyncio.timeout(DRAIN_S):
                await self.next_chunk()
        except (TimeoutError, ModelProtocolError):
            pass  # The answer is whole; the connection is closed instead of being used again.


def _what_failed(error: Exception) -> str:
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return "the server's TLS certificate is not trusted"
        case aiohttp.ClientSSLError():
            return "no secure connection"
        case aiohttp.InvalidURL():
            return "the address is not valid"
        case aiohttp.ClientConnectorDNSError():
            return "the host name is not known"
        case aiohttp.ConnectionTimeoutError():
            return "no connection in time"
        case aiohttp.ServerTimeoutError() | TimeoutError():
            return "no data in time"
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientPayloadError() | ConnectionResetError():
            return "the connection was closed early"
        case aiohttp.ClientConnectorError():
            return f"no connection ({error.strerror or type(error.os_error).__name__})"
        case _:
            return f"the connection failed ({type(error).__name__})"


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "no explanation"
