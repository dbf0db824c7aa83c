"""The actor that runs tools: the only place of user code."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from actors.cluster.links import Links
from actors.cluster.nodes import own_name
from actors.domain.tools import ToolDefinition, ToolOptions
from actors.effect_host import HostLimits
from actors.effect_host.guarded import Guarded, Vault
from actors.effect_host.sink import StoreSink
from actors.host_actor import HostActor
from actors.inspection.inspectors import Inspectors
from actors.peers import RuntimeInfo, Toolbox
from actors.storage.remote import RemoteStore
from actors.tools.executor import ToolExecutor
from actors.tools.given import as_tool
from actors.tools.leftovers import HOST_MARK, claim_life
from actors.tools.registry import ToolRegistry


class ToolActor(HostActor):
    """A tool host. Its tools are the built-in ones and those it is opened with."""

    _definitions: tuple[ToolDefinition, ...] = ()
    _placed: tuple[ToolDefinition, ...] = ()
    _sandbox = ""
    _node = ""

    async def open(
        self,
        info: RuntimeInfo,
        tools: tuple[Any, ...],
        running: int,
        options: ToolOptions,
        resources: Mapping[str, float] | None = None,
    ) -> Toolbox:
        """Take part in a runtime.

        Args:
            tools: Functions made by ``@tool``, or their import strings.
            running: Calls that run at the same time.
            options: What is chosen about the built-in tools.
            resources: What of the cluster was given to this host: it has the tools that need just that, and no others.

        Raises:
            InvalidConfig: a tool cannot be loaded, or two have one name.
        """
        if self._doors is None:
            self._life = claim_life(self._name)
            self._node = await asyncio.to_thread(own_name)
            mark = {HOST_MARK: self._name}
            registry = await asyncio.to_thread(ToolRegistry.with_builtins, mark, options)
            for one in tools:
                registry.register(as_tool(one))
            self._placed = registry.part_with(resources or {})
            self._definitions, self._sandbox = registry.definitions(), registry.commands.sandbox.status
            links = Links(info.token.get_secret_value(), data_plane=info.data_plane)
            store = RemoteStore(links.to(info.store))
            workspace = Path(info.world.workspace) if info.world.workspace else None
            # Ray chose the node for its resources, and a workspace may be on another.
            vault, away = Vault([info.token.get_secret_value()]), bool(resources)
            self._vault = vault
            executor = ToolExecutor(
                workspace, registry, StoreSink(store), store.blobs, known=lambda: vault.known, elsewhere=away
            )
            await self._start(info, "tools", Guarded(executor, vault, Inspectors()), HostLimits(running=running), links)
        return await self.toolbox()

    async def toolbox(self) -> Toolbox:
        """The host and its tools."""
        peer = await self.describe()
        assert peer is not None, "a toolbox is asked of an open host"
        return Toolbox(
            host=peer, node=self._node, definitions=self._definitions, sandbox=self._sandbox, placed=self._placed
        )
