"""The decisions that a session waits for: the part of ``SessionHandle`` that makes them."""

from __future__ import annotations

from typing import Any

from actors.checks import MAX_PAGE, checked_choice, checked_command
from actors.domain import commands as c
from actors.domain.actions import Action, Remember, Resolution
from actors.domain.permissions import PermissionRule
from actors.errors import ActionNotFound, ActionSettled, GreenroomError
from actors.handle_commands import SessionCommands


class SessionActions(SessionCommands):
    """The part of ``SessionHandle`` that lists and decides actions: the session's own, and those of all below it."""

    async def actions(self, *, tree: bool = True, pending: bool = True) -> tuple[Action, ...]:
        """What the session and all below it wait for; each action says whose it is. The oldest 1,000.

        Args:
            tree: With its children, and theirs; else of this session alone.
            pending: Leave out what is settled.
        """
        page, _ = await self._listed(tree=tree, pending=pending, limit=MAX_PAGE)
        if not page:
            await self.info()  # None, or gone: a session that is gone has no actions either.
        return page

    async def _listed(self, **wanted: Any) -> tuple[tuple[Action, ...], str | None]:
        return await self._runtime.store.actions(self._tenant, journal_id=self.journal_id, **wanted)

    async def resolve_action(
        self,
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
        """Decide an action of this session, or of one below it. The first committed decision wins.

        Args:
            action_id: The action's id, or the model's tool call id within this session's open turn.
            resolution: ``approve`` or ``reject`` an approval, going on without a lost workspace, or more of a budget;
                ``retry``, ``skip`` or ``answer`` a call in doubt; ``retry`` or ``reject`` a model call that lacks its
                key, which giving the key decides by itself; ``accept``, ``decline`` or ``cancel`` what a tool asks.
            args: Approve with other arguments; of a budget that is used up: with other amounts than those asked for.
            value: The result to give the model (answer).
            content: What the form says that a tool asks to be filled (accept); what is left out has its default.
            args_digest: What was seen; refused when the call's arguments are others.
            remember: ``once`` decides this call. ``session`` also adds a rule for calls just like it to the session's
                permission policy, ``rule`` one for all of its kind: the same program and subcommand, or the same tool.
                A rejection is remembered as a rule that denies.
            rule: With ``rule``: the text of the rule instead.
            command_id: Makes the command repeatable.

        Raises:
            ActionSettled: it was decided before. ActionNotFound: there is no such action.
            InvalidRequest: it is no way to decide this action, or to remember it.
        """
        wanted = checked_choice("resolution", Resolution, resolution)
        kept = checked_choice("remember", Remember, remember)
        identity = self._identity(command_id)
        command = checked_command(
            lambda: c.ResolveAction(
                **identity,
                action_id=action_id,
                resolution=wanted,
                args=args,
                value=value,
                content=content,
                reason=reason,
                args_digest=args_digest,
                remember=kept,
                rule=PermissionRule(rule) if rule is not None else None,
            )
        )
        try:
            await self._runtime.submit(self._tenant, await self._journal_of(action_id), command)
        except ActionNotFound:
            raise await self._why_not_pending(action_id) from None

    async def _journal_of(self, action_id: str) -> str:
        """Whose action it is: a descendant's, or this session's, which alone knows its tool call ids."""
        if not action_id.isprintable():
            # No id of ours, and some databases take no zero bytes.
            return self.journal_id
        found, _ = await self._listed(tree=True, pending=False, action_id=action_id, limit=1)
        if not found or found[0].session_id == self.session_id:
            return self.journal_id
        row = await self._runtime.store.find(self._tenant, found[0].session_id)
        return row.journal_id if row is not None else self.journal_id

    async def _why_not_pending(self, action_id: str) -> GreenroomError:
        if action_id.isprintable():
            named, _ = await self._listed(tree=True, pending=False, action_id=action_id, limit=1)
            if named and named[0].resolution is not None:
                return ActionSettled(action_id, named[0].resolution)
        # Or by the model's own id of the call, which it may have given to several.
        for action in reversed(await self.actions(tree=False, pending=False)):
            if action.tool_use_id == action_id != "" and action.resolution is not None:
                return ActionSettled(action.action_id, action.resolution)
        return ActionNotFound(action_id)

    async def confirm_tool(self, action_id: str, approved: bool, reason: str | None = None) -> bool:
        """Approve or reject a pending call; False when nothing of this id is pending."""
        try:
            await self.resolve_action(action_id, "approve" if approved else "reject", reason=reason)
        except (ActionNotFound, ActionSettled):
            return False
        return True
