"""A session actor, as residency sees it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from actors.caller import Caller
from actors.cluster.launch import answered
from actors.errors import GreenroomError, from_wire
from actors.peers import Peer


class ActorSeat:
    """One session actor: an ``actors.residency.placement.Seat``.

    Args:
        caller: Reaches it, over the data plane where there is one: an activation waits for this.
        node: Name of its node.
    """

    def __init__(self, handle: Any, peer: Peer, caller: Caller, node: str) -> None:
        self._caller = caller
        self.handle = handle
        self.peer = peer
        self.seat_id = peer.name
        self.node_id = peer.node_id
        self.node = node

    async def open_far(self) -> None:
        """Have it listen for other nodes."""
        far = await answered(self.handle.far.remote(), self.seat_id)
        self.peer = self.peer.model_copy(update={"far": far})

    async def assign(self, tenant: str, journal_id: str, term: int, assignment_no: int) -> int:
        """See ``SessionActor.assign``."""
        return await self._caller.call(
            "assign", tenant=tenant, journal_id=journal_id, term=term, assignment_no=assignment_no
        )

    async def release(self, journal_id: str, assignment_no: int, *, idle_s: float = 0.0) -> bool:
        """See ``SessionHost.release``."""
        args = {"journal_id": journal_id, "assignment_no": assignment_no, "idle_s": idle_s}
        return await self._caller.call("release", **args)

    async def deliver(
        self, journal_id: str, assignment_no: int, letters: Sequence[bytes]
    ) -> Sequence[GreenroomError | None]:
        """See ``SessionHost.deliver``."""
        args = {"journal_id": journal_id, "assignment_no": assignment_no, "letters": list(letters)}
        outcomes = await self._caller.call("deliver", **args)
        return [from_wire(outcome) if outcome is not None else None for outcome in outcomes]
