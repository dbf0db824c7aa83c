"""What model and tool host actors share: an ``EffectHost`` on the data plane, and the store for what stays behind."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from actors.cluster.doors import Doors
from actors.cluster.links import Links
from actors.effect_host import EffectHost, Executor, HostLimits
from actors.effect_host.guarded import Vault
from actors.effect_host.remote import host_handlers
from actors.effect_host.sink import StoreSink
from actors.errors import InternalError
from actors.peers import HostPeer, RuntimeInfo
from actors.served import Served
from actors.storage.remote import RemoteStore
from actors.withheld_logs import withhold_in_logs


class HostActor:
    """Base of the host actors."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._vault = Vault()
        self._host: EffectHost | None = None
        self._served: Served | None = None
        self._doors: Doors | None = None

    async def _start(self, info: RuntimeInfo, kind: str, executor: Executor, limits: HostLimits, links: Links) -> None:
        store = RemoteStore(links.to(info.store))
        await self._serve(info, kind, EffectHost(self._name, executor, StoreSink(store), limits))

    async def _serve(self, info: RuntimeInfo, kind: str, host: EffectHost) -> None:
        withhold_in_logs(lambda: self._vault.known)
        self._host = host
        self._served = Served(host_handlers(self._host))
        doors = Doors(self._name, self._served, data_plane=info.data_plane, tcp=info.tcp)
        await doors.open(info.runtime, kind, info.token.get_secret_value())
        self._doors = doors

    async def describe(self) -> HostPeer | None:
        """Who this host is; None before it was opened."""
        if self._host is None or self._doors is None:
            return None
        return HostPeer(ref=self._host.ref, peer=self._doors.peer)

    async def far(self) -> str:
        """Where other nodes reach it."""
        return await self._doors.open_far() if self._doors is not None else ""

    async def invoke(self, method: str, args: dict[str, Any]) -> list[Any]:
        """The data plane's methods as a Ray method."""
        if self._served is None:
            raise InternalError("host used before it was opened")
        return await self._served.invoke(method, args)

    async def watch(self) -> None:
        """Never returns: whoever waits for it learns of this process's death at once."""
        await asyncio.get_running_loop().create_future()

    async def ping(self) -> str:
        """Prove that the event loop turns."""
        return self._name

    async def pid(self) -> int:
        """The process, for tests that kill it."""
        return os.getpid()

    async def close(self) -> None:
        """Cancel every call, and hand outcomes nobody fetched to the store."""
        if self._host is not None:
            await self._host.close()
        if self._served is not None:
            await self._served.close()
