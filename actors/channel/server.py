"""The boundary between sockets and a mapping of handlers: the serving end of a channel.

Above sit actors, which hand in async functions (calls) and async generator functions (streams) by name; below is
``peer.py``, one for each connection.
"""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from actors.channel.addresses import check_unix_path, tcp_address
from actors.channel.peer import Handler, Peer, ServerLimits, Service

CLOSE_TIMEOUT_S: Final = 5.0
"""Seconds ``close`` waits for cancelled handlers; one that swallows its cancellation is left behind."""

_BACKLOG: Final = 128
"""Connections the kernel queues while the loop is busy: many processes connect at once when a server restarts."""


class ChannelServer:
    """Serves handlers on Unix sockets and TCP ports to clients that know the token.

    Each request runs in a task of its own with an empty context. A cancel frame or a lost connection cancels that task;
    a handler whose work must go on awaits it through ``asyncio.shield``. Errors of ``actors.errors`` reach the client
    as they are, any other as InternalError.

    Args:
        handlers: The methods. Arguments arrive as keywords and are what msgpack carries: None, bool, int (64 bits),
            float, str, bytes, list and dict.
        token: What a client has to send first; never logged.
        limits: Bounds; the defaults suit production.

    Raises:
        TypeError: A handler is neither an async function nor an async generator function.
        ValueError: The token is empty, which would let everybody in.
    """

    def __init__(self, handlers: Mapping[str, Handler], token: str, limits: ServerLimits | None = None) -> None:
        if not token:
            raise ValueError("a channel server needs a token")
        self._service = Service(dict(handlers), token.encode(), limits or ServerLimits())
        for name, handler in handlers.items():
            if not (inspect.iscoroutinefunction(handler) or inspect.isasyncgenfunction(handler)):
                raise TypeError(f"handler {name!r} is neither an async function nor an async generator function")
        self._listeners: list[asyncio.Server] = []
        self._paths: list[str] = []

    @property
    def connections(self) -> int:
        """Open connections, those that have not shown the token yet included."""
        return len(self._service.peers)

    async def start_unix(self, path: str | os.PathLike[str]) -> str:
        """Listen on a Unix socket (mode 0600) and return its address; a left-over socket there is replaced.

        Raises:
            InvalidConfig: The path is longer than 107 bytes.
            OSError: The socket cannot be made there.
        """
        where = check_unix_path(os.fspath(path))
        loop = asyncio.get_running_loop()
        listener = await loop.create_unix_server(self._accept, where, backlog=_BACKLOG, start_serving=False)
        self._listeners.append(listener)
        self._paths.append(where)
        os.chmod(where, 0o600)
        await listener.start_serving()
        return f"unix:{where}"

    async def start_tcp(self, host: str, port: int = 0) -> str:
        """Listen on a host's TCP port (0: a free one) and return the address.

        Args:
            host: The interface, as clients reach it: a wildcard would be returned as it is.
            port: The port.

        Raises:
            OSError: The port is in use, or the host is not of this machine.
        """
        listener = await asyncio.get_running_loop().create_server(self._accept, host, port, backlog=_BACKLOG)
        self._listeners.append(listener)
        return tcp_address(host, listener.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Stop listening, drop all connections, cancel all requests and wait for them, at most 5 s."""
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()
        peers = list(self._service.peers)
        tasks = {task for peer in peers for task in peer.tasks} - {asyncio.current_task()}
        for peer in peers:
            peer.abort()
        for path in self._paths:
            with suppress(FileNotFoundError):
                os.unlink(path)
        self._paths.clear()
        for peer in peers:
            await peer.closed.wait()
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSE_TIMEOUT_S)

    def _accept(self) -> Peer:
        return Peer(self._service)
