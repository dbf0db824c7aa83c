"""The actor that owns a runtime's stores: a thin shell around ``StoreService``, or several of them.

It is pinned to the node that has the database's files. Sessions, readers and the registry reach it over the data plane.
"""

from __future__ import annotations

import asyncio
import logging
import os
from typing import Any

import ray
from pydantic import SecretStr

from actors.cluster.doors import Doors
from actors.cluster.shared import put_state
from actors.cluster.wardens import restart_actor
from actors.errors import InternalError, StoreError, StoreUnavailable
from actors.peers import Peer
from actors.residency.vigil import RegistryWarden
from actors.served import Served
from actors.storage.handlers import store_handlers
from actors.storage.several.opening import Serving, opened
from actors.storage.shelf import Placed, Shelf

log = logging.getLogger(__name__)


class StoreActor:
    """The stores. ``open`` has to be called first; when Ray restarts the process it opens itself.

    Args:
        url: The default store's URL.
        stores: The URLs of further ones by their names.
        token: The data plane's.
        data_plane, tcp: See ``Settings``.
    """

    def __init__(
        self,
        name: str,
        url: str,
        stores: dict[str, str],
        runtime: str,
        token: SecretStr,
        data_plane: bool,
        tcp: bool | None,
    ) -> None:
        self._name = name
        self._urls = url, stores
        self._runtime = runtime
        self._token = token
        self._data_plane = data_plane
        self._tcp = tcp
        self._service: Serving | None = None
        self._served: Served | None = None
        self._doors: Doors | None = None
        self._opening: asyncio.Task[Peer] | None = None
        self._shelf = Shelf()
        self._warden = RegistryWarden(restart_actor)
        if ray.get_runtime_context().was_current_actor_reconstructed:
            self._opening = asyncio.get_event_loop().create_task(self._reopen())

    async def open(self) -> Peer:
        """Open the database and serve it.

        Raises:
            StoreInUse, StoreNotWritable, StoreCorrupt, StoreLost, InvalidConfig.
        """
        if self._opening is None or (self._opening.done() and self._opening.exception() is not None):
            self._opening = asyncio.get_running_loop().create_task(self._open())
        return await asyncio.shield(self._opening)

    async def _reopen(self) -> Peer:
        """Nobody may ever ask again, and what stands in the way (a full disk, say) may pass."""
        while True:
            try:
                return await self._open()
            except StoreError as error:
                log.warning("the store is opened again in a second: %s", error)
            await asyncio.sleep(1.0)

    async def _open(self) -> Peer:
        service = await opened(*self._urls, self._shelf.forget)
        self._service = service
        self._served = Served({**store_handlers(service), "shelf": self._shelf_stats})
        self._doors = Doors(self._name, self._served, data_plane=self._data_plane, tcp=self._tcp)
        # Always the same socket: whoever was connected on this node finds the store again after a restart.
        return await self._doors.open(self._runtime, "store", self._token.get_secret_value(), fixed=True)

    async def far(self) -> str:
        """Where other nodes reach it; asked anew after each lost connection, as a restart gives it another port."""
        await self.open()
        return await self._doors.open_far() if self._doors is not None else ""

    async def invoke(self, method: str, args: dict[str, Any]) -> list[Any]:
        """The data plane's methods as a Ray method."""
        if self._served is None:
            return [False, {"type": "StoreUnavailable", "args": ["it is being opened", 0.2]}]
        return await self._served.invoke(method, args)

    async def shared(self, tenant: str, journal_id: str, upto: int) -> list[Any]:
        """A reference to the Arrow form of a session's state at a place, in Ray's object store: put there once.

        This process owns the object: it goes with it. Nothing is in the list when there is no room.

        Raises:
            StoreUnavailable, SessionNotFound.
        """
        service = self._service
        if service is None:
            raise StoreUnavailable("it is being opened", 0.2)
        place = await service.place(tenant, journal_id, upto)

        async def put() -> Placed | None:
            return await asyncio.to_thread(put_state, await service.folded(tenant, journal_id, upto))

        reference = await self._shelf.get(place, put)
        return [reference] if reference is not None else []

    async def _shelf_stats(self) -> dict[str, int]:
        return self._shelf.stats()

    async def beat(self, registry: str, term: int, silence_s: float) -> None:
        """A registry asks for a sign of life, and gives one; see ``RegistryWarden.hear``."""
        self._warden.hear(registry, term, silence_s)

    async def registry(self) -> str:
        """The name of the newest registry; "" before one was heard of."""
        return self._warden.registry

    async def watch(self) -> None:
        """Never returns: whoever waits for it learns of this process's death at once."""
        await asyncio.get_running_loop().create_future()

    async def pid(self) -> int:
        """The process, for tests that kill it."""
        return os.getpid()

    async def close(self) -> None:
        """Commit what is queued and release the database."""
        self._warden.close()
        self._shelf.close()
        if self._served is not None:
            await self._served.close()
        if self._service is None:
            raise InternalError("store closed before it was opened")
        await self._service.close()
