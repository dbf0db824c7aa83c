"""The model and tool hosts of a runtime: one of each kind on every node where session actors are, started at need."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import ray
from pydantic import SecretStr

from actors.cluster.alive import Alive
from actors.cluster.launch import Launch, answered, remote_class
from actors.cluster.nodes import is_alive, living, name_of, none_left, on_node
from actors.domain.calls import HostRef
from actors.errors import GreenroomError, ModelUnavailable, Overloaded
from actors.model_actor import ModelActor
from actors.peers import HostPeer, RuntimeInfo, Toolbox
from actors.tool_actor import ToolActor

log = logging.getLogger(__name__)

KINDS = frozenset({"models", "local", "tools"})
"""Kinds of host actors, as their names say."""

EVERYWHERE = ""
"""In the place of a node: the embedded model is loaded once, and all nodes share it."""


MAX_FALLEN = 1000
"""Dead hosts whose node is remembered. Of others every node is asked, which takes longer."""


class HostActors:
    """Starts hosts, finds them again, and knows which live.

    Args:
        keys: Of model providers; those that adopted hosts hold are added.
        info: Tells what hosts are opened with, as of now.
        confirm: Called before a host is started; raises when that is another registry's to do.
    """

    def __init__(
        self,
        launch: Launch,
        alive: Alive,
        keys: dict[str, SecretStr],
        info: Callable[[], RuntimeInfo],
        confirm: Callable[[], Awaitable[None]],
    ) -> None:
        self._launch = launch
        self._alive = alive
        self._keys = keys
        self._info = info
        self._confirm = confirm
        self._hosts: dict[str, HostPeer] = {}
        self._models: dict[str, str] = {}
        self._toolboxes: dict[str, Toolbox] = {}
        self._fallen: dict[str, str] = {}
        self._starting: dict[str, asyncio.Task[Any]] = {}

    async def adopt(self, kind: str, name: str, handle: Any) -> None:
        """Take over a host of a former registry."""
        if kind == "tools":
            self._know_tools(name, handle, await answered(handle.toolbox.remote(), name))
            return
        host = await answered(handle.describe.remote(), name)
        self._keys |= await answered(handle.keys.remote(), name)
        self._know_models(EVERYWHERE if kind == "local" else host.peer.node_id, name, handle, host)

    # --- starting ----------------------------------------------------------------------------------------------------

    async def model_host(self, provider: str, node_id: str) -> HostPeer:
        """The host of a provider for callers on a node."""
        where = EVERYWHERE if provider == "local" else node_id
        found = self._hosts.get(self._models.get(where, ""))
        return found or await self._once(f"models {where}", lambda: self._start_models(where, node_id))

    async def _start_models(self, where: str, node_id: str) -> HostPeer:
        await self._confirm()
        name = self._launch.name("local" if where == EVERYWHERE else "models")
        options = {"scheduling_strategy": on_node(node_id, only=where != EVERYWHERE)}
        handle = remote_class(ModelActor, name, **options).remote(name)
        try:
            host = await answered(handle.open.remote(self._info(), self._keys), name, handle)
        except Overloaded as exc:
            raise ModelUnavailable(name, "its host did not start in time") from exc
        self._know_models(where, name, handle, host)
        return host

    def _know_models(self, where: str, name: str, handle: Any, host: HostPeer) -> None:
        self._models[where] = host.ref.host_id
        self._know(name, handle, host)

    async def toolbox(self, node_id: str) -> Toolbox:
        """The tool host of a node, and its tools."""
        return self._toolboxes.get(node_id) or await self._once(f"tools {node_id}", lambda: self._start_tools(node_id))

    @property
    def sandboxes(self) -> dict[str, str]:
        """How commands are confined on each node that runs them, by the node's name."""
        return {box.node: box.sandbox for box in self._toolboxes.values()}

    async def toolbox_for(self, node: str | None, path: str, asker_id: str) -> Toolbox | None:
        """The tool host on the node of this name; None when it is gone.

        Args:
            node: None: the registry's node when the directory is there, else the asker's.
            asker_id: The node that asks, which is preferred where several have one name.
        """
        if node is None:
            here = ray.get_runtime_context().get_node_id()
            return await self.toolbox(here if await asyncio.to_thread(os.path.isdir, path) else asker_id)
        named = [one["NodeID"] for one in await asyncio.to_thread(living) if name_of(one) == node]
        if not named:
            return None
        return await self.toolbox(asker_id if asker_id in named else named[0])

    async def _start_tools(self, node_id: str) -> Toolbox:
        await self._confirm()
        name = self._launch.name("tools")
        handle = remote_class(ToolActor, name, scheduling_strategy=on_node(node_id, only=True)).remote(name)
        settings = self._launch.settings
        opening = handle.open.remote(self._info(), self._launch.tools, settings.tool_running, settings.tool_options)
        toolbox = await answered(opening, name, handle)
        return self._know_tools(name, handle, toolbox)

    def _know_tools(self, name: str, handle: Any, toolbox: Toolbox) -> Toolbox:
        self._toolboxes[toolbox.host.peer.node_id] = toolbox
        self._know(name, handle, toolbox.host)
        return toolbox

    def watch(self, name: str, handle: Any, host: HostPeer) -> None:
        """Know a host that somebody else has started."""
        self._know(name, handle, host)

    def unwatch(self, name: str) -> None:
        """It is being ended on purpose."""
        self._alive.forget(name)

    def _know(self, name: str, handle: Any, host: HostPeer) -> None:
        self._hosts[host.ref.host_id] = host
        self._alive.keep(name, handle)

    async def _once(self, what: str, start: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """Start something that several ask for at a time."""
        task = self._starting.get(what)
        if task is None:
            # An empty context: the start outlives whoever happens to be first.
            task = asyncio.get_running_loop().create_task(start(), context=contextvars.Context())
            self._starting[what] = task
            task.add_done_callback(lambda done: self._started(what, done))
        return await asyncio.shield(task)

    def _started(self, what: str, done: asyncio.Task[Any]) -> None:
        del self._starting[what]
        if not done.cancelled():
            done.exception()  # Marks it as seen: whoever asked may be gone.

    # --- reaching ----------------------------------------------------------------------------------------------------

    async def open_far(self) -> None:
        """Have every host listen for other nodes."""
        for host in list(self._hosts.values()):
            name = host.peer.name
            try:
                far = await answered(self._alive.handles[name].far.remote(), name)
            except (GreenroomError, KeyError) as exc:
                log.info("%s is not reached from other nodes over TCP: %s", name, exc)
                continue
            self._renew(host.model_copy(update={"peer": host.peer.model_copy(update={"far": far})}))

    def _renew(self, host: HostPeer) -> None:
        if host.ref.host_id in self._hosts:
            self._hosts[host.ref.host_id] = host
        toolbox = self._toolboxes.get(host.peer.node_id)
        if toolbox is not None and toolbox.host.ref == host.ref:
            self._toolboxes[host.peer.node_id] = toolbox.model_copy(update={"host": host})

    def host(self, host_id: str) -> HostPeer | None:
        """A host that lives."""
        return self._hosts.get(host_id)

    def lives(self, ref: HostRef) -> bool:
        """Whether this incarnation lives."""
        found = self._hosts.get(ref.host_id)
        return found is not None and found.ref == ref

    async def confirmed_dead(self, ref: HostRef) -> bool:
        """Whether this incarnation and all it started are gone.

        A host has a name of its own that is never used again, so one that is not known any more is dead: the former
        registry's were adopted or ended when this one came up. Of a node that Ray has declared dead nobody can say what
        still runs there; its hosts are given up.
        """
        if self.lives(ref):
            return False
        node_id = self._fallen.get(ref.host_id)
        if node_id is not None and not await asyncio.to_thread(is_alive, node_id):
            return True
        return await none_left(ref.host_id)

    # --- ending ------------------------------------------------------------------------------------------------------

    def bury(self, name: str) -> Toolbox | None:
        """A host is dead; returns its toolbox when it was a tool host, whose node may need another."""
        for host_id in [host_id for host_id, host in self._hosts.items() if host.peer.name == name]:
            self._fallen[host_id] = self._hosts.pop(host_id).peer.node_id
            while len(self._fallen) > MAX_FALLEN:
                del self._fallen[next(iter(self._fallen))]
        for node_id, toolbox in self._toolboxes.items():
            if toolbox.host.peer.name == name:
                return self._toolboxes.pop(node_id)
        return None

    def actors(self) -> dict[str, Any]:
        """The handles of those that live, by name."""
        names = {host.peer.name for host in self._hosts.values()}
        return {name: handle for name, handle in self._alive.handles.items() if name in names}

    def close(self) -> None:
        """Start nothing more."""
        for task in self._starting.values():
            task.cancel()
