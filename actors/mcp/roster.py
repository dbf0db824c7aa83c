"""The MCP servers of a runtime: which there are, what they are told, what they offer; kept by the store, secrets aside.

Bookkeeping over two ports: a store, and whoever starts a server (``Start``), in an actor or in this process.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Final

from pydantic import ValidationError

from actors.domain.mcp import MAX_ALL_SERVERS, MAX_SERVERS, KnownServer, McpServerConfig, McpStatus
from actors.domain.mcp_oauth import Redirect
from actors.errors import (
    AuthorizationNotFound,
    GreenroomError,
    InvalidConfig,
    McpServerExists,
    McpServerNotFound,
    McpUnavailable,
    SessionNotFound,
)
from actors.mcp.keeping import Keeping
from actors.mcp.running import RESTART_FIRST_S, RESTART_MAX_S, SHARED, Key, Running, Server, Start
from actors.session.ports import Store, ToolSpec

log = logging.getLogger(__name__)

REPLACED_S: Final = 5.0
"""Longest wait for a server that is being started: it is up in two or three seconds."""

SWEEP_S: Final = 60.0
"""Between two looks for servers whose sessions are gone: housekeeping destroys sessions as often."""

UNKNOWN: Final = ""
"""In the place of a session's id, while the store cannot be asked for it."""


