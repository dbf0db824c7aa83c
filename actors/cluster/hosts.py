"""Effect hosts as a session actor, or a reader, reaches them: found by the registry, called over links."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import Any, TypeVar

from actors.cluster.links import Links
from actors.cluster.registry_link import RegistryLink
from actors.domain.calls import Attached, CallKey, Delta, HostRef, ModelCall, Reconciled, ToolCall
from actors.domain.contexts import Contexts
from actors.domain.workspaces import Site, Whereabouts
from actors.effect_host.remote import RemoteHost
from actors.errors import HostGone, TransportLost
from actors.peers import HostPeer, Toolbox
from actors.session.ports import ToolSpec

SENT_BYTES = 64 * 1024 * 1024
"""Contexts of which is known what their model host was sent. Most are the sessions' own messages, held once."""

T = TypeVar("T")


class ClusterHosts:
    """``actors.session.ports.Hosts`` over the actors of a cluster.

    Calls go to the hosts of this process's own node.
    """

    def __init__(self, registry: RegistryLink, links: Links) -> None:
        self._registry = registry
        self._links = links
        self._models: dict[str, HostPeer] = {}
        self._known: dict[str, HostPeer] = {}
        self._toolbox: Toolbox | None = None
        self._sent = Contexts(SENT_BYTES)

    async def _ask(self, method: str, *args: Any) -> Any:
        return await self._registry.ask(method, *args)

    async def model_host(self, provider: str) -> HostRef:
        """See ``Hosts.model_host``."""
        found = self._models.get(provider)
        if found is None:
            found = self._models[provider] = self._learn(await self._ask("model_host", provider, self._links.node_id))
        return found.ref

    async def tools(self) -> tuple[ToolSpec, ...]:
        """See ``Hosts.tools``."""
        asked = self._own_toolbox(), self._ask("placed_tools"), self._ask("mcp_tools")
        own, placed, servers = await asyncio.gather(*asked)
        return (*map(ToolSpec, own.definitions), *placed, *servers)

    async def _own_toolbox(self) -> Toolbox:
        toolbox: Toolbox = await self._ask("toolbox", self._links.node_id)
        self._toolbox = toolbox
        self._learn(toolbox.host)
        return toolbox

    async def site(self, asked: Whereabouts) -> Site:
        """See ``Hosts.site``. A new workspace is here when the directory is, else on the registry's node."""
        own = self._toolbox or await self._own_toolbox()
        if asked.node == own.node or (asked.node is None and await asyncio.to_thread(os.path.isdir, asked.path)):
            return Site(asked, own.node, own.host.ref)
        found: Toolbox | None = await self._ask("toolbox_for", asked.node, asked.path, self._links.node_id)
        if found is None and asked.only:
            return Site(asked, asked.node or "", None)
        there = found or own
        return Site(asked, there.node, self._learn(there.host).ref)

    def _learn(self, host: HostPeer) -> HostPeer:
        self._known[host.ref.host_id] = host
        return host

    async def _host(self, ref: HostRef) -> tuple[HostPeer, RemoteHost]:
        found = self._known.get(ref.host_id)
        if found is None or found.ref != ref:
            found = await self._ask("host", ref.host_id)
            if found is None:
                raise HostGone(ref.host_id, "its actor is gone")
            self._learn(found)
        if found.ref != ref:
            raise HostGone(ref.host_id, "another incarnation answers in its place")
        return found, RemoteHost(self._links.to(found.peer), ref.incarnation)

    def _forget(self, host: HostPeer) -> None:
        self._known.pop(host.ref.host_id, None)
        if self._toolbox is not None and self._toolbox.host.ref == host.ref:
            self._toolbox = None
        for provider in [name for name, known in self._models.items() if known.ref == host.ref]:
            del self._models[provider]

    async def _told(self, host: HostPeer, answer: Awaitable[T]) -> T:
        """What a host answers; HostGone when the connection broke because the host is dead."""
        try:
            return await answer
        except HostGone:
            self._forget(host)
            raise
        except TransportLost:
            self._forget(host)
            if not await self._ask("host_lives", host.ref):
                await self._links.drop(host.peer)
                raise HostGone(host.ref.host_id, "its actor is dead") from None
            raise

    async def run(self, call: ModelCall | ToolCall) -> Attached:
        """See ``Hosts.run``."""
        host, remote = await self._host(call.host)
        return await self._told(host, remote.run(call, self._sent))

    async def attach(
        self, host: HostRef, journal_id: str, epoch: int, keys: Sequence[CallKey], settled: Sequence[CallKey]
    ) -> list[Attached]:
        """See ``Hosts.attach``."""
        found, remote = await self._host(host)
        return await self._told(found, remote.attach(journal_id, epoch, keys, settled))

    async def cancel(self, host: HostRef, journal_id: str, epoch: int, key: CallKey) -> Attached:
        """See ``Hosts.cancel``."""
        found, remote = await self._host(host)
        return await self._told(found, remote.cancel(journal_id, epoch, key))

    async def ack(self, host: HostRef, journal_id: str, epoch: int, keys: Sequence[CallKey]) -> None:
        """See ``Hosts.ack``."""
        _, remote = await self._host(host)
        await remote.ack(journal_id, epoch, keys)

    async def reconcile(self, host: HostRef, call: ToolCall, recorded: bytes | None) -> Reconciled:
        """See ``Hosts.reconcile``."""
        found, remote = await self._host(host)
        return await self._told(found, remote.reconcile(call, recorded))

    def forget(self, journal_id: str) -> None:
        """See ``Hosts.forget``."""
        self._sent.drop(journal_id)

    async def confirmed_dead(self, host: HostRef) -> bool:
        """See ``Hosts.confirmed_dead``."""
        return await self._ask("confirmed_dead", host)

    async def deltas(self, host: HostRef, key: CallKey, *, after: int = 0) -> AsyncIterator[Delta]:
        """The output of a call as it comes."""
        _, remote = await self._host(host)
        async for page in remote.watch(key, after):
            for delta in page.deltas:
                yield delta
            if page.ended:
                return
