"""What the models of sessions may do: the part of ``SessionManager`` about permissions."""

from __future__ import annotations

from typing import Any

from actors.domain.permissions import PermissionDecision, PermissionPolicy
from actors.manager_lookup import SessionLookup
from actors.reading.dry_run import DryRun


class PermissionOperations(SessionLookup):
    """What ``SessionManager`` does with permission policies."""

    async def set_permission_policy(self, session_id: str, policy: PermissionPolicy | None) -> PermissionPolicy:
        """See ``SessionHandle.set_permission_policy``."""
        return await (await self._session(session_id)).set_permission_policy(policy)

    async def get_permission_policy(self, session_id: str) -> PermissionPolicy:
        """See ``SessionHandle.permission_policy``."""
        return await (await self._session(session_id)).permission_policy()

    async def add_permission_rule(
        self, session_id: str, kind: PermissionDecision | str, rule: str, *, command_id: str | None = None
    ) -> PermissionPolicy:
        """See ``SessionHandle.add_permission_rule``."""
        return await (await self._session(session_id)).add_permission_rule(kind, rule, command_id=command_id)

    async def check_permission(self, session_id: str, tool: str, args: dict[str, Any]) -> PermissionDecision:
        """See ``SessionHandle.check_permission``."""
        return await (await self._session(session_id)).check_permission(tool, args)

    async def dry_run_policy(
        self, session_id: str, policy: PermissionPolicy, *, after: int = 0, limit: int = 100
    ) -> DryRun:
        """See ``SessionHandle.dry_run_policy``."""
        return await (await self._session(session_id)).dry_run_policy(policy, after=after, limit=limit)
