"""The registry: the one named actor that knows who is where, and starts, watches and replaces every other.

A thin shell: who is resident where is ``Residency``'s to say, and starting actors is ``ActorPool``'s. Its state is
rebuilt from the live actors and the store whenever it starts.
"""

from __future__ import annotations

import logging
import os
from contextlib import AsyncExitStack
from typing import Any

import ray
from pydantic import SecretStr

from actors.cluster.doors import Doors
from actors.cluster.launch import Launch
from actors.cluster.pool import ActorPool
from actors.cluster.registry_hosts import RegistryHosts
from actors.cluster.registry_mcp import RegistryMcp
from actors.cluster.succession import Succession
from actors.domain.llm import LlmConfig
from actors.llm.keys import is_credential, new_credential_id
from actors.peers import Peer, RuntimeInfo
from actors.residency.residency import Residency
from actors.residency.takeover import Takeover
from actors.residency.upkeep import Upkeep
from actors.served import Served
from actors.storage.remote import RemoteStore

log = logging.getLogger(__name__)


class RegistryActor(RegistryHosts, RegistryMcp):
    """One per runtime. When Ray restarts it, it takes over what there is without being asked."""

    def __init__(self, launch: Launch) -> None:
        self._launch = launch
        name = ray.get_runtime_context().get_actor_name() or launch.registry_name
        self._served = Served({"resolve": self.resolve, "hibernate": self.hibernate})
        self._doors = Doors(name, self._served, data_plane=launch.settings.data_plane, tcp=launch.settings.tcp)
        self._takeover = Takeover(self._open)
        self._keys: dict[str, SecretStr] = {}
        self._succession = Succession()
        if ray.get_runtime_context().was_current_actor_reconstructed:
            self._takeover.persist()

    async def open(self) -> RuntimeInfo:
        """Bring the runtime up, or take over what is there; returns what clients need.

        Raises:
            Superseded: another registry has taken over since.
        """
        await self._takeover.wait()
        self._succession.check()
        return self._pool.info

    async def _open(self) -> None:
        launch = self._launch
        async with AsyncExitStack() as begun:
            self._pool = ActorPool(launch, self._keys, self._lost, self._succession.end)
            begun.push_async_callback(self._pool.links.close)
            begun.push_async_callback(self._pool.let_go)
            store = await self._pool.open_store()
            self._store = RemoteStore(self._pool.links.to(store))
            term = await self._store.next_term()
            await self._doors.open(launch.settings.runtime, "registry", launch.token.get_secret_value())
            self._residency = Residency(self._store, self._pool.sessions, term, launch.limits, self._succession.end)
            begun.push_async_callback(self._residency.close)
            await self._pool.open(launch.info(store, self._doors.peer, term), self._residency, self._store)
            self._residency.start()
            self._upkeep = Upkeep(self._store, self._residency)
            self._upkeep.start()
            begun.push_async_callback(self._upkeep.close)
            # An attempt that fails leaves nothing behind: what goes on in its term would be told that it was replaced.
            self._succession.begun = begun.pop_all()

    def _lost(self, name: str) -> None:
        self._residency.lose_seat(name)

    # --- residency -------------------------------------------------------------------------------------------------

    async def resolve(self, tenant: str, journal_id: str, stale: int = 0) -> tuple[dict[str, str], int]:
        """Where a session is, activated when need be: its actor (a ``Peer`` as plain values) and its assignment."""
        await self.open()
        placement = await self._succession.unless_ended(self._residency.resolve(tenant, journal_id, stale=stale))
        return self._pool.sessions.peer(placement.seat.seat_id).model_dump(), placement.assignment_no

    async def where(self, tenant: str, journal_id: str) -> tuple[Peer, int] | None:
        """Where a session is, when it is resident."""
        await self.open()
        placement = self._residency.where(tenant, journal_id)
        return (self._pool.sessions.peer(placement.seat.seat_id), placement.assignment_no) if placement else None

    async def hibernate(self, journal_id: str) -> bool:
        """Release a session."""
        await self.open()
        return await self._succession.unless_ended(self._residency.hibernate(journal_id))

    async def forget(self, tenant: str, journal_id: str) -> None:
        """A session was destroyed: stop what is left of it."""
        await self.open()
        placement = self._residency.placed.get(journal_id)
        if placement is not None:
            await self._pool.sessions.drop(placement.seat.seat_id, journal_id)
            self._residency.forget(journal_id, placement.assignment_no)
        await self._pool.servers.roster.forget(tenant, journal_id)

    async def session_ended(self, journal_id: str, assignment_no: int, code: str, defect: str) -> None:
        """A session stopped by itself in its actor."""
        log.info("session %s stopped: %s", journal_id, code)
        self._residency.ended(journal_id, assignment_no, defect)
        self._upkeep.hint()

    # --- models and keys ---------------------------------------------------------------------------------------------

    async def credential(self, name: str) -> SecretStr | None:
        """A key by provider name or credential id."""
        # A registry that has just restarted gets the keys from the model hosts first.
        await self.open()
        return self._keys.get(name)

    async def put_credential(self, key: SecretStr, name: str | None = None) -> str:
        """Keep a key; returns its id, which is the same for the same key."""
        known = (one for one, kept in self._keys.items() if is_credential(one) and kept == key)
        credential_id = name or next(known, None) or new_credential_id()
        self._keys[credential_id] = key
        return credential_id

    async def default_model(self) -> LlmConfig | None:
        """The model of sessions that name none."""
        return (await self.open()).world.default_model

    async def set_default_model(self, model: LlmConfig | None) -> None:
        """Change it, everywhere."""
        world = (await self.open()).world
        await self._pool.surround(world.model_copy(update={"default_model": model, "version": world.version + 1}))

    # --- the runtime -------------------------------------------------------------------------------------------------

    async def far(self) -> str:
        """Where other nodes reach it."""
        return await self._doors.open_far()

    async def invoke(self, method: str, args: dict[str, Any]) -> list[Any]:
        """The data plane's methods as a Ray method."""
        return await self._served.invoke(method, args)

    async def status(self) -> dict[str, Any]:
        """How the runtime stands."""
        await self.open()
        return {
            "runtime": self._launch.settings.runtime,
            "workspace": self._launch.workspace,
            "session_actors": len(self._residency.seats.known),
            "resident": len(self._residency.placed),
            "providers": sorted(name for name in self._keys if not is_credential(name)),
            "store": self._launch.store_url.partition(":")[0],
            "sandboxes": self._pool.hosts.sandboxes,
            "placed_tools": self._pool.placed.status,
            "term": self._pool.info.term,
        }

    async def pid(self) -> int:
        """The process, for tests that kill it."""
        return os.getpid()

    async def shutdown(self) -> None:
        """End every actor of the runtime but this one."""
        if not self._takeover.succeeded:
            return
        await self._upkeep.close()
        await self._residency.close()
        await self._pool.close()
