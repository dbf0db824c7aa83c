"""The nodes of the cluster: which live, how many session actors they have room for, and what still runs there."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, cast

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from actors.cluster.links import awaited
from actors.errors import GreenroomError
from actors.policy.warmth import NodeRoom
from actors.tools.leftovers import anything_left

log = logging.getLogger(__name__)

ASK_NODE_S = 10.0
"""Longest wait for a node to look at its processes: starting the worker that looks takes a second or two."""


def living() -> list[dict[str, Any]]:
    """What Ray tells of the nodes that it does not hold for dead. Blocks for a millisecond."""
    return [node for node in cast("list[dict[str, Any]]", ray.nodes()) if node["Alive"]]


def is_alive(node_id: str) -> bool:
    """Whether Ray does not hold a node for dead. Blocks for a millisecond."""
    return any(node["NodeID"] == node_id for node in living())


def name_of(node: dict[str, Any]) -> str:
    """A node's name that outlasts the cluster: the one it was started with, else the machine's."""
    named = node["NodeName"] != node["NodeManagerAddress"]
    return node["NodeName"] if named else node["NodeManagerHostname"]


def own_name() -> str:
    """The name of the node of this process. Blocks for a millisecond."""
    return node_name(ray.get_runtime_context().get_node_id())


def node_name(node_id: str) -> str:
    """The name of a node that is, or was, in the cluster. Blocks for a millisecond."""
    return next(name_of(node) for node in cast("list[dict[str, Any]]", ray.nodes()) if node["NodeID"] == node_id)


def is_only_node() -> bool:
    """Whether this process is on the only node that lives. Blocks for a millisecond."""
    return [node["NodeID"] for node in living()] == [ray.get_runtime_context().get_node_id()]


def rooms(actor_bytes: int) -> list[NodeRoom]:
    """How many actors that reserve so much memory each living node has room for. Blocks for a millisecond."""
    return [NodeRoom(node["NodeID"], int(node["Resources"].get("memory", 0) // actor_bytes)) for node in living()]


def on_node(node_id: str, *, only: bool = False) -> Any:
    """A scheduling strategy: there, or elsewhere when there is no room, unless ``only`` there."""
    return NodeAffinitySchedulingStrategy(node_id, soft=not only)


async def none_left(host_id: str) -> bool:
    """Whether a tool host and all that it started are gone from every node that Ray does not hold for dead.

    A node that is cut off lives until Ray declares it dead, and does not answer meanwhile: False.
    """
    if await asyncio.to_thread(anything_left, host_id):
        return False
    own = ray.get_runtime_context().get_node_id()
    others = [node["NodeID"] for node in await asyncio.to_thread(living) if node["NodeID"] != own]
    return all(await asyncio.gather(*(_none_left_on(node_id, host_id) for node_id in others)))


async def _none_left_on(node_id: str, host_id: str) -> bool:
    look = ray.remote(anything_left).options(
        num_cpus=0, max_retries=0, scheduling_strategy=on_node(node_id, only=True)
    )  # fmt: skip
    try:
        async with asyncio.timeout(ASK_NODE_S):
            return not await awaited(look.remote(host_id), node_id)
    except (TimeoutError, GreenroomError) as exc:
        log.info("node %s cannot be asked what host %s left there: %s", node_id, host_id, type(exc).__name__)
        return False
