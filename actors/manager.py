"""``SessionManager``: every operation of the service, by session id.

It knows no Ray: a ``Runtime`` keeps the sessions, and the constructors pick one. Operations on one session are those
of its ``SessionHandle``; the manager looks the id up and delegates.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from actors.checks import checked_choice, checked_limit
from actors.domain.command import digest_of_json
from actors.domain.ids import DEFAULT_TENANT, check_command_id, check_session_id, new_ulid, utc_now
from actors.domain.journal import Filter
from actors.domain.llm import LlmConfig
from actors.domain.session import Activity, SessionConfig, SessionInfo, SessionState
from actors.domain.stores import DEFAULT_STORE, StorePlace, chosen_store
from actors.domain.tools import ToolDefinition
from actors.errors import GreenroomError, InvalidConfig, InvalidRequest, StoreUnavailable
from actors.handle import SessionHandle
from actors.manager_lookup import Page
from actors.manager_operations import SessionOperations, StoreHealth, ToolExecutorInfo
from actors.model_choice import as_model, known_config
from actors.session.projection import new_sessions
from actors.session.runtime import ModelInfo, Runtime
from actors.settings import Settings

__all__ = ["Page", "SessionManager", "StoreHealth", "ToolExecutorInfo"]

MAX_BULK = 10_000
"""Sessions of one ``create_sessions``: one transaction that holds the writer for well under a second."""

ToolLike = Callable[..., Any] | str
"""A function made by ``@tool``, or its import string ``package.module:name``."""


class SessionManager(SessionOperations):
    """All sessions of one tenant in one runtime. Use ``async with``, or call ``close`` at the end."""

    def __init__(self, runtime: Runtime, settings: Settings, tenant: str = DEFAULT_TENANT) -> None:
        super().__init__(runtime, tenant)
        self.settings = settings

    # --- constructors ----------------------------------------------------------------------------------------------

    @classmethod
    async def new(
        cls,
        llm: LlmConfig | str | None = None,
        *,
        settings: Settings | None = None,
        tools: Sequence[ToolLike] = (),
        tenant: str = DEFAULT_TENANT,
    ) -> Self:
        """Start a runtime whose store lives in memory: gone when the runtime ends.

        Args:
            llm: Model of sessions that name none: ``provider/model`` or an LlmConfig.
            tools: Further tools. Import strings survive a restart of the runtime, live functions last as long as it.

        Raises:
            RuntimeExists: one of this name is running; join it with ``connect``.
        """
        return await cls.with_store(llm, "memory:", settings=settings, tools=tools, tenant=tenant)

    @classmethod
    async def with_persistence(
        cls,
        llm: LlmConfig | str | None,
        directory: str | Path,
        *,
        settings: Settings | None = None,
        tools: Sequence[ToolLike] = (),
        tenant: str = DEFAULT_TENANT,
    ) -> Self:
        """Start a runtime whose store is SQLite in a directory, which is created when absent.

        Raises:
            StoreInUse, StoreNotWritable, StoreCorrupt, StoreLost, RuntimeExists.
        """
        return await cls.with_store(llm, _in(directory), settings=settings, tools=tools, tenant=tenant)

    @classmethod
    async def with_store(
        cls,
        llm: LlmConfig | str | None,
        url: str,
        *,
        settings: Settings | None = None,
        tools: Sequence[ToolLike] = (),
        tenant: str = DEFAULT_TENANT,
    ) -> Self:
        """Start a runtime on any store URL.

        Args:
            llm: As for ``new``.
            url: ``memory:``, ``sqlite:///path/greenroom.db``, or ``postgresql://user:password@host:port/database``
                with any keyword of libpq, which also looks for what is missing in its environment and ``~/.pgpass``.

        Raises:
            StoreInUse: A runtime works on it; ``connect`` joins that.
            StoreUnavailable: The server cannot be reached.
            InvalidConfig, StoreNotWritable, StoreCorrupt, StoreLost, SnapshotTooNew: There can be no store.
        """
        from actors.cluster.start import start_runtime

        chosen = settings or Settings()
        runtime = await start_runtime(chosen, url, as_model(llm), tuple(tools))
        return cls(runtime, chosen, tenant)

    @classmethod
    async def connect(cls, *, settings: Settings | None = None, tenant: str = DEFAULT_TENANT) -> Self:
        """Join a runtime that is running.

        Raises:
            RuntimeNotFound: there is none of this name.
        """
        from actors.cluster.start import join_runtime

        chosen = settings or Settings()
        return cls(await join_runtime(chosen), chosen, tenant)

    @classmethod
    async def local(
        cls,
        llm: LlmConfig | str | None = None,
        *,
        store: str = "memory:",
        settings: Settings | None = None,
        tools: Sequence[ToolLike] = (),
        tenant: str = DEFAULT_TENANT,
    ) -> Self:
        """Everything in this process, without Ray: for embedding, and for tests of what is built on the manager."""
        from actors.local import LocalRuntime

        chosen = settings or Settings()
        return cls(await LocalRuntime.start(chosen, store, as_model(llm), tuple(tools)), chosen, tenant)

    async def close(self) -> None:
        """End the runtime that this manager started; leave one that it joined."""
        await self._runtime.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # --- sessions --------------------------------------------------------------------------------------------------

    async def create_session(
        self,
        session_id: str,
        config: SessionConfig | None = None,
        *,
        store: str | None = None,
        command_id: str | None = None,
    ) -> SessionHandle:
        """Create a session: rows in a store, nothing else.

        Args:
            store: Name of the store that it lives in; by ``config.storage_type`` when None, else the default one.

        Raises:
            InvalidSessionId, SessionExists, UnknownProvider, InvalidConfig.
        """
        return (await self.create_sessions([session_id], config, store=store, command_id=command_id))[0]

    async def create_sessions(
        self,
        session_ids: Sequence[str],
        config: SessionConfig | None = None,
        *,
        store: str | None = None,
        command_id: str | None = None,
    ) -> list[SessionHandle]:
        """Create up to 10,000 sessions in one transaction, all or none; SessionExists lists the ids in use."""
        if not 0 < len(session_ids) <= MAX_BULK:
            raise InvalidRequest(f"Create 1 to {MAX_BULK} sessions at a time.")
        for session_id in session_ids:
            check_session_id(session_id)
        if len({session_id.lower() for session_id in session_ids}) < len(session_ids):
            raise InvalidRequest("The same session id stands in the list twice (case does not count).")
        wanted = await known_config(self._runtime, config or SessionConfig())
        if wanted.parent_id is not None:
            raise InvalidConfig("parent_id is set by create_child_session.")
        home = chosen_store(self._runtime.stores, wanted.storage_type, store)
        # Of what was asked for: the id under which the runtime keeps a key is a new one each time.
        digest = digest_of_json([list(session_ids), (config or SessionConfig()).model_dump(mode="json"), home.name])
        if home.name != DEFAULT_STORE:
            wanted = wanted.model_copy(update={"storage_type": home.kind})
        cause = check_command_id(command_id) if command_id else new_ulid()
        names = [(session_id, new_ulid()) for session_id in session_ids]
        sessions = new_sessions(self.tenant, names, wanted, now=utc_now(), cause=cause)
        if await self._runtime.store.create(self.tenant, cause, digest, sessions, store=home.name):
            return [SessionHandle(self._runtime, session.row) for session in sessions]
        return [await self.get_session(session_id) for session_id in session_ids]

    async def get_session(self, session_id: str) -> SessionHandle:
        """A handle to a session.

        Raises:
            SessionNotFound: no session of this id.
        """
        return await SessionHandle(self._runtime, await self.get_info(session_id)).resolve()

    async def list_sessions(
        self,
        *,
        limit: int = 100,
        after: str | None = None,
        state: str | None = None,
        activity: str | None = None,
        parent_id: str | None = None,
        roots_only: bool = False,
        name_contains: str | None = None,
    ) -> Page[SessionInfo]:
        """A page of sessions, those used last first; ``limit`` is 1 to 1,000."""
        checked_limit(limit)
        parent = (await self.get_info(parent_id)).journal_id if parent_id else None
        wanted = Filter(
            state=checked_choice("state", SessionState, state).value if state is not None else None,
            activity=checked_choice("activity", Activity, activity).value if activity is not None else None,
            parent_journal_id=parent,
            roots_only=roots_only,
            name_contains=name_contains,
        )
        rows, cursor = await self._runtime.store.rows(self.tenant, wanted, after=after, limit=limit)
        return Page[SessionInfo](items=rows, next=cursor, unavailable=await self._unavailable())

    async def get_all_sessions(self) -> list[SessionHandle]:
        """Handles to all sessions; page through ``list_sessions`` when there may be many."""
        found: list[SessionHandle] = []
        cursor: str | None = None
        while True:
            page = await self.list_sessions(limit=1000, after=cursor)
            found += [SessionHandle(self._runtime, row) for row in page.items]
            cursor = page.next
            if cursor is None:
                return found

    async def session_count(self) -> int:
        """How many sessions there are. Raises StoreUnavailable when one of several stores cannot be asked."""
        found = await self._runtime.store.count(self.tenant, Filter())
        for name in await self._unavailable():
            raise StoreUnavailable(f"store {name} cannot be asked")
        return found

    async def restore_session_by_id(self, session_id: str) -> SessionHandle:
        """A handle to a session of any store. Sessions need no loading: the first command activates them."""
        return await self.get_session(session_id)

    async def load_all_sessions(self) -> int:
        """How many sessions the stores hold that can be asked; none of them is read before it is used."""
        return await self._runtime.store.count(self.tenant, Filter())

    # --- the runtime -----------------------------------------------------------------------------------------------

    async def list_tools(self) -> list[ToolDefinition]:
        """The tools that sessions can use, sorted by name."""
        return list(await self._runtime.tools(self.tenant))

    async def tool_executor(self) -> ToolExecutorInfo:
        """What runs the tools of sessions that name no workspace."""
        tools = await self._runtime.tools(self.tenant)
        status = await self._runtime.status()
        return ToolExecutorInfo(workspace=str(status["workspace"]), tools=tuple(tool.name for tool in tools))

    async def models(self) -> list[ModelInfo]:
        """The models that can be named, the default one first."""
        return list(await self._runtime.models())

    async def store_health(self) -> list[StoreHealth]:
        """How each store stands, in the order in which they are asked for an id: the default one first."""
        return list(await asyncio.gather(*(self._health(place) for place in self._runtime.stores)))

    async def _health(self, place: StorePlace) -> StoreHealth:
        error: str | None = None
        try:
            await self._runtime.store.health(place.name)
        except GreenroomError as exc:
            error = exc.message
        return StoreHealth(name=place.name, kind=place.kind, ok=error is None, error=error)

    async def runtime_status(self) -> dict[str, Any]:
        """How the runtime stands, for people; no secrets."""
        return await self._runtime.status()


def _in(directory: str | Path) -> str:
    """URL of the SQLite store in a directory."""
    return f"sqlite:///{Path(directory).expanduser().absolute() / 'greenroom.db'}"
