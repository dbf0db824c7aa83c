"""The boundary between a peer that moves and its callers: a channel client that finds its server again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import Context
from typing import Any

from actors.channel.client import CONNECT_TIMEOUT_S, ChannelClient
from actors.channel.connection import Heartbeat
from actors.channel.stream import STREAM_WINDOW, ChannelStream, Inbox
from actors.errors import TransportLost


class Link:
    """Calls over one shared connection, made at the first call and again at the first call after a loss.

    A call that was open when the connection broke fails with TransportLost and is not repeated: whether it was carried
    out is for the caller to find out.

    Args:
        resolve: Tells the address as of now; asked before every connection, by one caller for all.
        token: The runtime's token.
        timeout_s: Seconds for ``resolve``, and again for connecting.
        window: Items of each stream that may be unread.
        heartbeat: When to give up a silent server.
    """

    def __init__(
        self,
        resolve: Callable[[], Awaitable[str]],
        token: str,
        timeout_s: float = CONNECT_TIMEOUT_S,
        *,
        window: int = STREAM_WINDOW,
        heartbeat: Heartbeat | None = None,
    ) -> None:
        self._resolve = resolve
        self._token = token
        self._timeout_s = timeout_s
        self._window = window
        self._heartbeat = heartbeat
        self._client: ChannelClient | None = None
        self._connecting: asyncio.Task[ChannelClient] | None = None
        self._address = "unresolved"
        self._over = False

    async def call(self, method: str, /, **args: Any) -> Any:
        """As ``ChannelClient.call``; also raises what ``resolve`` and ``ChannelClient.connect`` raise."""
        client = self._client
        if client is None or client.closed.is_set():
            client = await self._connected()
        return await client.call(method, **args)

    def stream(self, method: str, /, **args: Any) -> ChannelStream:
        """As ``ChannelClient.stream``; it connects when the first item is asked for."""

        async def start() -> Inbox:
            return await (await self._connected()).open_inbox(method, args)

        return ChannelStream(start)

    async def connect(self) -> None:
        """Have a connection; raises what ``resolve`` and ``ChannelClient.connect`` raise."""
        await self._connected()

    async def close(self) -> None:
        """Drop the connection for good; open and later calls fail with TransportLost."""
        self._over = True
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.wait([self._connecting])
        if self._client is not None:
            await self._client.close()

    async def _connected(self) -> ChannelClient:
        if self._over:
            raise TransportLost(self._address)
        if self._client is not None and not self._client.closed.is_set():
            return self._client
        if self._connecting is None:
            # An empty context: the connection outlives the caller who happens to be first.
            self._connecting = asyncio.get_running_loop().create_task(self._connect(), context=Context())
            self._connecting.add_done_callback(self._connect_ended)
        attempt = self._connecting
        try:
            return await asyncio.shield(attempt)
        except asyncio.CancelledError:
            if attempt.cancelled():
                raise TransportLost(self._address) from None
            raise

    async def _connect(self) -> ChannelClient:
        try:
            async with asyncio.timeout(self._timeout_s):
                self._address = await self._resolve()
        except TimeoutError as error:
            raise TransportLost(self._address) from error
        self._client = await ChannelClient.connect(
            self._address, self._token, self._timeout_s, window=self._window, heartbeat=self._heartbeat
        )
        return self._client

    def _connect_ended(self, attempt: asyncio.Task[ChannelClient]) -> None:
        self._connecting = None
        if not attempt.cancelled():
            attempt.exception()  # Marks it as seen: the callers who waited may all be gone.
