"""The decisions that a session waits for: the part of ``SessionHandle`` that makes them."""

from __future__ import annotations

from typing import Any

from actors.checks import checked_choice, checked_command
from actors.domain import commands as c
from actors.domain.actions import Remember, Resolution
from actors.domain.permissions import PermissionRule
from actors.errors import ActionNotFound, ActionSettled, GreenroomError
from actors.handle_commands import SessionCommands


class SessionActions(SessionCommands):
    """The part of ``SessionHandle`` that decides actions."""

    async def resolve_action(
        self,
        action_id: str,
        resolution: Resolution | str,
        *,
        args: dict[str, Any] | None = None,
        value: str | None = None,
        reason: str | None = None,
        args_digest: str | None = None,
        remember: Remember | str = Remember.once,
        rule: str | None = None,
        command_id: str | None = None,
    ) -> None:
        """Decide an action. The first committed decision wins.

        Args:
            action_id: The action's id, or the model's tool call id within the open turn.
            resolution: ``approve`` or ``reject`` an approval, or going on without a lost workspace; ``retry``, ``skip``
                or ``answer`` a call in doubt.
            args: Approve with other arguments.
            value: The result to give the model (answer).
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
                reason=reason,
                args_digest=args_digest,
                remember=kept,
                rule=PermissionRule(rule) if rule is not None else None,
            )
        )
        try:
            await self._do(command)
        except ActionNotFound:
            raise await self._why_not_pending(action_id) from None

    async def _why_not_pending(self, action_id: str) -> GreenroomError:
        for action in await self.actions(pending=False):
            if action_id in {action.action_id, action.tool_use_id} and action.resolution is not None:
                return ActionSettled(action.action_id, action.resolution)
        return ActionNotFound(action_id)

    async def confirm_tool(self, action_id: str, approved: bool, reason: str | None = None) -> bool:
        """Approve or reject a pending call; False when nothing of this id is pending."""
        try:
            await self.resolve_action(action_id, "approve" if approved else "reject", reason=reason)
        except (ActionNotFound, ActionSettled):
            return False
        return True
