"""Compaction of sessions by their ids."""

from __future__ import annotations

from actors.domain.compaction import Compaction
from actors.manager_lookup import SessionLookup


class CompactionOperations(SessionLookup):
    """What ``SessionManager`` does about contexts that are too long."""

    async def compact(
        self,
        session_id: str,
        *,
        only_when_due: bool = False,
        timeout: float | None = None,
        command_id: str | None = None,
    ) -> Compaction | None:
        """See ``SessionHandle.compact``."""
        session = await self._session(session_id)
        return await session.compact(only_when_due=only_when_due, timeout=timeout, command_id=command_id)

    async def maybe_auto_compact(
        self, session_id: str, *, timeout: float | None = None, command_id: str | None = None
    ) -> bool:
        """See ``SessionHandle.maybe_auto_compact``."""
        return await (await self._session(session_id)).maybe_auto_compact(timeout=timeout, command_id=command_id)
