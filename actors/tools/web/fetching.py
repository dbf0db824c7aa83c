"""One page over HTTP: redirects followed one by one, each looked at, and never more bytes than are wanted."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urljoin

import aiohttp

from actors.errors import ToolError
from actors.tools.web.addresses import IsAllowed, checked_url, is_public, opened

MAX_BYTES = 5 * 1024 * 1024
"""Of a body, unpacked."""

MAX_REDIRECTS = 10

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CHUNK = 1 << 16
_MAX_HEADER_BYTES = 16 * 1024
_MAX_REASON = 200

_HEADERS = {
    "User-Agent": "greenroom",
    "Accept": "text/html,application/xhtml+xml,text/plain;q=0.9,application/json;q=0.9,*/*;q=0.5",
}


@dataclass(frozen=True, slots=True)
class Page:
    """What an address gave.

    Attributes:
        url: Where it came from, after redirects.
        media_type: In lower case, without parameters; empty when the server says none.
        charset: As the server says; None when it does not.
        cut: There was more.
    """

    url: str
    status: int
    media_type: str
    charset: str | None
    body: bytes
    cut: bool


class Fetcher:
    """Gets pages of the public internet. It knows no proxy, cookie or credential, and keeps no connection.

    Args:
        allowed: Which addresses it connects to.
    """

    def __init__(self, allowed: IsAllowed = is_public) -> None:
        self.allowed = allowed

    async def get(self, url: str, *, accept: str | None = None, timeout_s: float) -> Page:
        """Fetch a page, whatever its status.

        Raises:
            ToolError: it cannot be had, or is not to be had; the sentence says why.
        """
        total = aiohttp.ClientTimeout(total=timeout_s)
        headers = _HEADERS | ({"Accept": accept} if accept else {})
        try:
            async with self._session(total) as session:
                for _ in range(MAX_REDIRECTS + 1):
                    async with session.get(url, headers=headers, allow_redirects=False) as response:
                        where = response.headers.get("Location")
                        if response.status not in _REDIRECTS or where is None:
                            return await _page(response)
                        url = checked_url(urljoin(url, where), self.allowed)
        except TimeoutError:
            raise ToolError(f"There was no whole answer within {timeout_s:g} s.") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise ToolError(f"The page cannot be had: {_reason(error)}.") from None
        raise ToolError(f"There were more than {MAX_REDIRECTS} redirects.")

    @asynccontextmanager
    async def _session(self, timeout: aiohttp.ClientTimeout) -> AsyncGenerator[aiohttp.ClientSession]:
        connector = aiohttp.TCPConnector(
            socket_factory=lambda address: opened(address, self.allowed), use_dns_cache=False, force_close=True
        )
        async with aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            timeout=timeout,
            max_line_size=_MAX_HEADER_BYTES,
            max_field_size=_MAX_HEADER_BYTES,
        ) as session:
            yield session


async def _page(response: aiohttp.ClientResponse) -> Page:
    body = bytearray()
    cut = False
    async for chunk in response.content.iter_chunked(_CHUNK):
        body += chunk
        if len(body) > MAX_BYTES:
            del body[MAX_BYTES:]
            cut = True
            break
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return Page(str(response.url), response.status, kind, response.charset, bytes(body), cut)


def _reason(error: Exception) -> str:
    cause = error.__cause__ if isinstance(error, aiohttp.ClientConnectorError) and error.__cause__ else error
    return (str(cause).splitlines() or [type(cause).__name__])[0][:_MAX_REASON] or type(cause).__name__
