"""The operations on a session's children, by the parent's id."""

from __future__ import annotations

from collections.abc import Sequence

from actors.domain.children import ChildResult, ChildSpec
from actors.domain.ids import check_session_id
from actors.domain.session import SessionConfig
from actors.handle import SessionHandle
from actors.manager_lookup import SessionLookup
from actors.reading.children import Mode
from actors.reading.families import SessionTree, children_of, tree_of


class ChildOperations(SessionLookup):
    """What ``SessionManager`` does with children."""

    async def create_child_session(
        self, parent_id: str, child_id: str, config: SessionConfig | None = None, *, command_id: str | None = None
    ) -> SessionHandle:
        """Create a child; its model, workspace and policies are the parent's where it names none.

        Raises:
            SessionNotFound: no such parent. InvalidSessionId, SessionExists, CommandConflict.
        """
        check_session_id(child_id)
        parent = await self._session(parent_id)
        return SessionHandle(self._runtime, await parent.create_child(child_id, config, command_id=command_id))

    async def get_child_sessions(self, parent_id: str) -> list[str]:
        """Ids of a session's children, oldest first; none for an unknown parent."""
        parent = await self._runtime.store.find(self.tenant, parent_id)
        if parent is None:
            return []
        found = [row async for row in children_of(self._runtime.store, parent)]
        # Those of one spawn are of one moment, and their journal ids are in its order.
        return [row.session_id for row in sorted(found, key=lambda row: (row.created_at, row.journal_id))]

    async def tree(self, session_id: str) -> SessionTree:
        """A session with everything below it, and what each has used and cost, alone and with all below it.

        Raises:
            SessionNotFound.
            InvalidRequest: there are more than 10,000 sessions in it.
        """
        return await tree_of(self._runtime.store, await self.get_info(session_id))

    async def is_child_session(self, session_id: str) -> bool:
        """Whether the session has a parent."""
        return (await self.get_info(session_id)).parent_id is not None

    async def spawn_many(
        self, parent_id: str, specs: Sequence[ChildSpec | str], *, command_id: str | None = None
    ) -> list[SessionHandle]:
        """See ``SessionHandle.spawn_many``; returns handles to the children."""
        parent = await self._session(parent_id)
        born = await parent.spawn_many(specs, command_id=command_id)
        return [SessionHandle(self._runtime, info) for info in born]

    async def wait_children(
        self,
        parent_id: str,
        mode: Mode = "all",
        *,
        children: Sequence[str] | None = None,
        timeout: float | None = None,
    ) -> tuple[ChildResult, ...]:
        """See ``SessionHandle.wait_children``."""
        return await (await self._session(parent_id)).wait_children(mode, children=children, timeout=timeout)

    async def child_results(self, parent_id: str) -> tuple[ChildResult, ...]:
        """See ``SessionHandle.child_results``."""
        return await (await self._session(parent_id)).child_results()
