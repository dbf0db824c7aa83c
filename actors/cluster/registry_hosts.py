"""What the registry is asked about effect hosts: a part of ``RegistryActor``."""

from __future__ import annotations

from typing import Any

import ray

from actors.cluster.pool import ActorPool
from actors.domain.calls import HostRef
from actors.peers import HostPeer, Toolbox
from actors.session.ports import ToolSpec


class RegistryHosts:
    """Delegates to the pool's hosts."""

    _pool: ActorPool

    async def open(self) -> Any:
        """See ``RegistryActor.open``."""
        raise NotImplementedError

    async def model_host(self, provider: str, node_id: str) -> HostPeer:
        """The host that serves a provider for those on a node, started when there is none."""
        await self.open()
        return await self._pool.hosts.model_host(provider, node_id)

    async def toolbox(self, node_id: str = "") -> Toolbox:
        """The tools, and the host that runs them on a node; the registry's own node when none is named."""
        await self.open()
        return await self._pool.hosts.toolbox(node_id or ray.get_runtime_context().get_node_id())

    async def placed_tools(self) -> tuple[ToolSpec, ...]:
        """The tools that have hosts of their own for the resources they need."""
        await self.open()
        return await self._pool.placed.specs()

    async def toolbox_for(self, node: str | None, path: str, asker_id: str) -> Toolbox | None:
        """The tools on the node that has a workspace; see ``HostActors.toolbox_for``."""
        await self.open()
        return await self._pool.hosts.toolbox_for(node, path, asker_id)

    async def host(self, host_id: str) -> HostPeer | None:
        """A host by its id, when it lives."""
        await self.open()
        return self._pool.hosts.host(host_id)

    async def host_lives(self, ref: HostRef) -> bool:
        """Whether this very incarnation may still run something."""
        await self.open()
        return self._pool.hosts.lives(ref)

    async def confirmed_dead(self, ref: HostRef) -> bool:
        """Whether this incarnation, and every process it started, is known to be gone."""
        await self.open()
        return await self._pool.hosts.confirmed_dead(ref)
