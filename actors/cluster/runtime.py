"""A runtime in a Ray cluster, as drivers and Serve replicas use it: the ``Runtime`` port over its actors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from pydantic import SecretStr

from actors.caller import PatientCaller
from actors.checks import checked_directory
from actors.cluster import nodes
from actors.cluster.hosts import ClusterHosts
from actors.cluster.links import Links, actor_named
from actors.cluster.mcp_library import ActorLibrary
from actors.cluster.registry_door import RegistryDoor
from actors.cluster.registry_link import RegistryLink
from actors.cluster.shared import SharedContexts
from actors.domain.calls import CallKey, Delta, HostRef
from actors.domain.command import Command
from actors.domain.commands import Reply
from actors.domain.contexts import Beginning, Contexts
from actors.domain.llm import LlmConfig
from actors.domain.mcp import McpServerConfig, McpStatus
from actors.domain.mcp_oauth import Redirect
from actors.domain.permissions import PermissionPolicy
from actors.domain.security import SecurityConfig
from actors.domain.stores import StorePlace
from actors.domain.tools import ToolDefinition
from actors.domain.turns import TurnEnd
from actors.errors import InternalError, McpUnavailable, NotHere, Overloaded, StoreUnavailable, TransportLost
from actors.inspection.inspectors import Inspectors
from actors.llm.catalogue import check_provider
from actors.llm.models import known_models
from actors.peers import Peer, RuntimeInfo
from actors.session.library import Library
from actors.session.own_tools import shared_definitions
from actors.session.ports import ToolSpec
from actors.session.runtime import ModelInfo
from actors.session.submitted import Submitted
from actors.storage.arrow import table_at
from actors.storage.remote import RemoteStore
from actors.storage.same import SameStore

RETRY_FIRST_S, RETRY_MAX_S = 0.02, 1.0
"""Bounds of the back-off while a session is being moved."""

STORE_PATIENCE_S = 10.0
"""How long a driver's question to the store is repeated when its connection breaks: Ray starts a dead store actor again
in one or two seconds. Every method may be asked twice, by the ids of commands and batches."""

GIVE_UP_S = 60.0
"""How long a command is carried after a session, or its registry, that cannot be reached."""


CONTEXT_BYTES = 32 * 1024 * 1024
"""Conversations that a client keeps, so that each answer brings only what is new of them."""


class ClusterRuntime:
    """One client of a runtime. The client that started it ends it; the others only leave."""

    def __init__(self, info: RuntimeInfo, end: Callable[[], Awaitable[None]] | None = None) -> None:
        self._registry = RegistryLink(info)
        self._info = info
        self._end = end
        self._links = Links(info.token.get_secret_value(), data_plane=info.data_plane)
        self._door = RegistryDoor(self._registry, self._links, info.registry)
        self._hosts = ClusterHosts(self._registry, self._links)
        impatient = ("health", "shelf")
        self._store = RemoteStore(
            PatientCaller(SameStore(self._links.to(info.store)), STORE_PATIENCE_S, impatient=impatient)
        )
        self._shared = SharedContexts(info.store)
        self._places: dict[str, tuple[Peer, int]] = {}
        self._contexts = Contexts(CONTEXT_BYTES)
        self._inspectors = Inspectors()

    @property
    def store(self) -> RemoteStore:
        """Where the journals are."""
        return self._store

    @property
    def stores(self) -> tuple[StorePlace, ...]:
        """See ``Runtime.stores``."""
        return self._info.world.stores

    async def _ask(self, method: str, *args: Any) -> Any:
        return await self._registry.ask(method, *args)

    # --- sessions ----------------------------------------------------------------------------------------------------

    async def submit(
        self, tenant: str, journal_id: str, command: Command, *, wait_s: float = 0.0, until_action: bool = False
    ) -> Submitted:
        """See ``Runtime.submit``. Asks again, with the same command, until the outcome is known."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait_s + GIVE_UP_S
        wait_until = loop.time() + wait_s
        delay, stale = RETRY_FIRST_S, 0
        while True:
            peer, number = await self._place(tenant, journal_id, stale)
            try:
                left = max(wait_until - loop.time(), 0.0)
                return await self._submit_to(peer, number, journal_id, command, left, until_action)
            except NotHere as exc:
                stale = max(stale, exc.assignment_no)
                if loop.time() > deadline:
                    raise
            except TransportLost:
                # The command may have been carried out: from here on it is no fresh one.
                await self._links.drop(peer)
                if loop.time() > deadline:
                    raise
            self._places.pop(journal_id, None)
            command = command.model_copy(update={"fresh": False})
            await asyncio.sleep(delay)
            delay = min(delay * 2, RETRY_MAX_S)

    async def _place(self, tenant: str, journal_id: str, stale: int) -> tuple[Peer, int]:
        found = self._places.get(journal_id)
        if found is None:
            peer, number = await self._door.call("resolve", tenant=tenant, journal_id=journal_id, stale=stale)
            found = self._places[journal_id] = (Peer(**peer), number)
            while len(self._places) > 100_000:
                del self._places[next(iter(self._places))]
        return found

    async def _submit_to(
        self, peer: Peer, number: int, journal_id: str, command: Command, wait_s: float, until_action: bool
    ) -> Submitted:
        known = self._contexts.get(journal_id)
        answer = await self._links.to(peer).call(
            "submit",
            journal_id=journal_id,
            assignment_no=number,
            command=command.model_dump_json().encode(),
            fresh=command.fresh,
            wait_s=wait_s,
            until_action=until_action,
            held=list(known.whole),
        )
        context = known.with_rest(Beginning(*answer["base"]), tuple(answer["context"]))
        if context is None:
            raise InternalError("an answer builds on a conversation that nobody has")
        if context.messages:
            self._contexts.put(journal_id, context)
        return Submitted(
            reply=Reply.model_validate_json(answer["reply"]),
            end=TurnEnd.model_validate_json(answer["end"]) if answer["end"] else None,
            context=context,
            waits=answer["waits"],
        )

    async def hibernate(self, tenant: str, journal_id: str) -> bool:
        """See ``Runtime.hibernate``."""
        del tenant
        self._places.pop(journal_id, None)
        return await self._door.call("hibernate", journal_id=journal_id)

    async def forget(self, tenant: str, journal_id: str) -> None:
        """See ``Runtime.forget``."""
        self._places.pop(journal_id, None)
        await self._ask("forget", tenant, journal_id)

    async def resolve(self, tenant: str, journal_id: str) -> tuple[Any, tuple[str, int]] | None:
        """See ``Runtime.resolve``."""
        found = await self._ask("where", tenant, journal_id)
        if found is None:
            return None
        peer, number = found
        handle = await asyncio.to_thread(actor_named, peer.name)
        return (handle, (journal_id, number)) if handle is not None else None

    def deltas(self, host: HostRef, key: CallKey, *, after: int = 0) -> AsyncIterator[Delta]:
        """See ``Runtime.deltas``."""
        return self._hosts.deltas(host, key, after=after)

    async def context_table(self, tenant: str, journal_id: str, upto: int) -> Any:
        """See ``Runtime.context_table``."""
        table = await self._shared.table(tenant, journal_id, upto)
        return table if table is not None else await table_at(self._store, tenant, journal_id, upto)

    async def context_ref(self, tenant: str, journal_id: str, upto: int) -> Any:
        """See ``Runtime.context_ref``."""
        found = await self._shared.reference(tenant, journal_id, upto)
        if found is None:
            raise Overloaded("Ray's object store is full")
        return found

    # --- tools and models --------------------------------------------------------------------------------------------

    async def tools(self, tenant: str) -> tuple[ToolDefinition, ...]:
        """See ``Runtime.tools``."""
        asked = self._ask("toolbox"), self._ask("placed_tools"), self._ask("mcp_tools")
        own, placed, servers = await asyncio.gather(*asked)
        return shared_definitions((*map(ToolSpec, own.definitions), *placed, *servers), tenant)

    async def add_mcp_server(
        self, tenant: str, journal_id: str, session_id: str | None, config: McpServerConfig
    ) -> McpStatus:
        """See ``Runtime.add_mcp_server``."""
        return await self._ask("add_mcp_server", tenant, journal_id, session_id, config)

    async def remove_mcp_server(self, tenant: str, journal_id: str, name: str) -> bool:
        """See ``Runtime.remove_mcp_server``."""
        return await self._ask("remove_mcp_server", tenant, journal_id, name)

    async def authorized_mcp(self, tenant: str, redirect: Redirect) -> McpStatus:
        """See ``Runtime.authorized_mcp``."""
        return await self._ask("authorized_mcp", tenant, redirect)

    async def mcp_servers(self, tenant: str) -> tuple[McpStatus, ...]:
        """See ``Runtime.mcp_servers``."""
        return await self._ask("mcp_servers", tenant)

    async def mcp_library(self, tenant: str, journal_id: str, name: str) -> Library:
        """See ``Runtime.mcp_library``."""
        actor: str = await self._ask("mcp_actor", tenant, journal_id, name)
        handle = await asyncio.to_thread(actor_named, actor)
        if handle is None:
            raise McpUnavailable(name, "its actor is gone, and another one takes its place")
        return ActorLibrary(name, handle)

    async def models(self) -> tuple[ModelInfo, ...]:
        """See ``Runtime.models``."""
        status = await self._ask("status")
        return known_models(await self.default_model(), frozenset(status["providers"]))

    async def check_model(self, model: LlmConfig) -> None:
        """See ``Runtime.check_model``."""
        check_provider(model)

    async def check_workspace(self, path: str) -> None:
        """See ``Runtime.check_workspace``."""
        if await asyncio.to_thread(nodes.is_only_node):
            await checked_directory(path)

    async def global_policy(self) -> PermissionPolicy | None:
        """See ``Runtime.global_policy``."""
        return self._info.world.global_policy

    async def check_security(self, config: SecurityConfig | None) -> None:
        """See ``Runtime.check_security``."""
        await self._inspectors.check(config)

    async def security(self) -> SecurityConfig | None:
        """See ``Runtime.security``."""
        return self._info.world.security

    async def workspace(self) -> str:
        """See ``Runtime.workspace``."""
        return self._info.world.workspace

    async def default_model(self) -> LlmConfig | None:
        """See ``Runtime.default_model``."""
        return await self._ask("default_model")

    async def set_default_model(self, model: LlmConfig | None) -> None:
        """See ``Runtime.set_default_model``."""
        await self._ask("set_default_model", model)

    async def put_credential(self, key: SecretStr) -> str:
        """See ``Runtime.put_credential``."""
        return await self._ask("put_credential", key)

    async def status(self) -> dict[str, Any]:
        """See ``Runtime.status``."""
        status = await self._ask("status")
        try:
            return {**status, "shared_contexts": await self._store.shelf()}
        except StoreUnavailable:
            return {**status, "shared_contexts": None}

    async def close(self) -> None:
        """See ``Runtime.close``."""
        await self._inspectors.close()
        await self._links.close()
        if self._end is not None:
            end, self._end = self._end, None
            await end()
