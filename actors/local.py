"""A whole runtime in one process: the same parts as in a cluster, without Ray and without sockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from actors.domain.calls import CallKey, Delta, HostRef
from actors.domain.command import Command
from actors.domain.ids import new_ulid
from actors.domain.llm import LlmConfig
from actors.domain.mcp import McpServerConfig, McpStatus
from actors.domain.mcp_oauth import Redirect
from actors.domain.stores import StorePlace
from actors.domain.tools import ToolDefinition
from actors.effect_host import EffectHost
from actors.effect_host.guarded import Guarded, Vault
from actors.effect_host.sink import StoreSink
from actors.errors import GreenroomError, InvalidRequest, NotHere, SessionNotFound
from actors.llm.catalogue import ProviderPool, check_provider
from actors.llm.executor import ModelExecutor
from actors.llm.keys import credentials, is_credential, new_credential_id
from actors.llm.models import known_models
from actors.local_hosts import LocalHosts
from actors.local_seat import PER_SEAT, LocalSeat, NoMoreSeats
from actors.local_servers import LocalServers
from actors.local_settings import LocalSettings
from actors.mcp.running import Key
from actors.policy.warmth import SeatLimits
from actors.residency.placement import ResidencyLimits
from actors.residency.residency import Residency
from actors.residency.upkeep import Upkeep
from actors.session.library import Library
from actors.session.own_tools import shared_definitions
from actors.session.runtime import ModelInfo
from actors.session.submitted import Submitted
from actors.session.surroundings import Surroundings
from actors.session_host import SessionHost, defect_of
from actors.settings import Settings
from actors.storage.arrow import table_at
from actors.storage.several.opening import Serving, opened, places_of
from actors.tools.executor import ToolExecutor
from actors.tools.given import as_tool
from actors.tools.registry import ToolRegistry


class LocalRuntime(LocalSettings):
    """``actors.session.runtime.Runtime`` in this process. Made by ``start``."""

    def __init__(self, settings: Settings, store: Serving, stores: tuple[StorePlace, ...]) -> None:
        super().__init__(settings)
        self._store = store
        self._stores = stores
        self._model: LlmConfig | None = None
        self._keys: dict[str, SecretStr] = {}
        self._vault = Vault()

    @classmethod
    async def start(
        cls, settings: Settings, store_url: str, model: LlmConfig | None, tools: Sequence[Any] = ()
    ) -> LocalRuntime:
        """Open the store and begin; open turns of a former runtime go on.

        Raises:
            StoreError, UnknownProvider, InvalidConfig.
        """
        if model is not None:
            check_provider(model)
        registry = await asyncio.to_thread(ToolRegistry.with_builtins, None, settings.tool_options)
        for one in tools:
            registry.register(as_tool(one))
        store = await opened(store_url, settings.stores)
        try:
            runtime = cls(settings, store, places_of(store_url, settings.stores))
            if model is not None:
                runtime._model = await runtime._keyless(model)
            await runtime.check_security(settings.security)
            await runtime._begin(registry)
        except BaseException:
            await store.close()
            raise
        return runtime

    async def _begin(self, registry: ToolRegistry) -> None:
        sink = StoreSink(self._store)
        self._providers = ProviderPool(credentials(self._key))
        name = new_ulid()
        models = Guarded(ModelExecutor(self._providers.of, self._blobs), self._vault, self._inspectors)
        place, vault = Path(self._workspace), self._vault
        tools = Guarded(
            ToolExecutor(place, registry, sink, self._store.blobs, known=lambda: vault.known), vault, self._inspectors
        )
        self._models = EffectHost(f"models-{name}", models, sink)
        self._tools = EffectHost(f"tools-{name}", tools, sink)
        self._registry = registry
        self._servers = LocalServers(self._store, sink, self._workspace, self._resurround, self._settings.redirect_uri)
        self._hosts = LocalHosts(self._models, self._tools, registry, self._servers)
        self._sessions = SessionHost(
            self._store, self._hosts, self._around(), inspectors=self._inspectors, on_end=self._ended
        )
        term = await self._store.next_term()
        settings = self._settings
        one = SeatLimits(least=1, most=1, per_seat=PER_SEAT)
        limits = ResidencyLimits(seats=one, idle_s=settings.idle_timeout_s, retention=settings.retention)
        self._residency = Residency(self._store, NoMoreSeats(), term, limits)
        self._residency.add_seat(LocalSeat(self._sessions))
        self._upkeep = Upkeep(self._store, self._residency)
        self._upkeep.start()
        await self._servers.roster.load()

    async def _resurround(self) -> None:
        await self._sessions.surround(self._around())

    def _around(self) -> Surroundings:
        return Surroundings(
            default_model=self._model,
            global_policy=self._settings.permission_policy,
            security=self._settings.security,
            workspace=self._workspace,
        )

    def _ended(self, journal_id: str, assignment_no: int, reason: GreenroomError) -> None:
        self._residency.ended(journal_id, assignment_no, defect_of(reason))
        self._upkeep.hint()

    async def _key(self, name: str) -> SecretStr | None:
        key = self._keys.get(name) or self._settings.provider_key(name)
        if key is not None:
            self._vault.add(key.get_secret_value())
        return key

    async def _blobs(self, tenant: str, digests: frozenset[str]) -> Mapping[str, bytes]:
        return await self._store.blobs(tenant, sorted(digests))

    async def _keyless(self, model: LlmConfig) -> LlmConfig:
        if model.api_key is None:
            return model
        credential_id = await self.put_credential(model.api_key)
        return model.model_copy(update={"api_key": None, "credential_id": credential_id})

    @property
    def store(self) -> Serving:
        """Where the journals are."""
        return self._store

    @property
    def stores(self) -> tuple[StorePlace, ...]:
        """See ``Runtime.stores``."""
        return self._stores

    async def submit(
        self, tenant: str, journal_id: str, command: Command, *, wait_s: float = 0.0, until_action: bool = False
    ) -> Submitted:
        """See ``Runtime.submit``."""
        stale = 0
        while True:
            placement = await self._residency.resolve(tenant, journal_id, stale=stale)
            try:
                return await self._sessions.submit(
                    journal_id, placement.assignment_no, command, wait_s=wait_s, until_action=until_action
                )
            except NotHere as exc:
                stale = max(stale, exc.assignment_no)
                command = command.model_copy(update={"fresh": False})

    async def hibernate(self, tenant: str, journal_id: str) -> bool:
        """See ``Runtime.hibernate``."""
        del tenant
        return await self._residency.hibernate(journal_id)

    async def forget(self, tenant: str, journal_id: str) -> None:
        """See ``Runtime.forget``."""
        placement = self._residency.where(tenant, journal_id)
        await self._sessions.drop(journal_id, SessionNotFound(journal_id))
        if placement is not None:
            self._residency.forget(journal_id, placement.assignment_no)
        await self._servers.roster.forget(tenant, journal_id)

    async def resolve(self, tenant: str, journal_id: str) -> tuple[Any, tuple[str, int]] | None:
        """See ``Runtime.resolve``; there are no actors here."""
        placement = self._residency.where(tenant, journal_id)
        return (None, (journal_id, placement.assignment_no)) if placement else None

    async def context_table(self, tenant: str, journal_id: str, upto: int) -> Any:
        """See ``Runtime.context_table``."""
        return await table_at(self._store, tenant, journal_id, upto)

    async def context_ref(self, tenant: str, journal_id: str, upto: int) -> Any:
        """See ``Runtime.context_ref``; there is no Ray here."""
        raise InvalidRequest("This runtime has no Ray: read the context with context_table.")

    def deltas(self, host: HostRef, key: CallKey, *, after: int = 0) -> AsyncIterator[Delta]:
        """See ``Runtime.deltas``."""
        del after
        return self._hosts.deltas(host, key)

    async def tools(self, tenant: str) -> tuple[ToolDefinition, ...]:
        """See ``Runtime.tools``."""
        return shared_definitions(await self._hosts.tools(), tenant)

    async def add_mcp_server(
        self, tenant: str, journal_id: str, session_id: str | None, config: McpServerConfig
    ) -> McpStatus:
        """See ``Runtime.add_mcp_server``."""
        return await self._servers.roster.add(Key.of(tenant, journal_id, config.name), session_id, config)

    async def remove_mcp_server(self, tenant: str, journal_id: str, name: str) -> bool:
        """See ``Runtime.remove_mcp_server``."""
        return await self._servers.roster.remove(Key.of(tenant, journal_id, name))

    async def authorized_mcp(self, tenant: str, redirect: Redirect) -> McpStatus:
        """See ``Runtime.authorized_mcp``."""
        return await self._servers.roster.authorized(tenant, redirect)

    async def mcp_servers(self, tenant: str) -> tuple[McpStatus, ...]:
        """See ``Runtime.mcp_servers``."""
        return self._servers.roster.status(tenant)

    async def mcp_library(self, tenant: str, journal_id: str, name: str) -> Library:
        """See ``Runtime.mcp_library``."""
        return self._servers.library(self._servers.roster.seen(tenant, journal_id, name))

    async def models(self) -> tuple[ModelInfo, ...]:
        """See ``Runtime.models``."""
        keys = {name for name in ("openai", "anthropic") if await self._key(name) is not None}
        return known_models(self._model, frozenset(keys))

    async def default_model(self) -> LlmConfig | None:
        """See ``Runtime.default_model``."""
        return self._model

    async def set_default_model(self, model: LlmConfig | None) -> None:
        """See ``Runtime.set_default_model``."""
        self._model = model
        await self._sessions.surround(self._around())

    async def put_credential(self, key: SecretStr) -> str:
        """See ``Runtime.put_credential``."""
        known = next((name for name, one in self._keys.items() if one == key and is_credential(name)), None)
        credential_id = known or new_credential_id()
        self._keys[credential_id] = key
        return credential_id

    async def status(self) -> dict[str, Any]:
        """See ``Runtime.status``."""
        return {
            "runtime": "local",
            "workspace": self._workspace,
            "session_actors": 0,
            "resident": len(self._residency.placed),
            "placed_tools": {},
            "sandboxes": {socket.gethostname(): self._registry.commands.sandbox.status},
            "store": (await self._store.identity()).location,
        }

    async def close(self) -> None:
        """End the runtime: running calls are cancelled, the journals are complete as they are."""
        await self._upkeep.close()
        await self._residency.close()
        await self._sessions.close()
        await self._models.close()
        await self._tools.close()
        await self._servers.roster.close()
        await self._providers.close()
        await self._inspectors.close()
        await self._store.close()
