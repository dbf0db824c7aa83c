"""The port between the service's operations and whatever keeps sessions alive.

Above are ``SessionManager`` and ``SessionHandle``, which know nothing of Ray or processes; below are ``actors.local``
(everything in this process) and ``actors.cluster.start`` (actors of a Ray cluster).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Protocol

from pydantic import SecretStr

from actors.domain.base import Frozen
from actors.domain.calls import CallKey, Delta, HostRef
from actors.domain.command import Command
from actors.domain.llm import LlmConfig
from actors.domain.mcp import McpServerConfig, McpStatus
from actors.domain.mcp_oauth import Redirect
from actors.domain.permissions import PermissionPolicy
from actors.domain.security import SecurityConfig
from actors.domain.stores import StorePlace
from actors.domain.tools import ToolDefinition
from actors.session.library import Library
from actors.session.ports import Store
from actors.session.submitted import Submitted


class ModelInfo(Frozen):
    """A model that sessions can name.

    Attributes:
        ready: Its key is configured, or it needs none.
    """

    name: str
    provider: str
    ready: bool
    default: bool = False


class Runtime(Protocol):
    """Keeps sessions: finds or activates them, carries commands, knows the hosts."""

    @property
    def store(self) -> Store:
        """Where the journals are."""
        ...

    @property
    def stores(self) -> tuple[StorePlace, ...]:
        """The stores behind that one, in the order in which they are asked."""
        ...

    async def submit(
        self, tenant: str, journal_id: str, command: Command, *, wait_s: float = 0.0, until_action: bool = False
    ) -> Submitted:
        """Give a session a command, activating it when needed; repeats itself until the outcome is known.

        Raises:
            SessionNotFound: destroyed.
            Overloaded: no room for another session now.
            GreenroomError: refused.
        """
        ...

    async def hibernate(self, tenant: str, journal_id: str) -> bool:
        """Release a session from its actor; False when it has work to do or is not resident."""
        ...

    async def forget(self, tenant: str, journal_id: str) -> None:
        """The session was destroyed: stop what is left of it."""
        ...

    async def resolve(self, tenant: str, journal_id: str) -> tuple[Any, tuple[str, int]] | None:
        """The actor in which the session is resident and its residency, or None when it is dormant."""
        ...

    async def context_table(self, tenant: str, journal_id: str, upto: int) -> Any:
        """The context after a record, as a ``pyarrow.Table``: see ``actors.storage.arrow``."""
        ...

    async def context_ref(self, tenant: str, journal_id: str, upto: int) -> Any:
        """The same as an ``ObjectRef`` of Ray.

        Raises:
            InvalidRequest: there is no Ray.
            Overloaded: it does not fit into the object store.
        """
        ...

    def deltas(self, host: HostRef, key: CallKey, *, after: int = 0) -> AsyncIterator[Delta]:
        """The output of a running call as it comes; ends when the call has settled or its host is gone."""
        ...

    async def tools(self, tenant: str) -> tuple[ToolDefinition, ...]:
        """The tools that all sessions of a tenant can use, sorted by name."""
        ...

    async def add_mcp_server(
        self, tenant: str, journal_id: str, session_id: str | None, config: McpServerConfig
    ) -> McpStatus:
        """Configure an MCP server, of one journal or ("") of all the tenant's, and connect it.

        Raises:
            InvalidConfig: the name is taken, or there are too many.
        """
        ...

    async def remove_mcp_server(self, tenant: str, journal_id: str, name: str) -> bool:
        """Forget one and end it; False when there is none."""
        ...

    async def authorized_mcp(self, tenant: str, redirect: Redirect) -> McpStatus:
        """A browser has come back from the authorization page of an MCP server; how that stands then.

        Raises:
            AuthorizationNotFound: none waits for it.
        """
        ...

    async def mcp_servers(self, tenant: str) -> tuple[McpStatus, ...]:
        """How the servers of a tenant stand."""
        ...

    async def mcp_library(self, tenant: str, journal_id: str, name: str) -> Library:
        """What a server offers beside tools: a journal's own, else the tenant's; of ("") the tenant's only.

        Raises:
            McpServerNotFound: there is none.
            McpUnavailable: nobody keeps it connected now.
        """
        ...

    async def models(self) -> tuple[ModelInfo, ...]:
        """The models there are, the default one first."""
        ...

    async def check_model(self, model: LlmConfig) -> None:
        """Refuse a model that nobody serves, before anything is written.

        Raises:
            UnknownProvider: no such provider, and no base_url.
        """
        ...

    async def check_workspace(self, path: str) -> None:
        """Refuse a directory that is not there, where this process sees what the tools will see.

        Raises:
            InvalidConfig: the only node there is has no such directory.
        """
        ...

    async def global_policy(self) -> PermissionPolicy | None:
        """The runtime's own policy: its denials bind every session, the rest of it those without a policy."""
        ...

    async def check_security(self, config: SecurityConfig | None) -> None:
        """Refuse security providers that cannot be loaded, before anything is written.

        Raises:
            InvalidConfig: one of them.
        """
        ...

    async def security(self) -> SecurityConfig | None:
        """What sessions withhold that do not say so themselves."""
        ...

    async def workspace(self) -> str:
        """The directory of sessions that name none."""
        ...

    async def default_model(self) -> LlmConfig | None:
        """The model of sessions that name none."""
        ...

    async def set_default_model(self, model: LlmConfig | None) -> None:
        """Change it; turns that are running keep theirs until their next model call."""
        ...

    async def put_credential(self, key: SecretStr) -> str:
        """Keep a key in memory, and return the id that configurations name it by."""
        ...

    async def status(self) -> dict[str, Any]:
        """How the runtime stands, for people; no secrets."""
        ...

    async def close(self) -> None:
        """End the runtime, or leave it when it was joined."""
        ...
