"""The way to the registry for what callers wait for: over the data plane, to whichever registry there is now."""

from __future__ import annotations

import asyncio
from typing import Any

from actors.cluster.links import Links
from actors.cluster.registry_link import ASK_S, RETRY_FIRST_S, RETRY_MAX_S, RegistryLink
from actors.errors import Superseded, TransportLost
from actors.peers import Peer, RuntimeInfo


class RegistryDoor:
    """Questions to the registry that are asked all day.

    Args:
        link: Finds the registry where there is another one, or the same in another process.
        links: This process's connections.
        peer: The registry as it was when this process joined.
    """

    def __init__(self, link: RegistryLink, links: Links, peer: Peer) -> None:
        self._link = link
        self._links = links
        self._peer: Peer | None = peer

    async def call(self, method: str, /, **args: Any) -> Any:
        """Ask; every question of this kind may be asked twice.

        Raises:
            TransportLost: there was no registry within a minute.
            GreenroomError: its answer.
        """
        deadline = asyncio.get_running_loop().time() + ASK_S
        delay = RETRY_FIRST_S
        while True:
            peer = self._peer or await self._found()
            try:
                return await self._links.to(peer).call(method, **args)
            except (TransportLost, Superseded):
                await self._lose(peer)
                if asyncio.get_running_loop().time() > deadline:
                    raise
            await asyncio.sleep(delay)
            delay = min(delay * 2, RETRY_MAX_S)

    async def _found(self) -> Peer:
        info: RuntimeInfo = await self._link.ask("open")
        self._peer = info.registry
        return info.registry

    async def _lose(self, peer: Peer) -> None:
        """What a caller lost may be what another has found again meanwhile."""
        if self._peer == peer:
            self._peer = None
            await self._links.drop(peer)
