"""The session actors of a runtime as a pool of seats: started, found again, told of changes, and ended."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

import ray

from actors.cluster.alive import Alive
from actors.cluster.launch import SESSION_ACTOR_BYTES, Launch, answered, remote_class
from actors.cluster.links import Links, awaited
from actors.cluster.nodes import node_name, on_node, rooms
from actors.cluster.seat import ActorSeat
from actors.errors import GreenroomError
from actors.peers import Peer, RuntimeInfo
from actors.policy.warmth import node_for
from actors.residency.placement import Seat
from actors.session_actor import SessionActor

log = logging.getLogger(__name__)

END_S = 5.0
"""Longest wait for a session actor that hosts nobody to close in good order."""


class SessionActors:
    """``actors.residency.placement.Pool`` over Ray actors.

    Args:
        info: Tells what session actors are opened with, as of now.
        meet: Called before a session actor is started in a cluster of several nodes.
        confirm: Called before one is started, ended or told something; raises when that is another registry's to do.
        weigh: Called with the name of one, its private memory in bytes, and what each of its sessions holds.
    """

    def __init__(
        self,
        launch: Launch,
        links: Links,
        alive: Alive,
        info: Callable[[], RuntimeInfo],
        meet: Callable[[], Awaitable[None]],
        confirm: Callable[[], Awaitable[None]],
        weigh: Callable[[str, int, Mapping[str, int]], None],
    ) -> None:
        self._launch = launch
        self._links = links
        self._alive = alive
        self._info = info
        self._meet = meet
        self._confirm = confirm
        self._weigh = weigh
        self._seats: dict[str, ActorSeat] = {}
        self._starting: Counter[str] = Counter()
        self._closing = False

    async def grow(self) -> Seat | None:
        """Start one more session actor, where they are fewest."""
        if self._closing:
            return None
        await self._confirm()
        name = self._launch.name("session")
        node_id = await self._node()
        self._starting[node_id or ""] += 1
        try:
            options: dict[str, Any] = {"memory": SESSION_ACTOR_BYTES}
            if node_id is not None:
                await self._meet()
                options["scheduling_strategy"] = on_node(node_id)
            handle = remote_class(SessionActor, name, **options).remote(name)
            info = self._info()
            peer = await answered(handle.open.remote(info), name, handle)
        finally:
            self._starting[node_id or ""] -= 1
        seat = await self._know(handle, peer)
        if self._info() is not info:
            await self._tell(seat, self._info())
        # Whoever is told of deaths may have been told of this one, before anybody knew the seat.
        return seat if name in self._seats else None

    async def _node(self) -> str | None:
        nodes = await asyncio.to_thread(rooms, SESSION_ACTOR_BYTES)
        if len(nodes) <= 1:
            return None
        seats = Counter(seat.node_id for seat in self._seats.values()) + self._starting
        return node_for(nodes, seats)

    async def _know(self, handle: Any, peer: Peer) -> ActorSeat:
        node = await asyncio.to_thread(node_name, peer.node_id)
        seat = self._seats[peer.name] = ActorSeat(handle, peer, self._links.to(peer), node)

        async def pulse() -> None:
            self._weigh(peer.name, *await awaited(handle.pulse.remote(), peer.name))

        self._alive.keep(peer.name, handle, pulse)
        return seat

    async def adopt(self, name: str, handle: Any) -> tuple[ActorSeat, RuntimeInfo, list[tuple[str, str, int]]] | None:
        """Take over a session actor of a former registry.

        Returns:
            The seat, the info with the world as this actor was last told of it, and who is resident there; None when
            it died meanwhile.
        """
        info = self._info()
        seat = await self._know(handle, await answered(handle.open.remote(info), name))
        world = await answered(handle.world.remote(), name)
        residents = await answered(handle.residents.remote(), name)
        # Whoever is told of deaths was told of this one before it had anything to lose.
        return (seat, info.model_copy(update={"world": world}), residents) if name in self._seats else None

    async def open_far(self) -> None:
        """Have every session actor listen for other nodes."""
        for seat in list(self._seats.values()):
            await self._quietly(seat.open_far())

    def peer(self, seat_id: str) -> Peer:
        """How to reach a session actor."""
        seat = self._seats.get(seat_id)
        return seat.peer if seat else Peer(name=seat_id, node_id="")

    async def drop(self, seat_id: str, journal_id: str) -> None:
        """Stop a destroyed session where it is resident."""
        seat = self._seats.get(seat_id)
        if seat is not None:
            await self._quietly(awaited(seat.handle.drop.remote(journal_id), seat_id))

    async def surround(self, info: RuntimeInfo) -> None:
        """Tell every session actor of a changed world."""
        await self._confirm()
        await asyncio.gather(*(self._tell(seat, info) for seat in self._seats.values()))

    async def _tell(self, seat: ActorSeat, info: RuntimeInfo) -> None:
        await self._quietly(awaited(seat.handle.surround.remote(info.world), seat.seat_id))

    async def end(self, seat: Seat) -> None:
        """See ``Pool.end``."""
        await self._confirm()
        if self._seats.pop(seat.seat_id, None) is None:
            return
        handle = self._alive.forget(seat.seat_id)
        try:
            async with asyncio.timeout(END_S):
                await self._quietly(awaited(handle.close.remote(), seat.seat_id))
        finally:
            ray.kill(handle)

    async def kill(self, seat: Seat) -> None:
        """See ``Pool.kill``."""
        await self._confirm()
        await self._alive.kill(seat.seat_id)

    def bury(self, name: str) -> ActorSeat | None:
        """An actor is dead; returns its seat when it was a session actor."""
        return self._seats.pop(name, None)

    def close(self) -> None:
        """Kill all: their journals are complete as they are."""
        self._closing = True
        for seat in self._seats.values():
            ray.kill(seat.handle)

    async def _quietly(self, work: Coroutine[Any, Any, Any]) -> None:
        try:
            await work
        except GreenroomError as exc:
            log.info("%s", exc)
