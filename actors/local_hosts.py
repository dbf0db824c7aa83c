"""Effect hosts of a runtime that lives in one process."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Sequence

from actors.domain.calls import Attached, CallKey, Delta, HostRef, ModelCall, Reconciled, ToolCall
from actors.domain.workspaces import Site, Whereabouts
from actors.effect_host import EffectHost
from actors.errors import HostGone
from actors.local_servers import LocalServers
from actors.session.ports import ToolSpec
from actors.tools.registry import ToolRegistry


class LocalHosts:
    """``actors.session.ports.Hosts`` over hosts in this process."""

    def __init__(self, models: EffectHost, tools: EffectHost, registry: ToolRegistry, servers: LocalServers) -> None:
        self._models = models
        self._tools = tools
        self._registry = registry
        self._servers = servers

    def _host(self, ref: HostRef) -> EffectHost:
        for host in (self._models, self._tools, *self._servers.hosts()):
            if host.ref == ref:
                return host
        raise HostGone(ref.host_id, "it ended with its process")

    async def model_host(self, provider: str) -> HostRef:
        """See ``Hosts.model_host``."""
        del provider
        return self._models.ref

    async def tools(self) -> tuple[ToolSpec, ...]:
        """See ``Hosts.tools``."""
        await self._servers.roster.settled()
        return (*map(ToolSpec, self._registry.definitions()), *self._servers.specs())

    async def site(self, asked: Whereabouts) -> Site:
        """See ``Hosts.site``."""
        node = socket.gethostname()
        gone = asked.only and asked.node != node
        return Site(asked, asked.node or node, None) if gone else Site(asked, node, self._tools.ref)

    async def run(self, call: ModelCall | ToolCall) -> Attached:
        """See ``Hosts.run``."""
        return await self._host(call.host).run(call)

    async def attach(
        self, host: HostRef, journal_id: str, epoch: int, keys: Sequence[CallKey], settled: Sequence[CallKey]
    ) -> list[Attached]:
        """See ``Hosts.attach``."""
        return await self._host(host).attach(journal_id, epoch, host.incarnation, keys, settled)

    async def cancel(self, host: HostRef, journal_id: str, epoch: int, key: CallKey) -> Attached:
        """See ``Hosts.cancel``."""
        return await self._host(host).cancel(key, epoch, journal_id, host.incarnation)

    async def ack(self, host: HostRef, journal_id: str, epoch: int, keys: Sequence[CallKey]) -> None:
        """See ``Hosts.ack``."""
        await self._host(host).ack(journal_id, epoch, host.incarnation, keys)

    async def reconcile(self, host: HostRef, call: ToolCall, recorded: bytes | None) -> Reconciled:
        """See ``Hosts.reconcile``."""
        return await self._host(host).reconcile(call.journal_id, call.epoch, host.incarnation, call, recorded)

    def forget(self, journal_id: str) -> None:
        """Nothing is kept of a session."""

    async def confirmed_dead(self, host: HostRef) -> bool:
        """A host of another process: its reapers ended what it ran when that process did."""
        return host not in (self._models.ref, self._tools.ref, *(one.ref for one in self._servers.hosts()))

    async def deltas(self, host: HostRef, key: CallKey) -> AsyncIterator[Delta]:
        """The output of a call as it comes."""
        async for page in self._host(host).watch(key):
            for delta in page.deltas:
                yield delta
