"""From a session's id to its handle: what every group of the manager's operations begins with."""

from __future__ import annotations

from typing import Generic, TypeVar

from actors.domain.base import Frozen
from actors.domain.command import digest_of_json
from actors.domain.ids import check_tenant
from actors.domain.session import SessionInfo
from actors.errors import SessionNotFound
from actors.handle import SessionHandle
from actors.session.runtime import Runtime

T = TypeVar("T")


class Page(Frozen, Generic[T]):
    """A page of a listing, and the cursor of the next one (None at the end).

    Attributes:
        unavailable: Stores that do not answer now: what is in them is missing here.
    """

    items: tuple[T, ...]
    next: str | None = None
    unavailable: tuple[str, ...] = ()


class SessionLookup:
    """The sessions of one tenant in one runtime."""

    def __init__(self, runtime: Runtime, tenant: str) -> None:
        self._runtime = runtime
        self.tenant = check_tenant(tenant)

    async def get_info(self, session_id: str) -> SessionInfo:
        """One session's row.

        Raises:
            SessionNotFound: no session of this id.
        """
        row = await self._runtime.store.find(self.tenant, session_id)
        if row is None:
            raise SessionNotFound(session_id)
        return row

    async def _destroy(self, journal_id: str, session_id: str, cause: str, *, purge: bool = False) -> bool:
        """Remove a session by its journal; the id may be in use by a newer one."""
        store = self._runtime.store
        digest = digest_of_json(["purge" if purge else "destroy", session_id])
        remove = store.purge_session if purge else store.destroy
        removed = await remove(self.tenant, journal_id, cause, digest)
        known = await store.known(self.tenant, session_id) if journal_id else None
        if journal_id and (known is None or known.journal_id != journal_id):
            await self._runtime.forget(self.tenant, journal_id)
        return removed

    async def _unavailable(self) -> tuple[str, ...]:
        """The stores that had no part in the listing just now; a single one has its own say."""
        return await self._runtime.store.unavailable() if len(self._runtime.stores) > 1 else ()

    async def _session(self, session_id: str) -> SessionHandle:
        return SessionHandle(self._runtime, await self.get_info(session_id))
