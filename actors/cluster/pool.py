"""The actors of a runtime: their names and options, how they are started, watched and ended.

Between the registry, which decides, and Ray, which does it. All are named and detached, so a registry that restarts
finds them; a pending call to each of them tells of its death within milliseconds.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Callable, Coroutine
from typing import Any

import ray
from pydantic import SecretStr

from actors.cluster.alive import Alive
from actors.cluster.launch import HEAD, Launch, answered, remote_class
from actors.cluster.links import Links, actor_named, actor_names, awaited
from actors.cluster.nodes import none_left
from actors.cluster.session_actors import SessionActors
from actors.cluster.wardens import StoreWarden
from actors.domain.calls import HostRef
from actors.errors import GreenroomError, ModelUnavailable, Overloaded
from actors.model_actor import ModelActor
from actors.peers import HostPeer, Peer, RuntimeInfo, Toolbox
from actors.residency.residency import Residency
from actors.store_actor import StoreActor
from actors.tool_actor import ToolActor

log = logging.getLogger(__name__)


class ActorPool:
    """Starts actors and watches them.

    Args:
        lost: Called with the name of a session actor that died.

    Attributes:
        sessions: The session actors.
    """

    def __init__(self, launch: Launch, lost: Callable[[str], None]) -> None:
        self.links = Links(launch.token.get_secret_value(), data_plane=launch.settings.data_plane)
        self._launch = launch
        self._lost = lost
        self._alive = Alive(launch.settings.silence_s, self._bury)
        self.sessions = SessionActors(launch, self.links, self._alive, lambda: self._info)
        self._hosts: dict[str, HostPeer] = {}
        self._model_hosts: dict[str, HostPeer] = {}
        self._toolbox: Toolbox | None = None
        self._keys: dict[str, SecretStr] = {}
        self._starting: dict[str, asyncio.Task[Any]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    # --- coming up ---------------------------------------------------------------------------------------------------

    async def open_store(self) -> Peer:
        """Start the store, or find it."""
        launch = self._launch
        name = f"{launch.settings.runtime}.store"
        handle = actor_named(name)
        if handle is None:
            options = {"max_restarts": -1, "resources": HEAD}
            args = (name, launch.store_url, launch.settings.runtime, launch.token, launch.settings.data_plane)
            handle = remote_class(StoreActor, name, **options).remote(*args)
        self._alive.handles[name] = handle
        peer = await answered(handle.open.remote(), name)
        self._spawn(StoreWarden(handle, launch.registry_name, launch.settings.silence_s).watch())
        return peer

    async def open(self, info: RuntimeInfo, keys: dict[str, SecretStr], residency: Residency) -> RuntimeInfo:
        """Find the actors of a former registry, then start what is missing.

        Returns:
            The info, with the world as the former registry had left it.
        """
        self._info = info
        self._keys = keys
        self._residency = residency
        names = await asyncio.to_thread(actor_names, f"{info.runtime}.")
        await asyncio.gather(*(self._adopt(name) for name in names))
        if self._info.world != info.world:
            self._spawn(self.surround(self._info))
        await self.toolbox()
        self._spawn(self._quietly(self.model_host("scripted")))
        return self._info

    async def _adopt(self, name: str) -> None:
        kind = name.removeprefix(f"{self._info.runtime}.").partition(".")[0]
        handle = actor_named(name)
        if handle is None or kind not in {"session", "models", "local", "tools"}:
            return
        try:
            if kind == "session":
                await self._adopt_seat(name, handle)
            elif kind == "tools":
                self._know_tools(name, handle, await answered(handle.toolbox.remote(), name))
            else:
                host = await answered(handle.describe.remote(), name)
                self._keys |= await answered(handle.keys.remote(), name)
                self._know_host(name, handle, host)
                self._model_hosts["local" if kind == "local" else "any"] = host
        except (GreenroomError, AssertionError) as exc:
            log.warning("%s is left behind and ended: %s", name, exc)
            ray.kill(handle)

    async def _adopt_seat(self, name: str, handle: Any) -> None:
        found = await self.sessions.adopt(name, handle)
        if found is None:
            return
        seat, info, residents = found
        if info.world.version > self._info.world.version:
            self._info = info
        for tenant, journal_id, assignment_no in residents:
            self._residency.adopt(seat, tenant, journal_id, assignment_no)
        self._residency.add_seat(seat)

    async def surround(self, info: RuntimeInfo) -> None:
        """Tell every session actor of a changed world."""
        self._info = info
        await self.sessions.surround(info)

    # --- hosts -------------------------------------------------------------------------------------------------------

    async def model_host(self, provider: str) -> HostPeer:
        """The host of a provider: the embedded model has one of its own, the others share one."""
        slot = "local" if provider == "local" else "any"
        found = self._model_hosts.get(slot)
        return found or await self._once(f"model:{slot}", lambda: self._start_models(slot))

    async def _start_models(self, slot: str) -> HostPeer:
        name = self._launch.name("local" if slot == "local" else "models")
        handle = remote_class(ModelActor, name).remote(name)
        try:
            host = await answered(handle.open.remote(self._info, self._keys), name, handle)
        except Overloaded as exc:
            raise ModelUnavailable(slot, "its host did not start in time") from exc
        self._know_host(name, handle, host)
        self._model_hosts[slot] = host
        return host

    async def toolbox(self) -> Toolbox:
        """The tool host and its tools."""
        return self._toolbox or await self._once("tools", self._start_tools)

    async def _start_tools(self) -> Toolbox:
        name = self._launch.name("tools")
        handle = remote_class(ToolActor, name).remote(name)
        running = self._launch.settings.tool_running
        toolbox = await answered(handle.open.remote(self._info, self._launch.tools, running), name, handle)
        return self._know_tools(name, handle, toolbox)

    def _know_tools(self, name: str, handle: Any, toolbox: Toolbox) -> Toolbox:
        self._toolbox = toolbox
        self._know_host(name, handle, toolbox.host)
        return toolbox

    def _know_host(self, name: str, handle: Any, host: HostPeer) -> None:
        self._hosts[host.ref.host_id] = host
        self._alive.keep(name, handle)

    def host(self, host_id: str) -> HostPeer | None:
        """A host that lives."""
        return self._hosts.get(host_id)

    async def lives(self, ref: HostRef) -> bool:
        """Whether this incarnation lives."""
        found = self._hosts.get(ref.host_id)
        return found is not None and found.ref == ref

    async def confirmed_dead(self, ref: HostRef) -> bool:
        """Whether this incarnation and all it started are gone.

        A host has a name of its own that is never used again, so one that is not known any more is dead: the former
        registry's were adopted or ended when this one came up.
        """
        return not await self.lives(ref) and await none_left(ref.host_id)

    # --- life and death ----------------------------------------------------------------------------------------------

    async def _bury(self, name: str) -> None:
        """See to it that somebody takes a dead actor's place."""
        seat = self.sessions.bury(name)
        if seat is not None:
            self._lost(name)
            await self.links.drop(seat.peer)
            return
        self._hosts.pop(name, None)
        for slot in [slot for slot, host in self._model_hosts.items() if host.peer.name == name]:
            del self._model_hosts[slot]
        if self._toolbox is not None and self._toolbox.host.peer.name == name:
            self._toolbox = None
            await self._quietly(self.toolbox())
            await self.surround(self._info)

    async def _once(self, what: str, start: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """Start something that several ask for at a time."""
        task = self._starting.get(what)
        if task is None:
            task = self._starting[what] = self._spawn(start())
            task.add_done_callback(lambda _: self._starting.pop(what, None))
        return await asyncio.shield(task)

    async def _quietly(self, work: Coroutine[Any, Any, Any]) -> None:
        try:
            await work
        except GreenroomError as exc:
            log.info("%s", exc)

    async def close(self) -> None:
        """End every actor: sessions first, the store last, so that nothing is lost on the way."""
        for task in list(self._tasks):
            task.cancel()
        self._alive.close()
        store = f"{self._launch.settings.runtime}.store"
        others = {name: handle for name, handle in self._alive.handles.items() if name != store}
        # Before the hosts: a session that sees its host close would take that for a failure, and write it down.
        self.sessions.close()
        for name, handle in others.items():
            if name in self._hosts:
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
