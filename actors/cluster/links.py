"""Calls between processes: over the data plane where both are on one node, else as Ray calls.

The only place that turns Ray's exceptions into errors of ours.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable
from typing import Any, Protocol, TypeVar, cast

import ray
import ray.exceptions

from actors.caller import Caller, Detour
from actors.channel import Link
from actors.errors import GreenroomError, InternalError, TransportLost, from_wire
from actors.peers import Peer

NAMESPACE = "greenroom"
"""Ray namespace of every named actor."""

POLL_S = 20.0
"""Longest wait of one poll of a stream over Ray."""

T = TypeVar("T")

log = logging.getLogger(__name__)


class Connection(Caller, Protocol):
    """A caller that holds something open."""

    async def close(self) -> None:
        """Let it go."""
        ...


def actor_named(name: str) -> Any:
    """The handle of a named actor, or None when there is none."""
    try:
        return ray.get_actor(name, namespace=NAMESPACE)
    except ValueError:
        return None


def actor_names(prefix: str) -> list[str]:
    """Names of the live actors of ours that begin so."""
    named = cast("list[dict[str, str]]", ray.util.list_named_actors(all_namespaces=True))
    return [one["name"] for one in named if one["namespace"] == NAMESPACE and one["name"].startswith(prefix)]


async def awaited(ref: Awaitable[T], who: str) -> T:
    """The value of a Ray call, with Ray's failures as ours; a caller that is cancelled cancels the call.

    Raises:
        TransportLost: the actor is dead or cannot be reached; the call may have run.
        GreenroomError: what the method raised.
    """
    try:
        return await ref
    except asyncio.CancelledError:
        ray.cancel(cast("Any", ref))
        raise
    except GreenroomError:
        raise
    except ray.exceptions.RayTaskError as exc:
        raise InternalError(type(exc.cause).__name__) from exc
    except ray.exceptions.RayError as exc:
        raise TransportLost(who) from exc


class RayCaller:
    """Calls an actor's handlers through its ``invoke`` method."""

    def __init__(self, name: str, handle: Any | None = None) -> None:
        self._name = name
        self._handle = handle

    async def call(self, method: str, /, **args: Any) -> Any:
        """Call a method; raises what it raised, or TransportLost."""
        if self._handle is None:
            self._handle = await asyncio.to_thread(actor_named, self._name)
            if self._handle is None:
                raise TransportLost(self._name)
        try:
            ok, value = await awaited(self._handle.invoke.remote(method, args), self._name)
        except TransportLost:
            self._handle = None
            raise
        if not ok:
            raise from_wire(value)
        return value

    async def stream(self, method: str, /, **args: Any) -> AsyncGenerator[Any]:
        """Poll a stream of the actor's."""
        stream = await self.call("stream.open", method=method, args=args)
        try:
            while True:
                items, ended = await self.call("stream.next", stream=stream, wait_s=POLL_S)
                for item in items:
                    yield item
                if ended:
                    return
        finally:
            closing = asyncio.ensure_future(self._close_stream(stream))
            await asyncio.shield(closing)

    async def _close_stream(self, stream: str) -> None:
        try:
            await self.call("stream.close", stream=stream)
        except GreenroomError:
            return

    async def close(self) -> None:
        """Nothing is held."""


async def _far_address(name: str) -> str:
    """Where an actor of another node listens now.

    It is asked before each connection: a restart gives it another port, and the one it had may be anybody's by now, who
    would be shown the token.
    """
    handle = await asyncio.to_thread(actor_named, name)
    address = await awaited(handle.far.remote(), name) if handle is not None else ""
    if not address:
        raise TransportLost(name)
    return address


class Links:
    """The connections of one process, one per peer.

    Attributes:
        node_id: The node of this process.
    """

    def __init__(self, token: str, *, data_plane: bool) -> None:
        self._token = token
        self._data_plane = data_plane
        self.node_id = ray.get_runtime_context().get_node_id()
        self._callers: dict[tuple[str, str], Connection] = {}

    def to(self, peer: Peer) -> Connection:
        """How to call a peer."""
        key = peer.name, self._address(peer)
        caller = self._callers.get(key)
        if caller is None:
            caller = self._callers[key] = self._caller(*key)
        return caller

    def _address(self, peer: Peer) -> str:
        """Where this process reaches a peer on the data plane; "" when it cannot."""
        if not self._data_plane:
            return ""
        return peer.near if peer.node_id == self.node_id else peer.far

    def _caller(self, name: str, address: str) -> Connection:
        if not address:
            return RayCaller(name)
        if address.startswith("unix:"):

            async def near() -> str:
                return address

            return Link(near, self._token)
        return Detour(Link(lambda: _far_address(name), self._token), RayCaller(name))

    async def drop(self, peer: Peer) -> None:
        """A peer is gone."""
        for key in [key for key in self._callers if key[0] == peer.name]:
            await self._callers.pop(key).close()

    async def close(self) -> None:
        """Close all connections."""
        callers, self._callers = list(self._callers.values()), {}
        for caller in callers:
            await caller.close()
