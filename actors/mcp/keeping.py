"""Servers that are kept connected: started, looked at, started again when whoever did it is dead, ended.

Above is the roster, which decides which servers there are.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, TypeVar
from weakref import WeakValueDictionary

from actors.domain.mcp import McpOffer
from actors.domain.tools import ToolDefinition
from actors.errors import GreenroomError
from actors.mcp.running import Key, Running, Server, Start

log = logging.getLogger(__name__)

WAITED_FOR_S: Final = 2.0
"""Longest pause before a start that those who ask for tools wait for."""

T = TypeVar("T")


class Keeping:
    """All servers of a runtime, as they run.

    Args:
        start: Starts a server; returns before it is connected.
        changed: Called when the tools that sessions can use may be others.
    """

    def __init__(self, start: Start, changed: Callable[[], Awaitable[None]]) -> None:
        self._start = start
        self._changed = changed
        self._servers: dict[Key, Server] = {}
        self._turns: WeakValueDictionary[Key, asyncio.Lock] = WeakValueDictionary()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._ending: set[asyncio.Task[None]] = set()
        self._telling: asyncio.Task[Any] | None = None
        self._news = False

    def _turn(self, key: Key) -> asyncio.Lock:
        """Held by whoever configures, starts or ends the server of a key: one after the other."""
        return self._turns.setdefault(key, asyncio.Lock())

    # --- what happens ------------------------------------------------------------------------------------------------

    def look(self, key: Key) -> None:
        """A server has something new to tell."""
        server = self._servers.get(key)
        if server is not None:
            self._spawn(self._look(server))

    async def _look(self, server: Server) -> None:
        running = server.running
        if running is None:
            return
        before = _offered(server)
        try:
            offer = await running.offer()
        except GreenroomError as exc:
            log.info("MCP server %s does not answer: %s", server.config.name, exc)
            return
        if server.running is running:
            server.offer = _keeping(offer, before)
            if server.offer.definitions != before:
                await self._tell()

    def lost(self, key: Key) -> None:
        """Whoever kept a server connected is dead: somebody else does it now, or soon."""
        server = self._servers.get(key)
        if server is not None and server.running is not None:
            server.lose(asyncio.get_running_loop().time())
            self._spawn(self._restart(key, server))

    async def _restart(self, key: Key, server: Server) -> None:
        while self._servers.get(key) is server:
            if server.pause_s > WAITED_FOR_S:
                server.settled.set()
            if server.pause_s:
                await asyncio.sleep(server.pause_s)
            async with self._turn(key):
                wanted = self._servers.get(key) is server and server.complete and server.config.enabled
                if wanted and server.running is None:
                    await self._run(key, server, wait=server.offer is None)
            if not wanted or server.running is not None:
                await self._tell()
                return
            server.pause_s = server.next_pause_s

    # --- starting and ending -----------------------------------------------------------------------------------------

    async def _run(self, key: Key, server: Server, *, wait: bool) -> None:
        before, running = _offered(server), None
        try:
            running = await self._start(key, server.config)
            server.offer = _keeping(await (running.first() if wait else running.offer()), before)
            server.running, server.error = running, None
            server.since = asyncio.get_running_loop().time()
        except GreenroomError as exc:
            server.error = exc.message
        finally:
            server.settled.set()
            if server.running is not running:
                # It may be alive and only silent, or it was given up in the middle: nobody would ever end it.
                await self._end(running, server.config.name)

    async def _stop(self, server: Server) -> None:
        running, server.running, server.offer = server.running, None, None
        await self._end(running, server.config.name)

    async def _end(self, running: Running | None, name: str) -> None:
        """End one to its end: whoever wanted that may be cancelled, and nobody else knows of it any more."""
        if running is not None:
            ending = asyncio.get_running_loop().create_task(_ended(running, name), context=contextvars.Context())
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)
            await asyncio.shield(ending)

    async def close(self) -> None:
        """End every server, and return when nothing is left of any."""
        self.let_go()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(self._stop(server) for server in self._servers.values()), *self._ending)

    def let_go(self) -> None:
        """Leave the servers to somebody else."""
        for task in list(self._tasks):
            task.cancel()

    # --- telling -----------------------------------------------------------------------------------------------------

    async def _tell(self) -> None:
        """Tell of changes; what comes while somebody is being told is told once, afterwards."""
        self._news = True
        if self._telling is None or self._telling.done():
            self._telling = self._spawn(self._tell_all())
        await asyncio.shield(self._telling)

    async def _tell_all(self) -> None:
        while self._news:
            self._news = False
            await self._changed()

    async def _to_its_end(self, work: Coroutine[Any, Any, T]) -> T:
        """What some work comes to. It goes on when whoever asked for it is cancelled: half of it is of no use."""
        return await asyncio.shield(self._spawn(work))

    def _spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.get_running_loop().create_task(work, context=contextvars.Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


async def _ended(running: Running, name: str) -> None:
    try:
        await running.close()
    except GreenroomError as exc:
        log.info("MCP server %s did not end in time: %s", name, exc)


def _offered(server: Server) -> tuple[ToolDefinition, ...]:
    return server.offer.definitions if server.offer is not None else ()


def _keeping(offer: McpOffer, before: tuple[ToolDefinition, ...]) -> McpOffer:
    """An offer; while the server is not connected, the tools that it had stay published."""
    return offer if offer.definitions or offer.status.connected else offer.model_copy(update={"definitions": before})
