"""What a session's model may do: the part of ``SessionHandle`` about permissions."""

from __future__ import annotations

from typing import Any

from actors.checks import checked_command, checked_limit, checked_seq
from actors.domain import commands as c
from actors.domain.permissions import PermissionDecision, PermissionPolicy
from actors.handle_commands import SessionCommands
from actors.policy.permissions import decide_for, effective
from actors.reading.dry_run import DryRun, dry_run
from actors.session.state import State
from actors.session.surroundings import Surroundings
from actors.session.workspace import path_of


class SessionPermissions(SessionCommands):
    """The part of ``SessionHandle`` that is about permissions."""

    async def permission_policy(self) -> PermissionPolicy:
        """The policy in force: the session's own, else the runtime's, else one that asks about everything."""
        own = (await self._state()).config.permission_policy
        return effective(await self._runtime.global_policy(), own)

    async def set_permission_policy(self, policy: PermissionPolicy | None) -> PermissionPolicy:
        """Replace the permission policy; None takes the session's own away, so that the runtime's is in force.

        Returns:
            The policy in force now.
        """
        await self._configure({"permission_policy": policy})
        return effective(await self._runtime.global_policy(), policy)

    async def add_permission_rule(
        self, kind: PermissionDecision | str, rule: str, *, command_id: str | None = None
    ) -> PermissionPolicy:
        """Add a rule to the session's policy; one that is there already changes nothing.

        Rules that are added at the same time are all kept: the session adds each to the policy it has then. A session
        without a policy of its own gets one, which takes the place of the runtime's but for that one's denials.

        Args:
            kind: The list: allow, deny or ask.
            rule: The rule's text, such as ``bash(git status:*)``.
            command_id: Makes the command repeatable.

        Returns:
            The policy now.

        Raises:
            InvalidRequest: there is no such list, the rule cannot be read, or the policy is full (64 KiB as JSON).
        """
        values = self._identity(command_id) | {"decision": kind, "rule": rule}
        await self._do(checked_command(lambda: c.AddPermissionRule.model_validate(values)))
        return await self.permission_policy()

    async def check_permission(self, tool: str, args: dict[str, Any]) -> PermissionDecision:
        """What the policy would say of a call."""
        state = await self._state()
        workspace = await self._workspace(state)
        return decide_for(state.config, await self._runtime.global_policy(), tool, args, workspace=workspace)

    async def dry_run_policy(self, policy: PermissionPolicy, *, after: int = 0, limit: int = 100) -> DryRun:
        """What a policy would have said of the calls in the session's journal. Nothing runs and nothing changes.

        What the runtime's policy denies now is denied here too, and the policies of the sessions above bind it.

        Args:
            policy: The policy to try.
            after: Calls of records behind this seq.
            limit: Calls of a page, 1 to 1,000; all calls of one answer come together, so it may be a few more.
        """
        checked_seq(after)
        checked_limit(limit)
        info = await self.info()
        state = await self._state()
        bounds = tuple(bound.permission_policy for bound in state.config.bounds)
        within = (await self._runtime.global_policy(), policy, await self._workspace(state), bounds)
        return await dry_run(self._runtime, info, within, after=after, limit=limit)

    async def _workspace(self, state: State) -> str:
        """The directory that the session's tools work in, or will."""
        return path_of(state, Surroundings(workspace=await self._runtime.workspace()))
