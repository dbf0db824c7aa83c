"""What a runtime is started with, and the names and options of its actors."""

from __future__ import annotations

from typing import Any

import ray
from pydantic import ConfigDict, SecretStr

from actors.cluster_links import NAMESPACE
from actors.domain.base import Frozen
from actors.domain.ids import new_ulid
from actors.domain.llm import LlmConfig
from actors.settings import Settings

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
    store_url: str
    model: LlmConfig | None
    tools: tuple[Any, ...]
    token: SecretStr
    workspace: str

    @property
    def registry_name(self) -> str:
        """Name of the registry."""
        return f"{self.settings.runtime}.registry"

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
