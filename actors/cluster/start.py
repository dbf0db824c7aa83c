"""Starting and joining runtimes in a Ray cluster."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
from collections.abc import Sequence
from typing import Any

import ray
from pydantic import SecretStr

from actors.channel import remove_sockets
from actors.cluster.launch import HEAD, Launch, remote_class
from actors.cluster.links import NAMESPACE, actor_named, actor_names, awaited
from actors.cluster.runtime import ClusterRuntime
from actors.domain.llm import LlmConfig
from actors.errors import GreenroomError, RuntimeExists, RuntimeNotFound
from actors.inspection.inspectors import check_providers
from actors.llm.catalogue import check_provider
from actors.llm.keys import new_credential_id
from actors.peers import RuntimeInfo
from actors.registry_actor import RegistryActor
from actors.settings import Settings
from actors.storage.several.opening import places_of

log = logging.getLogger(__name__)

PROVIDERS_WITH_KEYS = ("openai", "anthropic")
"""Providers whose key the runtime itself may have."""

CLOSE_S = 60.0
"""Longest wait for a runtime to end in good order; what is left then is killed."""


async def ensure_ray(settings: Settings) -> bool:
    """Connect this process to Ray, starting it on this machine when no address is configured.

    Returns:
        Whether this call did it, so that whoever asked also disconnects.
    """
    if ray.is_initialized():
        return False
    options: dict[str, Any] = {
        "namespace": NAMESPACE,
        "log_to_driver": False,
        "logging_level": logging.WARNING,
        "include_dashboard": False,
    }
    # Without an address Ray would look for any cluster of this machine first, and join a stranger's.
    options["address"] = settings.ray_address or os.environ.get("RAY_ADDRESS") or "local"
    await asyncio.to_thread(ray.init, **options)
    return True


async def start_runtime(
    settings: Settings, store_url: str, model: LlmConfig | None, tools: Sequence[Any]
) -> ClusterRuntime:
    """Start a runtime; when anything fails, nothing of it stays.

    Raises:
        RuntimeExists: one of this name is running.
        StoreError, UnknownProvider, InvalidConfig: it cannot work like this.
    """
    if model is not None:
        check_provider(model)
    # Before anything is started for it.
    await asyncio.to_thread(places_of, store_url, settings.stores)
    await check_providers(settings.security)
    own_ray = await ensure_ray(settings)
    name = f"{settings.runtime}.registry"
    try:
        if await asyncio.to_thread(actor_named, name) is not None:
            raise RuntimeExists(settings.runtime)
        return await _launch(settings, store_url, model, tools, own_ray=own_ray)
    except BaseException:
        if own_ray:
            await asyncio.to_thread(ray.shutdown)
        raise


async def _launch(
    settings: Settings, store_url: str, model: LlmConfig | None, tools: Sequence[Any], *, own_ray: bool
) -> ClusterRuntime:
    public = settings.model_copy(update={"api_keys": (), "openai_api_key": None, "anthropic_api_key": None})
    default, keys = _keys(settings, model)
    launch = Launch(
        settings=public,
        store_url=store_url,
        model=default,
        tools=tuple(tools),
        token=SecretStr(secrets.token_urlsafe(32)),
        workspace=settings.workspace or os.getcwd(),
    )
    try:
        registry = remote_class(RegistryActor, launch.registry_name, max_restarts=-1, resources=HEAD).remote(launch)
    except ValueError as exc:
        raise RuntimeExists(settings.runtime) from exc

    async def end() -> None:
        await _end(settings.runtime, registry)
        if own_ray:
            await asyncio.to_thread(ray.shutdown)

    try:
        for provider, key in keys.items():
            await awaited(registry.put_credential.remote(key, provider), "the registry")
        info: RuntimeInfo = await awaited(registry.open.remote(), "the registry")
    except BaseException:
        await _end(settings.runtime, registry)
        raise
    return ClusterRuntime(info, end)


def _keys(settings: Settings, model: LlmConfig | None) -> tuple[LlmConfig | None, dict[str, SecretStr]]:
    """The default model without its key, and the keys by the names that the registry keeps them under."""
    keys = {name: key for name in PROVIDERS_WITH_KEYS if (key := settings.provider_key(name)) is not None}
    if model is None or model.api_key is None:
        return model, keys
    credential_id = new_credential_id()
    keys[credential_id] = model.api_key
    return model.model_copy(update={"api_key": None, "credential_id": credential_id}), keys


async def _end(runtime: str, registry: Any) -> None:
    """End a runtime in good order; then kill what is left of it."""
    try:
        async with asyncio.timeout(CLOSE_S):
            await awaited(registry.shutdown.remote(), "the registry")
    except (GreenroomError, TimeoutError) as exc:
        log.warning("runtime %s did not end in good order: %s", runtime, exc)
    ray.kill(registry)
    for name in await asyncio.to_thread(actor_names, f"{runtime}."):
        handle = await asyncio.to_thread(actor_named, name)
        if handle is not None:
            ray.kill(handle)
    await asyncio.to_thread(remove_sockets, runtime)


async def join_runtime(settings: Settings) -> ClusterRuntime:
    """Become a client of a runtime that is running.

    Raises:
        RuntimeNotFound: there is none of this name, or no Ray cluster.
    """
    if not ray.is_initialized():
        try:
            await ensure_ray(settings.model_copy(update={"ray_address": settings.ray_address or "auto"}))
        except ConnectionError as exc:
            raise RuntimeNotFound(settings.runtime) from exc
    registry = await asyncio.to_thread(actor_named, f"{settings.runtime}.registry")
    if registry is None:
        raise RuntimeNotFound(settings.runtime)
    info: RuntimeInfo = await awaited(registry.open.remote(), "the registry")
    return ClusterRuntime(info)
