"""The MCP servers of a runtime: which there are, what they are told, what they offer; kept by the store, secrets aside.

Bookkeeping over two ports: a store, and whoever starts a server (``Start``), in an actor or in this process.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, Final
from weakref import WeakValueDictionary

from pydantic import ValidationError

from actors.domain.mcp import MAX_SERVERS, McpOffer, McpServerConfig, McpStatus
from actors.errors import (
    GreenroomError,
    InvalidConfig,
    McpServerExists,
    McpServerNotFound,
    McpUnavailable,
    SessionNotFound,
)
from actors.mcp.running import SHARED, Key, Running, Server, Start
from actors.session.ports import Store, ToolSpec

log = logging.getLogger(__name__)

RESTART_FIRST_S: Final = 0.2
RESTART_MAX_S: Final = 30.0
"""Bounds of the pause before a server's actor, or the look at it, is tried again."""

REPLACED_S: Final = 5.0
"""Longest wait for a server that is being started: it is up in two or three seconds."""


class Roster:
    """All servers of a runtime.

    Args:
        start: Starts a server; returns before it is connected.
        changed: Called when the tools that sessions can use may be others.
    """

    def __init__(self, store: Store, start: Start, changed: Callable[[], Awaitable[None]]) -> None:
        self._store = store
        self._start = start
        self._changed = changed
        self._servers: dict[Key, Server] = {}
        self._turns: WeakValueDictionary[Key, asyncio.Lock] = WeakValueDictionary()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._telling: asyncio.Task[Any] | None = None
        self._news = False
        self._loaded = asyncio.Event()

    # --- coming up ---------------------------------------------------------------------------------------------------

    async def adopt(self, key: Key, config: McpServerConfig, running: Running) -> None:
        """Take over a server that a former registry had started."""
        server = self._servers[key] = Server(config, await self._session_of(key), running=running)
        server.offer = await running.offer()

    async def load(self) -> None:
        """Take up what the store knows and nobody runs; servers of sessions that are gone are forgotten."""
        try:
            await self._load()
        finally:
            self._loaded.set()

    async def _load(self) -> None:
        for tenant, journal_id, known in await self._store.servers():
            try:
                config = known.restored()
            except ValidationError:
                log.warning("an MCP server of an older release cannot be read and is left out")
                continue
            key = Key.of(tenant, journal_id, config.name)
            if key in self._servers:
                continue
            session_id = await self._session_of(key)
            if session_id is None and journal_id:
                await self._store.put_server(tenant, journal_id, key.name, None)
                continue
            server = self._servers[key] = Server(config, session_id, complete=known.complete)
            if known.complete and config.enabled:
                self._spawn(self._restart(key, server))

    async def _session_of(self, key: Key) -> str | None:
        row = await self._store.row(key.tenant, key.journal_id) if key.journal_id else None
        return row.session_id if row is not None else None

    # --- what users ask ----------------------------------------------------------------------------------------------

    async def add(self, key: Key, session_id: str | None, config: McpServerConfig) -> McpStatus:
        """Configure a server, in the place of one of its name, and connect it; returns how it stands then.

        Raises:
            McpServerExists: a session would see two servers of the name.
            InvalidConfig: there are too many.
            SessionNotFound: the session was destroyed meanwhile.
            StoreUnavailable: nothing has changed.
        """
        async with self._turn(key):
            self._check(key)
            await self._store.put_server(key.tenant, key.journal_id, key.name, config.without_secrets())
            server = self._servers.setdefault(key, Server(config, session_id))
            await self._stop(server)
            if session_id is not None and await self._session_of(key) is None:
                # Whoever destroyed it may have looked for its servers before this one was among them.
                await self._drop(key)
                raise SessionNotFound(session_id)
            server.config, server.complete = config, True
            if config.enabled:
                await self._run(key, server, wait=True)
        await self._tell()
        return server.status

    def _turn(self, key: Key) -> asyncio.Lock:
        """Held by whoever configures, starts or ends the server of a key: one after the other."""
        return self._turns.setdefault(key, asyncio.Lock())

    def _check(self, key: Key) -> None:
        others = [one for one in self._servers if one.tenant == key.tenant and one != key]
        for other in others:
            if other.name == key.name and SHARED in (other.journal_id, key.journal_id):
                raise McpServerExists(key.name)
        if sum(one.journal_id == key.journal_id for one in others) >= MAX_SERVERS:
            raise InvalidConfig(f"There are {MAX_SERVERS} MCP servers already: remove one first.")

    async def remove(self, key: Key) -> bool:
        """Forget a server and end it; False when there is none. Its running calls fail."""
        async with self._turn(key):
            if key not in self._servers:
                return False
            await self._drop(key)
        await self._tell()
        return True

    async def _drop(self, key: Key) -> None:
        await self._store.put_server(key.tenant, key.journal_id, key.name, None)
        await self._stop(self._servers.pop(key))

    async def forget(self, journal_id: str) -> None:
        """A session is gone, and with it the servers that it had for itself."""
        for key in [key for key in self._servers if key.journal_id == journal_id]:
            await self.remove(key)

    def status(self, tenant: str) -> tuple[McpStatus, ...]:
        """How the servers of a tenant stand, by name."""
        mine = sorted((key.name, key.journal_id, one) for key, one in self._servers.items() if key.tenant == tenant)
        return tuple(one.status for _, _, one in mine)

    def seen(self, tenant: str, journal_id: str, name: str) -> Key:
        """The server that a journal sees under a name: its own, else the one that all share.

        Raises:
            McpServerNotFound: there is none.
            McpUnavailable: nobody keeps it connected now.
        """
        for key in (Key.of(tenant, journal_id, name), Key.of(tenant, SHARED, name)):
            server = self._servers.get(key)
            if server is not None:
                if server.running is None:
                    raise McpUnavailable(key.name, f"it is {server.status.state}")
                return key
        raise McpServerNotFound(name)

    async def settled(self) -> None:
        """Wait for servers that are being started, for the first time or again; a little while at most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(REPLACED_S):
                await self._loaded.wait()
                for one in list(self._servers.values()):
                    if one.running is None and one.complete and one.config.enabled:
                        await one.settled.wait()

    def specs(self) -> tuple[ToolSpec, ...]:
        """The tools of all servers that were connected once: a call of one that is away waits a little."""
        return tuple(
            ToolSpec(definition, server.running.host, key.tenant, key.journal_id or None)
            for key, server in self._servers.items()
            if server.running is not None and server.offer is not None
            for definition in server.offer.definitions
        )

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
        before = server.offer.definitions if server.offer is not None else ()
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
        """Whoever kept a server connected is dead: somebody else does it now."""
        server = self._servers.get(key)
        if server is not None and server.running is not None:
            server.running = None
            server.settled.clear()
            self._spawn(self._restart(key, server))

    async def _restart(self, key: Key, server: Server) -> None:
        pause = RESTART_FIRST_S
        while self._servers.get(key) is server:
            async with self._turn(key):
                wanted = self._servers.get(key) is server and server.complete and server.config.enabled
                if wanted and server.running is None:
                    await self._run(key, server, wait=server.offer is None)
            if server.running is not None:
                await self._tell()
                return
            await asyncio.sleep(pause)
            pause = min(pause * 2, RESTART_MAX_S)

    async def _run(self, key: Key, server: Server, *, wait: bool) -> None:
        before = server.offer.definitions if server.offer is not None else ()
        try:
            running = await self._start(key, server.config)
            server.offer = _keeping(await (running.first() if wait else running.offer()), before)
        except GreenroomError as exc:
            server.error = exc.message
        else:
            server.running, server.error = running, None
        finally:
            server.settled.set()

    async def _stop(self, server: Server) -> None:
        running, server.running, server.offer = server.running, None, None
        if running is not None:
            try:
                await running.close()
            except GreenroomError as exc:
                log.info("MCP server %s did not end in time: %s", server.config.name, exc)

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

    async def close(self) -> None:
        """End every server."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*(self._stop(server) for server in self._servers.values()))

    def let_go(self) -> None:
        """Leave the servers to somebody else."""
        for task in list(self._tasks):
            task.cancel()

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work, context=contextvars.Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _keeping(offer: McpOffer, before: tuple[Any, ...]) -> McpOffer:
    """An offer; while the server is not connected, the tools that it had stay published."""
    return offer if offer.definitions or offer.status.connected else offer.model_copy(update={"definitions": before})
