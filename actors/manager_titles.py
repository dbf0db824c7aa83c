"""Titles of sessions."""

from __future__ import annotations

from actors.manager_lookup import SessionLookup


class TitleOperations(SessionLookup):
    """What ``SessionManager`` does about titles."""

    async def generate_title(
        self, session_id: str, *, timeout: float | None = None, command_id: str | None = None
    ) -> str | None:
        """See ``SessionHandle.generate_title``."""
        return await (await self._session(session_id)).generate_title(timeout=timeout, command_id=command_id)
