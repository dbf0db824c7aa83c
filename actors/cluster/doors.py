"""Where one actor is reached on the data plane: by its node's processes, and by other nodes when there are any."""

from __future__ import annotations

import asyncio
import logging

import ray

from actors.cluster.nodes import living
from actors.peers import Peer
from actors.served import Served

log = logging.getLogger(__name__)


class Doors:
    """The listening ends of one actor.

    A single node opens no port: TCP is served only where the cluster has further nodes, or the settings say so, and
    only on the address by which the cluster knows the node.

    Args:
        tcp: See ``Settings.tcp``.
    """

    def __init__(self, name: str, served: Served, *, data_plane: bool, tcp: bool | None) -> None:
        self._served = served
        self._data_plane = data_plane
        self._tcp = tcp
        self.peer = Peer(name=name, node_id=ray.get_runtime_context().get_node_id())

    async def open(self, runtime: str, kind: str, token: str, *, fixed: bool = False) -> Peer:
        """Listen, unless it does already; ``fixed``: on a Unix socket whose path is always the same."""
        if self._data_plane and not self.peer.near:
            near = await self._served.listen(runtime, kind, token, fixed=fixed)
            self.peer = self.peer.model_copy(update={"near": near})
            await self.open_far()
        return self.peer

    async def open_far(self) -> str:
        """Listen for other nodes too, when there are any and it is wanted; returns the address, "" when there is none.

        To be asked again whenever a node may have joined.
        """
        host = await asyncio.to_thread(self._host) if self.peer.near and not self.peer.far else ""
        if host:
            try:
                self.peer = self.peer.model_copy(update={"far": await self._served.listen_far(host)})
            except OSError as exc:
                log.warning("%s cannot listen on %s; other nodes reach it over Ray: %s", self.peer.name, host, exc)
        return self.peer.far

    def _host(self) -> str:
        if self._tcp is False:
            return ""
        nodes = living()
        if self._tcp is None and len(nodes) < 2:
            return ""
        return next((node["NodeManagerAddress"] for node in nodes if node["NodeID"] == self.peer.node_id), "")
