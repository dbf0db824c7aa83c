"""A session actor, as residency sees it."""

from __future__ import annotations

from typing import Any

from actors.cluster.links import awaited
from actors.peers import Peer


class ActorSeat:
    """One session actor: an ``actors.residency.placement.Seat``."""

    def __init__(self, handle: Any, peer: Peer) -> None:
        self.handle = handle
        self.peer = peer
        self.seat_id = peer.name

    async def assign(self, tenant: str, journal_id: str, term: int, assignment_no: int) -> None:
        """See ``SessionHost.assign``."""
        await awaited(self.handle.assign.remote(tenant, journal_id, term, assignment_no), self.seat_id)

    async def release(self, journal_id: str, assignment_no: int, *, idle_s: float = 0.0) -> bool:
        """See ``SessionHost.release``."""
        return await awaited(self.handle.release.remote(journal_id, assignment_no, idle_s), self.seat_id)
