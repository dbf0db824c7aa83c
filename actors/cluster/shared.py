"""Contexts that a store has put into Ray's object store, as session actors and drivers read them.

The store actor owns the objects and puts each once; Ray brings one copy to each node, where all read it in place.
Nothing depends on that: an owner that died takes its objects with it, and whoever reads goes to the store instead.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import ray
import ray.exceptions

from actors.cluster.links import actor_named, awaited
from actors.errors import GreenroomError, TransportLost
from actors.peers import Peer
from actors.session.state import State
from actors.storage.shelf import Placed

log = logging.getLogger(__name__)

WAIT_S = 5.0
"""Longest wait for a reference, and for an object: the store reads and folds the largest conversations in a second."""


def put_state(state: State) -> Placed | None:
    """Put a state into the object store as a table; this process owns it. None when there is no room. Blocks."""
    from actors.storage.arrow import table_of

    table = table_of(state)
    try:
        return Placed(ray.put(table), table.nbytes)
    except ray.exceptions.RayError as exc:
        log.warning("a context is not shared: %s", type(exc).__name__)
        return None


class SharedContexts:
    """The shelf of one store, from outside."""

    def __init__(self, store: Peer) -> None:
        self._store = store
        self._handle: Any = None

    async def reference(self, tenant: str, journal_id: str, upto: int) -> Any | None:
        """An ``ObjectRef`` of the table at a place; None when the object store has no room for it.

        Raises:
            TransportLost: the store actor cannot be reached.
            SessionNotFound: no such journal.
        """
        if self._handle is None:
            self._handle = await asyncio.to_thread(actor_named, self._store.name)
        if self._handle is None:
            raise TransportLost(self._store.name)
        found = await awaited(self._handle.shared.remote(tenant, journal_id, upto), self._store.name)
        # Within a list, since a reference that is an answer by itself would be read by Ray before it arrives.
        return found[0] if found else None

    async def table(self, tenant: str, journal_id: str, upto: int) -> Any | None:
        """The table at a place, read in place; None when it cannot be had from the object store."""
        try:
            async with asyncio.timeout(WAIT_S):
                reference = await self.reference(tenant, journal_id, upto)
                return await reference if reference is not None else None
        except (GreenroomError, ray.exceptions.RayError, TimeoutError) as exc:
            log.info("a context is read from the store, and not from Ray's object store: %s", type(exc).__name__)
            return None

    async def state(self, tenant: str, journal_id: str, upto: int) -> State | None:
        """The state at a place; None when it cannot be had from the object store."""
        from actors.storage.arrow import state_of

        table = await self.table(tenant, journal_id, upto)
        return state_of(table) if table is not None else None
