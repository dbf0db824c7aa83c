"""The boundary between callers and frames: the calling end of a channel.

Above sit stubs of actors' methods; below is ``connection.py``. ``link.py`` adds reconnecting.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final, Self

from actors.channel import frames
from actors.channel.addresses import dial
from actors.channel.connection import Connection, Heartbeat
from actors.channel.stream import STREAM_WINDOW, ChannelStream, Inbox
from actors.errors import GreenroomError, InvalidRequest, TransportLost, from_wire

CONNECT_TIMEOUT_S: Final = 5.0
"""Seconds to connect and be welcomed. It takes under a millisecond; a server whose loop stands still this long is as
good as gone, and the caller can resolve the address again."""


class ChannelClient:
    """One connection to a ChannelServer, shared by any number of callers in one event loop.

    Attributes:
        address: Where it is connected to.
        closed: Set when the connection is over, for whatever reason.
    """

    def __init__(self, connection: _ClientConnection) -> None:
        self._connection = connection
        self.address = connection.address
        self.closed = connection.closed

    @classmethod
    async def connect(
        cls,
        address: str,
        token: str,
        timeout_s: float = CONNECT_TIMEOUT_S,
        *,
        window: int = STREAM_WINDOW,
        heartbeat: Heartbeat | None = None,
    ) -> Self:
        """Connect and show the token.

        Args:
            address: ``unix:/path`` or ``tcp:host:port``.
            token: The runtime's token.
            timeout_s: Seconds for all of it.
            window: Items of each stream that may be unread.
            heartbeat: When to give up a silent server.

        Raises:
            TransportLost: Nobody serves at the address, or not in time.
            Unauthorized: The token is wrong.
            Overloaded: The server has too many connections.
            InvalidConfig: The address is malformed.
        """
        connection = _ClientConnection(address, window, heartbeat or Heartbeat())
        try:
            async with asyncio.timeout(timeout_s):
                await dial(address, lambda: connection)
                await connection.welcome(token)
        except (OSError, TimeoutError) as error:
            connection.abort()
            raise TransportLost(address) from error
        except BaseException:
            connection.abort()
            raise
        return cls(connection)

    async def call(self, method: str, /, **args: Any) -> Any:
        """Call a method and return its value. Cancelling the caller cancels the handler.

        Raises:
            TransportLost: The connection broke; whether the call was carried out is not known.
            InvalidRequest: There is no such method, or an argument cannot travel; nothing has happened.
            GreenroomError: What the handler raised.
        """
        connection = self._connection
        if not connection.writable:
            await connection.wait_writable()
        return await connection.call(method, args)

    def stream(self, method: str, /, **args: Any) -> ChannelStream:
        """Call a streaming method; errors are those of ``call``.

        The request is sent when the first item is asked for.
        """

        async def start() -> Inbox:
            return await self.open_inbox(method, args)

        return ChannelStream(start)

    async def open_inbox(self, method: str, args: dict[str, Any]) -> Inbox:
        """Send the request of a stream; ``stream`` is the way to read one."""
        connection = self._connection
        if not connection.writable:
            await connection.wait_writable()
        return connection.open_inbox(method, args)

    async def close(self) -> None:
        """Drop the connection; open calls and streams fail with TransportLost."""
        self._connection.abort()
        await self.closed.wait()


class _ClientConnection(Connection):
    """The client's end of one connection."""

    def __init__(self, address: str, window: int, heartbeat: Heartbeat) -> None:
        super().__init__(heartbeat, frames.MAX_FRAME_BYTES)
        self.address = address
        self._window = window
        self._last_id = 0
        self._calls: dict[int, asyncio.Future[object]] = {}
        self._inboxes: dict[int, Inbox] = {}
        self._refusal: GreenroomError | None = None
        self._welcomed = self._loop.create_future()

    async def welcome(self, token: str) -> None:
        self.write(frames.encode([frames.HELLO, 0, frames.PROTOCOL_VERSION, token]))
        await self._welcomed

    async def call(self, method: str, args: dict[str, Any]) -> object:
        request_id = self._next_id()
        self.write(frames.encode([frames.REQUEST, request_id, method, args]))
        reply = self._calls[request_id] = self._loop.create_future()
        try:
            return await reply
        except asyncio.CancelledError:
            if self._calls.pop(request_id, None) is not None:
                self.cancel(request_id)
            raise

    def open_inbox(self, method: str, args: dict[str, Any]) -> Inbox:
        request_id = self._next_id()
        self.write(frames.encode([frames.REQUEST, request_id, method, args, self._window]))
        inbox = self._inboxes[request_id] = Inbox(
            self._window,
            lambda count: self.write(frames.encode([frames.CREDIT, request_id, count])),
            lambda: self.cancel(request_id),
        )
        return inbox

    def cancel(self, request_id: int) -> None:
        self._inboxes.pop(request_id, None)
        self.write(frames.encode([frames.CANCEL, request_id]))

    def on_frame(self, frame: list[Any]) -> None:
        match frame:
            case [frames.REPLY, request_id, value]:
                reply = self._calls.pop(request_id, None)
                if reply is not None and not reply.done():
                    reply.set_result(value)
            case [frames.ITEM, request_id, value]:
                if inbox := self._inboxes.get(request_id):
                    inbox.put(value)
            case [frames.END, request_id]:
                self._end(request_id, StopAsyncIteration())
            case [frames.ERROR, request_id, dict()]:
                self._end(request_id, from_wire(frame[2]))
            case [frames.WELCOME, 0, frames.PROTOCOL_VERSION] if not self._welcomed.done():
                self._welcomed.set_result(None)
            case _:
                raise InvalidRequest("Received a frame that a server does not send.")

    def on_lost(self) -> None:
        if not self._welcomed.done():
            self._welcomed.set_exception(self._refusal or TransportLost(self.address))
        calls, self._calls = self._calls, {}
        inboxes, self._inboxes = self._inboxes, {}
        for reply in calls.values():
            if not reply.done():
                reply.set_exception(self._loss())
        for inbox in inboxes.values():
            inbox.end(self._loss())

    def _end(self, request_id: int, reason: GreenroomError | StopAsyncIteration) -> None:
        if request_id == 0 and isinstance(reason, GreenroomError):
            self._refusal = reason
        elif inbox := self._inboxes.pop(request_id, None):
            inbox.end(reason)
        elif isinstance(reason, GreenroomError):
            reply = self._calls.pop(request_id, None)
            if reply is not None and not reply.done():
                reply.set_exception(reason)

    def _next_id(self) -> int:
        if self._ending:
            raise self._loss()
        self._last_id += 1
        return self._last_id

    def _loss(self) -> TransportLost:
        error = TransportLost(self.address)
        error.__cause__ = self._refusal
        return error
