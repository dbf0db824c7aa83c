"""The actors of a runtime: their names and options, how they are started, watched and ended.

Between the registry, which decides, and Ray, which does it. All are named and detached, so a registry that restarts
finds them; a pending call to each of them tells of its death within milliseconds.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Callable, Coroutine, Mapping
from contextlib import ExitStack
from typing import Any

import ray
from pydantic import SecretStr

from actors.cluster import placed_tools
from actors.cluster.alive import Alive
from actors.cluster.host_actors import KINDS, HostActors
from actors.cluster.launch import HEAD, Launch, answered, remote_class
from actors.cluster.links import Links, actor_named, actor_names, awaited
from actors.cluster.mcp_servers import KIND, McpServers
from actors.cluster.nodes import is_alive, living
from actors.cluster.placed_tools import PlacedTools
from actors.cluster.session_actors import SessionActors
from actors.cluster.wardens import StoreWarden
from actors.errors import GreenroomError, Superseded
from actors.peers import Peer, RuntimeInfo, World
from actors.residency.residency import Residency
from actors.session.ports import Store
from actors.store_actor import StoreActor

log = logging.getLogger(__name__)

LOOK_S = 1.0
"""How often a node that is alone looks for others."""


class ActorPool:
    """Starts actors and watches them.

    Args:
        keys: Of model providers, by provider name or credential id.
        lost: Called with the name of a session actor that died.
        superseded: Called when another registry has taken over.

    Attributes:
        info: What those who take part in the runtime are told, as of now.
        sessions, hosts, placed, servers: The session actors, the effect hosts, those of tools that need resources, and
            MCP servers.
    """

    info: RuntimeInfo
    servers: McpServers

    def __init__(
        self,
        launch: Launch,
        keys: dict[str, SecretStr],
        lost: Callable[[str], None],
        superseded: Callable[[Superseded], None],
    ) -> None:
        self.links = Links(launch.token.get_secret_value(), data_plane=launch.settings.data_plane)
        self._launch = launch
        self._lost = lost
        self._superseded = superseded
        self._alive = Alive(launch.settings.silence_s, self._bury)
        meet, confirm = self.meet_neighbours, self._confirm
        self.sessions = SessionActors(launch, self.links, self._alive, lambda: self.info, meet, confirm, self._weigh)
        self.hosts = HostActors(launch, self._alive, keys, lambda: self.info, confirm)
        self.placed = PlacedTools(launch, self.hosts, lambda: self.info, confirm, self._resurround)
        self._meeting: asyncio.Task[None] | None = None
        self._held = ExitStack()
        self._held.callback(self._alive.close)
        self._held.callback(self.placed.close)
        self._tasks: set[asyncio.Task[Any]] = set()

    # --- coming up ---------------------------------------------------------------------------------------------------

    async def open_store(self) -> Peer:
        """Start the store, or find it."""
        launch = self._launch
        name = f"{launch.settings.runtime}.store"
        handle = actor_named(name)
        if handle is None:
            options = {"max_restarts": -1, "resources": HEAD}
            chosen = launch.settings
            urls = (launch.store_url, chosen.stores)
            args = (name, *urls, chosen.runtime, launch.token, chosen.data_plane, chosen.tcp)
            handle = remote_class(StoreActor, name, **options).remote(*args)
        self._alive.handles[name] = handle
        return await answered(handle.open.remote(), name)

    def _watch_store(self, info: RuntimeInfo) -> None:
        handle, silence_s = self._alive.handles[info.store.name], self._launch.settings.silence_s
        self._warden = StoreWarden(handle, info.registry.name, info.term, silence_s, self._superseded)
        self._spawn(self._warden.watch())

    async def _confirm(self) -> None:
        """Raise Superseded when another registry has taken over: what there is belongs to that one now."""
        await self._warden.ask()

    async def open(self, info: RuntimeInfo, residency: Residency, store: Store) -> None:
        """Find the actors of a former registry, and the world as it had left it; then start what is missing."""
        self.info = info
        self._residency = residency
        confirm = self._confirm
        self.servers = McpServers(self._launch, store, self.hosts, lambda: self.info, confirm, self._resurround)
        self._held.callback(self.servers.roster.let_go)
        self._watch_store(info)
        names = await asyncio.to_thread(actor_names, f"{info.runtime}.")
        placed = {name for name in names if self._kind_of(name) == placed_tools.KIND}
        await asyncio.gather(*(self._adopt(name) for name in names if name not in placed))
        if self.info.world != info.world:
            self._spawn(self.surround(self.info.world))
        self._spawn(self._look_for_neighbours())
        own = ray.get_runtime_context().get_node_id()
        left = {name: handle for name in placed if (handle := actor_named(name)) is not None}
        self.placed.begin((await self.hosts.toolbox(own)).placed, left)
        self._spawn(self._quietly(self.hosts.model_host("scripted", own)))
        self._spawn(self._quietly(self.servers.roster.load()))

    def _kind_of(self, name: str) -> str:
        return name.removeprefix(f"{self.info.runtime}.").partition(".")[0]

    async def _adopt(self, name: str) -> None:
        kind = self._kind_of(name)
        handle = actor_named(name)
        if handle is None:
            return
        try:
            if kind == "session":
                await self._adopt_seat(name, handle)
            elif kind == KIND:
                await self.servers.adopt(name, handle)
            elif kind in KINDS:
                await self.hosts.adopt(kind, name, handle)
        except (GreenroomError, AssertionError) as exc:
            log.warning("%s is left behind and ended: %s", name, exc)
            ray.kill(handle)

    async def _adopt_seat(self, name: str, handle: Any) -> None:
        found = await self.sessions.adopt(name, handle)
        if found is None:
            return
        seat, info, residents = found
        if info.world.version > self.info.world.version:
            self.info = info
        for tenant, journal_id, assignment_no in residents:
            self._residency.adopt(seat, tenant, journal_id, assignment_no)
        self._residency.add_seat(seat)

    async def surround(self, world: World) -> None:
        """Tell every session actor of a changed world."""
        self.info = self.info.model_copy(update={"world": world})
        await self.sessions.surround(self.info)

    async def _resurround(self) -> None:
        """The world is as it was, and the tools may be others."""
        await self.sessions.surround(self.info)

    # --- nodes -------------------------------------------------------------------------------------------------------

    async def meet_neighbours(self) -> None:
        """Have every actor listen for other nodes, once there are any."""
        if self._meeting is None or (self._meeting.done() and self._meeting.exception() is not None):
            self._meeting = self._spawn(self._open_far())
        await asyncio.shield(self._meeting)

    async def _open_far(self) -> None:
        store = self.info.store
        far = await answered(self._alive.handles[store.name].far.remote(), store.name)
        self.info = self.info.model_copy(update={"store": store.model_copy(update={"far": far})})
        await self.hosts.open_far()
        await self.sessions.open_far()

    async def _look_for_neighbours(self) -> None:
        while True:
            if len(await asyncio.to_thread(living)) > 1:
                await self._quietly(self.meet_neighbours())
                return
            await asyncio.sleep(LOOK_S)

    def _weigh(self, name: str, private_bytes: int, weights: Mapping[str, int]) -> None:
        self._residency.scales.weigh(name, private_bytes, weights)

    # --- life and death ----------------------------------------------------------------------------------------------

    async def _bury(self, name: str) -> None:
        """See to it that somebody takes a dead actor's place."""
        seat = self.sessions.bury(name)
        if seat is not None:
            self._lost(name)
            await self.links.drop(seat.peer)
            return
        self.servers.bury(name)
        self.placed.bury(name)
        toolbox = self.hosts.bury(name)
        if toolbox is not None:
            await self._quietly(self._replace_tools(toolbox.host.peer.node_id))
            await self.surround(self.info.world)

    async def _replace_tools(self, node_id: str) -> None:
        """Start another tool host where one has died, unless it went with its node."""
        if await asyncio.to_thread(is_alive, node_id):
            await self.hosts.toolbox(node_id)

    async def _quietly(self, work: Coroutine[Any, Any, Any]) -> None:
        try:
            await work
        except GreenroomError as exc:
            log.info("%s", exc)

    async def let_go(self) -> None:
        """Watch nobody any more; they go on."""
        for task in list(self._tasks):
            task.cancel()
        self._held.close()

    async def close(self) -> None:
        """End every actor: sessions first, the store last, so that nothing is lost on the way."""
        await self.let_go()
        store = f"{self._launch.settings.runtime}.store"
        others = {name: handle for name, handle in self._alive.handles.items() if name != store}
        # Before the hosts: a session that sees its host close would take that for a failure, and write it down.
        self.sessions.close()
        self.hosts.close()
        for name, handle in self.hosts.actors().items():
            await self._close_one(name, handle)
        for handle in others.values():
            ray.kill(handle)
        handle = self._alive.handles.get(store)
        if handle is not None:
            await self._close_one(store, handle)
            ray.kill(handle)
        await self.links.close()

    async def _close_one(self, name: str, handle: Any) -> None:
        try:
            async with asyncio.timeout(15.0):
                await awaited(handle.close.remote(), name)
        except (TimeoutError, GreenroomError) as exc:
            log.info("%s did not close: %s", name, exc)

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work, context=contextvars.Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
