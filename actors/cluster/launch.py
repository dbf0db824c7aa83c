"""What a runtime is started with, and the names and options of its actors."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import ray
from pydantic import ConfigDict, Field, SecretStr

from actors.cluster.links import NAMESPACE, awaited
from actors.domain.base import Frozen
from actors.domain.ids import new_ulid
from actors.domain.llm import LlmConfig
from actors.errors import GreenroomError, Overloaded
from actors.peers import Peer, RuntimeInfo, World
from actors.policy.memory import MB, MemoryLimits
from actors.policy.warmth import STARTS_AT_ONCE, SeatLimits
from actors.residency.placement import ResidencyLimits
from actors.settings import Settings
from actors.storage.several.opening import places_of

START_S = 60.0
"""Longest wait for an actor to be up: a pending one waits silently for ever when the cluster has no memory left."""

SESSION_ACTOR_BYTES = 128 * 1024 * 1024
"""Memory reserved per session actor, so that scheduler and autoscaler see it: 58 to 63 MB are used when blank."""

MAX_CONCURRENCY = 10_000
"""Calls an actor takes at a time: they wait on futures; the bounds that matter are those of the parts inside."""

HEAD = {"node:__internal_head__": 0.001}
"""Places an actor on the head node."""


class Launch(Frozen):
    """Everything a runtime is started with. ``tools`` travel as Ray pickles them."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    settings: Settings
    store_url: str = Field(repr=False)  # It may have a password in it.
    model: LlmConfig | None
    tools: tuple[Any, ...]
    token: SecretStr
    workspace: str

    @property
    def registry_name(self) -> str:
        """Name of the registry."""
        return f"{self.settings.runtime}.registry"

    def info(self, store: Peer, registry: Peer, term: int) -> RuntimeInfo:
        """What those who take part are told at the start of a registry's term."""
        world = World(
            default_model=self.model,
            global_policy=self.settings.permission_policy,
            security=self.settings.security,
            workspace=self.workspace,
            shared_workspaces=self.settings.shared_workspaces,
            stores=places_of(self.store_url, self.settings.stores),
            redirect_uri=self.settings.redirect_uri,
        )
        return RuntimeInfo(
            runtime=self.settings.runtime,
            token=self.token,
            store=store,
            registry=registry,
            term=term,
            world=world,
            data_plane=self.settings.data_plane,
            tcp=self.settings.tcp,
        )

    @property
    def limits(self) -> ResidencyLimits:
        """How many session actors there may be, how full, and how long what is not used stays."""
        chosen = self.settings
        seats = SeatLimits(
            least=min(chosen.min_warm, chosen.max_resident),
            most=chosen.max_resident,
            per_seat=chosen.sessions_per_actor,
            spare=chosen.spare_warm,
            starts=min(STARTS_AT_ONCE, os.cpu_count() or 1),
        )
        return ResidencyLimits(
            seats=seats,
            idle_s=chosen.idle_timeout_s,
            wait_s=chosen.activation_wait_s,
            quiet_s=chosen.shrink_after_s,
            activations=chosen.recycle_after,
            growth_bytes=chosen.recycle_growth_mb * MB,
            memory=MemoryLimits(chosen.actor_memory_mb * MB, chosen.actor_memory_max_mb * MB),
            retention=chosen.retention,
        )

    def name(self, kind: str) -> str:
        """A new name for an actor."""
        return f"{self.settings.runtime}.{kind}.{new_ulid().lower()}"


def remote_class(plain: type[Any], name: str, **options: Any) -> Any:
    """A plain class as a named, detached actor class that takes no CPU for itself."""
    settings: dict[str, Any] = {
        "name": name,
        "namespace": NAMESPACE,
        "lifetime": "detached",
        "num_cpus": 0,
        "max_concurrency": MAX_CONCURRENCY,
        "max_restarts": 0,
        "max_task_retries": 0,
    }
    return ray.remote(plain).options(**(settings | options))


async def answered(ref: Any, name: str, handle: Any = None) -> Any:
    """The value of a call to an actor that may still be starting.

    Args:
        handle: Of an actor that is not to live on when it does not answer, or nobody waits for that any more.

    Raises:
        Overloaded: no answer within a minute.
        GreenroomError: what the method raised.
    """
    try:
        async with asyncio.timeout(START_S):
            return await awaited(ref, name)
    except (TimeoutError, GreenroomError, asyncio.CancelledError) as exc:
        if handle is not None:
            ray.kill(handle)
        if not isinstance(exc, TimeoutError):
            raise
        raise Overloaded(f"actor {name} did not start in {START_S:g} s", 10.0) from None