class Roster(Keeping):
    """All servers of a runtime.

    Args:
        start: Starts a server; returns before it is connected.
        changed: Called when the tools that sessions can use may be others.
    """

    def __init__(self, store: Store, start: Start, changed: Callable[[], Awaitable[None]]) -> None:
        super().__init__(start, changed)
        self._store = store
        self._sweeping = asyncio.Lock()
        self._known = False
        self._looked = asyncio.Event()
        self._dropped: set[Key] = set()
        self._adding: set[Key] = set()

    # --- coming up ---------------------------------------------------------------------------------------------------

    async def adopt(self, key: Key, config: McpServerConfig, running: Running) -> None:
        """Take over a server that a former registry had started: with it the secrets, which nobody else has."""
        session_id = UNKNOWN if key.journal_id else None
        now = asyncio.get_running_loop().time()
        server = self._servers[key] = Server(config, session_id, running=running, since=now)
        with suppress(GreenroomError):  # It tells of itself when something changes, and is looked at again.
            server.offer = await running.offer()

    async def load(self) -> None:
        """Take up what the store knows and nobody runs, and go on looking."""
        await self._look_around()
        self._looked.set()
        self._spawn(self._go_round())

    async def _go_round(self) -> None:
        pause = RESTART_FIRST_S
        while True:
            await asyncio.sleep(SWEEP_S if self._known else pause)
            pause = min(pause * 2, RESTART_MAX_S)
            await self._look_around()

    async def _look_around(self) -> None:
        try:
            await self.sweep()
        except GreenroomError as exc:
            log.info("not all MCP servers could be looked at: %s", exc)

    async def sweep(self) -> None:
        """Take up what the store knows and nobody runs; forget the servers of sessions that are gone.

        Whoever destroyed those sessions, and whenever: by hand, by retention, while nothing ran. One row that fails
        keeps none of the others away.

        Raises:
            StoreUnavailable: something could not be looked at.
        """
        async with self._sweeping:
            self._dropped.clear()
            failed: GreenroomError | None = None
            rows = await self._store.servers()
            work = [partial(self._take_up, *row) for row in rows]
            kept = {(tenant, journal_id) for tenant, journal_id, _ in rows}
            # Whoever forgot it may have died before it was ended.
            others = [key for key in self._servers if key.journal_id and key[:2] not in kept]
            for one in (*work, *(partial(self._leave_if_gone, key) for key in others)):
                try:
                    await one()
                except GreenroomError as exc:
                    failed = exc
            for key, server in self._servers.items():
                if server.running is not None:
                    # It may not have answered when it had news.
                    self.look(key)
            if failed is not None:
                raise failed
            self._known = True

    async def _take_up(self, tenant: str, journal_id: str, known: KnownServer) -> None:
        try:
            config = known.restored()
        except ValidationError:
            log.warning("an MCP server of an older release cannot be read and is left out")
            return
        key = Key.of(tenant, journal_id, config.name)
        session_id = await self._session_of(key)
        if session_id is None and journal_id:
            await self._forgotten(key)
        elif key in self._servers:
            self._servers[key].session_id = session_id
        elif key not in self._dropped:
            server = self._servers[key] = Server(config, session_id, complete=known.complete)
            if known.complete and config.enabled:
                self._spawn(self._restart(key, server))

    async def _leave_if_gone(self, key: Key) -> None:
        if await self._session_of(key) is None:
            await self._forgotten(key)

    async def _session_of(self, key: Key) -> str | None:
        row = await self._store.row(key.tenant, key.journal_id) if key.journal_id else None
        return row.session_id if row is not None else None

    async def _forgotten(self, key: Key) -> None:
        async with self._turn(key):
            await self._drop(key)
        await self._tell()

    # --- what users ask ----------------------------------------------------------------------------------------------

    async def add(self, key: Key, session_id: str | None, config: McpServerConfig) -> McpStatus:
        """Configure a server, in the place of one of its name, and connect it; returns how it stands then.

        Raises:
            McpServerExists: a session would see two servers of the name.
            InvalidConfig: there are too many.
            SessionNotFound: the session was destroyed meanwhile.
            StoreUnavailable: nothing has changed.
        """
        await self._know()
        return await self._to_its_end(self._add(key, session_id, config))

    async def _add(self, key: Key, session_id: str | None, config: McpServerConfig) -> McpStatus:
        async with self._turn(key):
            self._check(key)
            self._adding.add(key)
            try:
                server = await self._kept(key, session_id, config)
            finally:
                self._adding.discard(key)
            await self._stop(server)
            server.config, server.complete, server.pause_s = config, True, 0.0
            if config.enabled:
                await self._run(key, server, wait=True)
        if config.enabled and server.running is None:
            server.pause_s = server.next_pause_s
            self._spawn(self._restart(key, server))
        await self._tell()
        return server.status

    async def _kept(self, key: Key, session_id: str | None, config: McpServerConfig) -> Server:
        """A server, once the store knows of it."""
        await self._store.put_server(key.tenant, key.journal_id, key.name, config.without_secrets())
        if session_id is not None and await self._session_of(key) is None:
            # Whoever destroyed it may have looked for its servers before this one was among them.
            await self._drop(key)
            raise SessionNotFound(session_id)
        return self._servers.setdefault(key, Server(config, session_id))

    async def _know(self) -> None:
        """Nothing is changed before it is known what there is."""
        if not self._known:
            await self.sweep()

    def _check(self, key: Key) -> None:
        known = (self._servers.keys() | self._adding) - {key}
        others = [one for one in known if one.tenant == key.tenant]
        for other in others:
            if other.name == key.name and SHARED in (other.journal_id, key.journal_id):
                raise McpServerExists(key.name)
        if sum(one.journal_id == key.journal_id for one in others) >= MAX_SERVERS:
            raise InvalidConfig(f"There are {MAX_SERVERS} MCP servers already: remove one first.")
        if len(known) >= MAX_ALL_SERVERS:
            raise InvalidConfig(
                f"All sessions together have {MAX_ALL_SERVERS} MCP servers already: share some of them."
            )

    async def remove(self, key: Key) -> bool:
        """Forget a server and end it; False when there is none. Its running calls fail.

        Raises:
            StoreUnavailable: nothing has changed.
        """
        await self._know()
        return await self._to_its_end(self._remove(key))

    async def _remove(self, key: Key) -> bool:
        async with self._turn(key):
            if key not in self._servers:
                return False
            await self._drop(key)
        await self._tell()
        return True

    async def _drop(self, key: Key) -> None:
        await self._store.put_server(key.tenant, key.journal_id, key.name, None)
        # A sweep that read of it before must not bring it back.
        self._dropped.add(key)
        if (server := self._servers.pop(key, None)) is not None:
            await self._stop(server)

    async def authorized(self, tenant: str, redirect: Redirect) -> McpStatus:
        """A browser has come back from the authorization page of one of a tenant's servers; how that stands then.

        Raises:
            AuthorizationNotFound: no server waits for it: it was used, has expired, or never was.
        """
        # Anybody may ask this, as often as they like: only servers that told of a page are asked.
        mine = [one for key, one in self._servers.items() if key.tenant == tenant and one.at_url]
        for server in [one for one in mine if one.status.authorization_url is not None]:
            await self._look(server)
            if await server.authorized(redirect):
                return server.status
        raise AuthorizationNotFound()

    async def forget(self, tenant: str, journal_id: str) -> None:
        """A session is gone, and with it the servers that it had for itself, and its calls at those that all share."""
        for key in [key for key in self._servers if key.journal_id == journal_id]:
            await self._forgotten(key)
        for key, server in self._servers.items():
            if (key.tenant, key.journal_id) == (tenant, SHARED) and server.running is not None:
                self._spawn(self._left(key, server.running, journal_id))

    async def _left(self, key: Key, running: Running, journal_id: str) -> None:
        try:
            await running.leave(journal_id)
        except GreenroomError as exc:
            log.info("MCP server %s may hold calls of a session that is gone: %s", key.name, exc)

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
                await self._looked.wait()
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
