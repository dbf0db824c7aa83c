"""The boundary between one client's frames and the handlers that serve them: requests, streams, credit, cancelling.

Above is ``server.py``, which accepts connections; below is ``connection.py``.
"""

from __future__ import annotations

import asyncio
import hmac
import inspect
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import aclosing
from contextvars import Context
from dataclasses import dataclass, field
from typing import Any, Final, cast

from actors import faults
from actors.channel import frames
from actors.channel.connection import Connection, Heartbeat
from actors.errors import GreenroomError, InternalError, InvalidRequest, Overloaded, Unauthorized, to_wire
from actors.faults import Point

Handler = Callable[..., Awaitable[object]] | Callable[..., AsyncIterator[object]]
"""``async def(**args) -> value``, or an async generator function for a stream of values."""

MAX_IN_FLIGHT: Final = 8192
"""Requests of one connection at a time. A replica multiplexes its readers' subscriptions over one connection to the
store, hence thousands; each costs a task of some 3 KB."""

MAX_CONNECTIONS: Final = 512
"""Connections of one server: half of the usual limit of 1,024 open files; peers share one connection per process."""

MAX_STRANGERS: Final = 256
"""Connections that have not shown the token, at a time: half of all, so that strangers leave room. When a server
restarts, all its peers are strangers for the moment that their hellos take."""

HELLO_TIMEOUT_S: Final = 5.0
"""Seconds a new connection has to show the token, so that strangers do not use up the connections."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """The bounds of a server; times in seconds."""

    max_in_flight: int = MAX_IN_FLIGHT
    max_connections: int = MAX_CONNECTIONS
    max_strangers: int = MAX_STRANGERS
    max_frame_bytes: int = frames.MAX_FRAME_BYTES
    hello_timeout_s: float = HELLO_TIMEOUT_S
    heartbeat: Heartbeat = field(default_factory=Heartbeat)


class Service:
    """What the connections of one server share."""

    def __init__(self, handlers: Mapping[str, Handler], token: bytes, limits: ServerLimits) -> None:
        self.handlers = handlers
        self.token = token
        self.limits = limits
        self.peers: set[Peer] = set()
        self.strangers: set[Peer] = set()
        self.streaming = {name for name, handler in handlers.items() if inspect.isasyncgenfunction(handler)}


class _Credit:
    """How many items of a stream the client has room for."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._granted = asyncio.Event()

    def grant(self, count: int) -> None:
        self._count += count
        self._granted.set()

    async def take(self) -> None:
        while self._count <= 0:
            self._granted.clear()
            await self._granted.wait()
        self._count -= 1


