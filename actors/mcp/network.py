"""How far requests of an MCP client go: which addresses, how long, how much.

The server itself is where its configuration says. What it leads to (documents about its authorization, places to get
tokens) is on the public internet, or as near as the server is. Imported by what has imported the SDK.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import AsyncGenerator, Iterable
from typing import Any, Final, cast
from urllib.parse import urlsplit

import httpcore2
import httpx2

from actors.tools.web.addresses import Address, is_public

MAX_EVENT_BYTES: Final = 8 * 1024 * 1024
"""Longest message, as over stdio."""

MAX_DOCUMENT_BYTES: Final = 256 * 1024
"""Longest document or token of an authorization."""

DOCUMENT_S: Final = 10.0
"""Longest wait for a connection, and for a piece of an answer, of an authorization server."""

_ASIDE: Final = "greenroom.aside"
"""Marks a request that is about an authorization."""

_PORTS: Final = {"http": 80, "https": 443}


class Reach:
    """Which addresses may be connected to.

    Args:
        url: Of the server.
        more: Further URLs of its configuration.
    """

    def __init__(self, url: str, more: Iterable[str] = ()) -> None:
        self._server = _place(url)
        self._chosen = set(map(_place, more))
        self._own: list[Address] = []

    async def addresses(self, host: str, port: int, *, plain: bool = False) -> list[str]:
        """The addresses of a host that may be connected to; the host itself when it was chosen beside the server.

        Args:
            plain: For a request that is not encrypted: these stay on near networks.

        Raises:
            ConnectError: there are none.
        """
        if (host, port) in self._chosen:
            return [host]
        found = await _resolved(host, port)
        if not self._own:
            self._own = found if (host, port) == self._server else await _resolved(*self._server)
        if (host, port) == self._server:
            good = [
                one for one in found if self._is_near(one) or (is_public(one) if self._is_far else one in self._own)
            ]
        else:
            good = [one for one in found if self._is_near(one) or (is_public(one) and not plain)]
        if not good:
            why = "not reached without encryption" if plain else "not connected to"
            raise httpcore2.ConnectError(f"{host[:100]} is no address of the public internet that may be led to: {why}")
        return [str(one) for one in sorted(good, key=lambda one: one.version)]

    @property
    def _is_far(self) -> bool:
        """Whether the server was on the public internet when it was first connected to; then nothing near is its own.

        Whoever has its name decides what that resolves to: the addresses of this machine, too, and at any time.
        """
        return any(map(is_public, self._own))

    def _is_near(self, address: Address) -> bool:
        return not self._is_far and any(_as_near(address, own) for own in self._own)


async def _resolved(host: str, port: int) -> list[Address]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as exc:
        raise httpcore2.ConnectError(f"{host[:100]} has no address: {exc.strerror}") from None
    return [_unwrapped(ipaddress.ip_address(str(one[4][0]).partition("%")[0])) for one in found]


def _unwrapped(address: Address) -> Address:
    """An address of IPv4 as such, also when it is written as one of IPv6."""
    return getattr(address, "ipv4_mapped", None) or address


def _as_near(address: Address, own: Address) -> bool:
    """Whether an address is on this machine, or on the private networks, as the server's own is."""
    if address.is_loopback or own.is_loopback:
        return address.is_loopback and own.is_loopback
    return all(one.is_private and not (one.is_link_local or one.is_unspecified) for one in (address, own))


def _place(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0)


class _Backend(httpcore2.AsyncNetworkBackend):
    """Connects to addresses that were looked at, whatever a name resolves to a moment later."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._inner = cast("httpcore2.AsyncNetworkBackend", httpcore2.AnyIOBackend())

    async def connect_tcp(self, host: str, port: int, *args: Any, **options: Any) -> httpcore2.AsyncNetworkStream:
        last: Exception | None = None
        for address in await self._reach.addresses(host, port):
            try:
                return await self._inner.connect_tcp(address, port, *args, **options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as exc:
                last = exc
        raise last or httpcore2.ConnectError("there is no address")

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


class Network(httpx2.AsyncHTTPTransport):
    """Requests within reach, and answers within bounds; streams of events are bounded event by event."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=httpx2.create_ssl_context(), network_backend=_Backend(reach), max_keepalive_connections=20
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request. One that has no times of the client's is about an authorization.

        Nothing is compressed: a few bytes could become more than any bound.
        """
        aside = _ASIDE in request.extensions or "timeout" not in request.extensions
        if aside:
            # What it is redirected to has the same extensions.
            times = httpx2.Timeout(DOCUMENT_S).as_dict()
            request.extensions = {**request.extensions, "timeout": times, _ASIDE: True}
            if request.url.scheme == "http":
                await self._near(request.url)
        request.headers["Accept-Encoding"] = "identity"
        response = await super().handle_async_request(request)
        if response.headers.get("content-encoding", "identity") != "identity":
            await response.aclose()
            raise httpx2.ReadError("the response is compressed, which it was asked not to be")
        events = response.headers.get("content-type", "").startswith("text/event-stream")
        if aside or response.is_error or not events:
            response.stream = _BoundedStream(response.stream, MAX_DOCUMENT_BYTES if aside else MAX_EVENT_BYTES)
        return response

    async def _near(self, url: httpx2.URL) -> None:
        try:
            await self._reach.addresses(url.host, url.port or _PORTS["http"], plain=True)
        except httpcore2.ConnectError as exc:
            raise httpx2.ConnectError(str(exc)) from None


class _BoundedStream(httpx2.AsyncByteStream):
    def __init__(self, stream: Any, limit: int) -> None:
        self._stream = stream
        self._limit = limit

    async def __aiter__(self) -> AsyncGenerator[bytes]:
        size = 0
        async for chunk in self._stream:
            size += len(chunk)
            if size > self._limit:
                raise httpx2.ReadError(f"the response is larger than {self._limit // 1024} KiB")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()
