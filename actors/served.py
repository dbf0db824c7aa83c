"""What an actor serves to its peers: one table of handlers, on the data plane and behind one Ray method.

Above are the actor shells, which know Ray; below is ``actors.channel``. Streams that cannot use the data plane are
kept here and fetched piece by piece.
"""

from __future__ import annotations

import asyncio
import inspect
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from typing import Any

from actors.channel import ChannelServer, socket_directory, sweep_sockets
from actors.errors import InvalidRequest, Overloaded, to_wire

MAX_STREAMS = 1000
"""Streams fetched over Ray at a time; each holds one suspended generator."""

STREAM_IDLE_S = 90.0
"""A stream that nobody asked for so long has lost its reader: polls last at most 30 s."""

MAX_ITEMS = 256
"""Items of one answer to a poll."""

Answer = list[Any]
"""``[True, value]``, or ``[False, error as plain values]``: errors of ours cross Ray as data."""


class _Stream:
    """A stream that is fetched by polls."""

    def __init__(self, items: AsyncIterator[Any]) -> None:
        self._items = items
        self._next: asyncio.Task[Any] | None = None
        self.used = time.monotonic()

    async def poll(self, wait_s: float) -> tuple[list[Any], bool]:
        """Items that are there, after waiting for the first; and whether it has ended."""
        self.used = time.monotonic()
        found: list[Any] = []
        while len(found) < MAX_ITEMS:
            if self._next is None:
                self._next = asyncio.ensure_future(anext(self._items))
            done, _ = await asyncio.wait([self._next], timeout=0 if found else min(wait_s, 30.0))
            if not done:
                break
            task, self._next = self._next, None
            try:
                found.append(task.result())
            except StopAsyncIteration:
                return found, True
        self.used = time.monotonic()
        return found, False

    async def close(self) -> None:
        """End the generator."""
        if self._next is not None:
            self._next.cancel()
            with suppress(asyncio.CancelledError, StopAsyncIteration, Exception):
                await self._next
        close = getattr(self._items, "aclose", None)
        if close is not None:
            await close()


class Served:
    """One actor's server.

    Args:
        handlers: ``async def`` or async generator functions, by method name; arguments by keyword.
    """

    def __init__(self, handlers: Mapping[str, Callable[..., Any]]) -> None:
        self._handlers = handlers
        self._server: ChannelServer | None = None
        self._far = ""
        self._opening_far = asyncio.Lock()
        self._streams: dict[str, _Stream] = {}

    async def listen(self, runtime: str, kind: str, token: str, *, fixed: bool = False) -> str:
        """Serve on a Unix socket of this node; returns its address, which is always the same when ``fixed``."""
        self._server = ChannelServer(self._handlers, token)
        directory = socket_directory(runtime)
        sweep_sockets(directory)
        path = directory / (f"{kind}.sock" if fixed else f"{kind}-{secrets.token_hex(8)}.sock")
        return await self._server.start_unix(str(path))

    async def listen_far(self, host: str) -> str:
        """Serve other nodes as well, on a free TCP port of this node's address; returns that of the first time."""
        async with self._opening_far:
            if self._server is not None and not self._far:
                self._far = await self._server.start_tcp(host)
        return self._far

    async def invoke(self, method: str, args: dict[str, Any]) -> Answer:
        """Call a handler as a Ray method does; for streams see ``open_stream``."""
        try:
            return [True, await self._dispatch(method, args)]
        except Exception as exc:
            return [False, to_wire(exc)]

    async def _dispatch(self, method: str, args: dict[str, Any]) -> Any:
        if method == "stream.open":
            return self._open(args["method"], args["args"])
        if method == "stream.next":
            stream = self._streams.get(args["stream"])
            if stream is None:
                raise InvalidRequest("This stream has ended. Open it again from where you stopped.")
            items, ended = await stream.poll(args["wait_s"])
            if ended:
                self._streams.pop(args["stream"], None)
            return [items, ended]
        if method == "stream.close":
            stream = self._streams.pop(args["stream"], None)
            if stream is not None:
                await stream.close()
            return None
        return await self._handler(method)(**args)

    def _handler(self, method: str) -> Callable[..., Any]:
        handler = self._handlers.get(method)
        if handler is None:
            raise InvalidRequest(f"There is no method {method!r}.")
        return handler

    def _open(self, method: str, args: dict[str, Any]) -> str:
        handler = self._handler(method)
        if not inspect.isasyncgenfunction(handler):
            raise InvalidRequest(f"Method {method!r} is not a stream.")
        self._drop_idle()
        if len(self._streams) >= MAX_STREAMS:
            raise Overloaded("streams of one actor")
        stream_id = secrets.token_hex(8)
        self._streams[stream_id] = _Stream(handler(**args))
        return stream_id

    def _drop_idle(self) -> None:
        horizon = time.monotonic() - STREAM_IDLE_S
        for stream_id in [one for one, stream in self._streams.items() if stream.used < horizon]:
            stream = self._streams.pop(stream_id)
            task = asyncio.ensure_future(stream.close())
            task.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def close(self) -> None:
        """Stop serving."""
        if self._server is not None:
            await self._server.close()
        for stream in self._streams.values():
            await stream.close()
        self._streams.clear()
