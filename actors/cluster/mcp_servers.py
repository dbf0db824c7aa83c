"""The actors of MCP servers: one each, started on the registry's node, found again after the registry's restart."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import ray

from actors.cluster.host_actors import HostActors
from actors.cluster.launch import Launch, answered, remote_class
from actors.cluster.links import awaited
from actors.cluster.nodes import on_node
from actors.domain.calls import HostRef
from actors.domain.mcp import McpOffer, McpServerConfig
from actors.domain.mcp_oauth import Redirect
from actors.errors import GreenroomError
from actors.mcp.roots import root_for
from actors.mcp.roster import Roster
from actors.mcp.running import Key, Running
from actors.mcp_actor import McpActor
from actors.peers import HostPeer, RuntimeInfo
from actors.session.ports import Store

KIND = "mcp"
"""Kind of these actors, as their names say."""


class ActorServer:
    """``Running`` in an actor."""

    def __init__(self, handle: Any, peer: HostPeer, end: Callable[[str, Any], Awaitable[None]]) -> None:
        self._handle = handle
        self._peer = peer
        self._end = end

    @property
    def host(self) -> HostRef:
        """See ``Running.host``."""
        return self._peer.ref

    async def first(self) -> McpOffer:
        """See ``Running.first``. Its own time-outs bound it."""
        return await awaited(self._handle.first.remote(), self._peer.peer.name)

    async def offer(self) -> McpOffer:
        """See ``Running.offer``."""
        return await answered(self._handle.offer.remote(), self._peer.peer.name)

    async def authorized(self, redirect: Redirect) -> bool:
        """See ``Running.authorized``."""
        return await answered(self._handle.authorized.remote(redirect), self._peer.peer.name)

    async def leave(self, journal_id: str) -> None:
        """See ``Running.leave``."""
        await answered(self._handle.leave.remote(journal_id), self._peer.peer.name)

    async def close(self) -> None:
        """See ``Running.close``: gracefully, then for good."""
        await self._end(self._peer.peer.name, self._handle)


class McpServers:
    """Starts the actors of MCP servers, and knows which live.

    Args:
        confirm: Called before one is started; raises when that is another registry's to do.
        changed: Called when the tools that sessions can use may be others.
    """

    def __init__(
        self,
        launch: Launch,
        store: Store,
        hosts: HostActors,
        info: Callable[[], RuntimeInfo],
        confirm: Callable[[], Awaitable[None]],
        changed: Callable[[], Awaitable[None]],
    ) -> None:
        self.roster = Roster(store, self._start, changed)
        self._store = store
        self._launch = launch
        self._hosts = hosts
        self._info = info
        self._confirm = confirm
        self._keys: dict[str, Key] = {}

    async def _start(self, key: Key, config: McpServerConfig) -> Running:
        await self._confirm()
        name = self._launch.name(KIND)
        own = ray.get_runtime_context().get_node_id()
        handle = remote_class(McpActor, name, scheduling_strategy=on_node(own)).remote(name)
        root = await root_for(self._store, key, config)
        peer = await answered(handle.open.remote(self._info(), key, config, root), name, handle)
        return self._know(name, handle, peer, key)

    async def adopt(self, name: str, handle: Any) -> None:
        """Take over the actor of a former registry, and with it the secrets of its server."""
        given = await answered(handle.follow.remote(self._info()), name)
        peer = await answered(handle.describe.remote(), name)
        assert given is not None and peer is not None, "one that was not opened is of no use"
        key, config = given
        await self.roster.adopt(key, config, self._know(name, handle, peer, key))

    def _know(self, name: str, handle: Any, peer: HostPeer, key: Key) -> Running:
        self._keys[name] = key
        self._hosts.watch(name, handle, peer)
        return ActorServer(handle, peer, self._end)

    def actor_of(self, key: Key) -> str:
        """The name of a server's actor."""
        return next(name for name, known in self._keys.items() if known == key)

    async def _end(self, name: str, handle: Any) -> None:
        self._keys.pop(name, None)
        self._hosts.unwatch(name)
        try:
            await answered(handle.close.remote(), name)
        except GreenroomError:
            pass  # What it has left running ends with its reaper.
        finally:
            self._hosts.bury(name)
            ray.kill(handle)

    def bury(self, name: str) -> None:
        """An actor is dead; when it was a server's, another takes its place."""
        key = self._keys.pop(name, None)
        if key is not None:
            self.roster.lost(key)
