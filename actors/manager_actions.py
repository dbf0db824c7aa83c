"""The decisions that sessions wait for: one inbox over all of them, or over a family."""

from __future__ import annotations

from typing import Any

from actors.checks import checked_choice, checked_limit
from actors.domain.actions import Action, ActionKind, Remember, Resolution
from actors.manager_lookup import Page, SessionLookup


class ActionOperations(SessionLookup):
    """What ``SessionManager`` lists and decides of what sessions wait for."""

    async def confirm_tool(self, session_id: str, action_id: str, approved: bool, reason: str | None = None) -> bool:
        """See ``SessionHandle.confirm_tool``."""
        return await (await self._session(session_id)).confirm_tool(action_id, approved, reason)

    async def actions(
        self,
        session_id: str | None = None,
        *,
        tree: bool = True,
        pending: bool = True,
        kind: ActionKind | str | None = None,
        limit: int = 100,
        after: str | None = None,
    ) -> Page[Action]:
        """A page of what one session with all below it, or any session of the tenant, waits for; oldest first.

        Args:
            session_id: None for all sessions.
            tree: With its children, and theirs; else of the session alone.
            pending: Leave out what is settled.
            kind: Those of one kind only.
            limit: 1 to 1,000.
            after: The ``next`` of the page before.

        Raises:
            SessionNotFound, InvalidRequest.
        """
        journal_id = (await self.get_info(session_id)).journal_id if session_id else None
        rows, cursor = await self._runtime.store.actions(
            self.tenant,
            journal_id=journal_id,
            tree=tree,
            pending=pending,
            kind=checked_choice("kind", ActionKind, kind) if kind is not None else None,
            after=after,
            limit=checked_limit(limit),
        )
        return Page[Action](items=rows, next=cursor, unavailable=await self._unavailable())

    async def resolve_action(
        self,
        session_id: str,
        action_id: str,
        resolution: Resolution | str,
        *,
        args: dict[str, Any] | None = None,
        value: str | None = None,
        content: dict[str, Any] | None = None,
        reason: str | None = None,
        args_digest: str | None = None,
        remember: Remember | str = Remember.once,
        rule: str | None = None,
        command_id: str | None = None,
    ) -> None:
        """See ``SessionHandle.resolve_action``."""
        session = await self._session(session_id)
        await session.resolve_action(
            action_id,
            resolution,
            args=args,
            value=value,
            content=content,
            reason=reason,
            args_digest=args_digest,
            remember=remember,
            rule=rule,
            command_id=command_id,
        )