class Peer(Connection):
    """The server's end of one connection."""

    def __init__(self, service: Service) -> None:
        super().__init__(service.limits.heartbeat, frames.MAX_HELLO_BYTES)
        self.tasks: set[asyncio.Task[None]] = set()
        self._service = service
        self._running: dict[int, asyncio.Task[None]] = {}
        self._credits: dict[int, _Credit] = {}
        self._welcomed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Refuse one connection too many; give the others a while to show the token."""
        super().connection_made(transport)
        service = self._service
        crowded = len(service.strangers) >= service.limits.max_strangers
        if crowded or len(service.peers) >= service.limits.max_connections:
            self.refuse(Overloaded("connections to this actor"))
            return
        service.peers.add(self)
        service.strangers.add(self)
        self._timers.append(self._loop.call_later(self._service.limits.hello_timeout_s, self._hello_is_late))

    def on_lost(self) -> None:
        """Nobody waits for the requests any more."""
        self._service.peers.discard(self)
        self._service.strangers.discard(self)
        self.cancel_all()

    def on_stall(self, stalled: bool) -> None:
        """A client that does not read its replies may not send more requests: this bounds what waits here."""
        if self._transport is not None and not self._transport.is_closing():
            (self._transport.pause_reading if stalled else self._transport.resume_reading)()

    def cancel_all(self) -> None:
        """Cancel all requests without an answer."""
        self._running.clear()
        self._credits.clear()
        for task in self.tasks:
            task.cancel()

    # --- frames --------------------------------------------------------------------------------------------------

    def on_frame(self, frame: list[Any]) -> None:
        """Serve a frame; before the token was shown only a hello is one."""
        if not self._welcomed:
            self._on_hello(frame)
            return
        match frame:
            case [frames.REQUEST, request_id, str(method), dict(), *credit]:
                args = cast("dict[str, object]", frame[3])
                self._on_request(request_id, method, args, credit)
            case [frames.CREDIT, request_id, int(count)] if count > 0:
                if credit := self._credits.get(request_id):
                    credit.grant(count)
            case [frames.CANCEL, request_id]:
                if task := self._running.pop(request_id, None):
                    task.cancel()
            case _:
                raise InvalidRequest("Received a frame that a client does not send.")

    def _on_hello(self, frame: list[Any]) -> None:
        match frame:
            case [frames.HELLO, _, int(version), str(token)]:
                if not hmac.compare_digest(token.encode(errors="replace"), self._service.token):
                    self.refuse(Unauthorized("the channel's token is wrong"))
                elif version != frames.PROTOCOL_VERSION:
                    self.refuse(InvalidRequest(f"This end of the channel speaks version {frames.PROTOCOL_VERSION}."))
                else:
                    self._welcomed = True
                    self._service.strangers.discard(self)
                    self._splitter.max_bytes = self._service.limits.max_frame_bytes
                    self.write(frames.encode([frames.WELCOME, 0, frames.PROTOCOL_VERSION]))
            case _:
                self.refuse(Unauthorized("a channel begins with a hello frame"))

    def _hello_is_late(self) -> None:
        if not self._welcomed:
            self.refuse(Unauthorized("no hello frame came in time"))

    # --- requests ------------------------------------------------------------------------------------------------

    def _on_request(self, request_id: int, method: str, args: dict[str, object], credit: list[object]) -> None:
        if request_id <= 0 or request_id in self._running:
            raise InvalidRequest(f"Request id {request_id} is in use.")
        if faults.cuts(Point.wire_request):
            self.abort()
            return
        handler = self._service.handlers.get(method)
        if handler is None or (method in self._service.streaming) != bool(credit):
            wrong = "there is no such method" if handler is None else "call() and stream() are mixed up"
            self._fail(request_id, InvalidRequest(f"Cannot serve method {method[:80]!r}: {wrong}."))
        elif len(self.tasks) >= self._service.limits.max_in_flight:
            self._fail(request_id, Overloaded("requests on one connection"))
        elif credit:
            self._start_stream(request_id, cast("Callable[..., AsyncGenerator[object]]", handler), args, credit)
        else:
            self._start(request_id, self._call(request_id, cast("Callable[..., Awaitable[object]]", handler), args))

    def _start_stream(
        self,
        request_id: int,
        handler: Callable[..., AsyncGenerator[object]],
        args: dict[str, object],
        credit: list[object],
    ) -> None:
        if len(credit) != 1 or not isinstance(credit[0], int) or credit[0] <= 0:
            raise InvalidRequest("The credit of a stream must be a positive number.")
        granted = self._credits[request_id] = _Credit(credit[0])
        self._start(request_id, self._stream(request_id, handler, args, granted))

    def _start(self, request_id: int, work: Coroutine[Any, Any, None]) -> None:
        # An empty context: what a handler starts must not be tied to whoever started the server.
        task = self._loop.create_task(work, context=Context())
        self._running[request_id] = task
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _call(self, request_id: int, handler: Callable[..., Awaitable[object]], args: dict[str, object]) -> None:
        try:
            data = self._encode([frames.REPLY, request_id, await handler(**args)])
        except asyncio.CancelledError:
            self._cancelled(request_id)
            raise
        except Exception as error:
            data = self._error(request_id, error)
        await self._finish(request_id, data)

    async def _stream(
        self, request_id: int, handler: Callable[..., AsyncGenerator[object]], args: dict[str, object], credit: _Credit
    ) -> None:
        try:
            async with aclosing(handler(**args)) as items:
                await credit.take()
                async for item in items:
                    if not self.writable:
                        await self.wait_writable()
                    self.write(self._encode([frames.ITEM, request_id, item]))
                    await credit.take()
            data = frames.encode([frames.END, request_id])
        except asyncio.CancelledError:
            self._cancelled(request_id)
            raise
        except Exception as error:
            data = self._error(request_id, error)
        await self._finish(request_id, data)

    async def _finish(self, request_id: int, data: bytes) -> None:
        if not self.writable:
            await self.wait_writable()
        if faults.cuts(Point.wire_reply):
            self.abort()
            return
        self._credits.pop(request_id, None)
        if self._running.pop(request_id, None) is not None:
            self.write(data)

    def _cancelled(self, request_id: int) -> None:
        """A cancellation the client asked for needs no answer; one that came from within does, or it would wait."""
        self._credits.pop(request_id, None)
        if self._running.pop(request_id, None) is not None:
            self._fail(request_id, InternalError("the handler was cancelled"))

    def _fail(self, request_id: int, error: GreenroomError) -> None:
        self.write(self._error(request_id, error))

    def _encode(self, frame: list[object]) -> bytes:
        return frames.encode(frame, self._service.limits.max_frame_bytes)

    def _error(self, request_id: int, error: Exception) -> bytes:
        if not isinstance(error, GreenroomError):
            logger.error("a channel handler failed", exc_info=error)
        try:
            return self._encode([frames.ERROR, request_id, to_wire(error)])
        except InvalidRequest as unsendable:
            return frames.encode([frames.ERROR, request_id, to_wire(InternalError(type(unsendable).__name__))])
