"""How the runtime's policy and a session's own go together.

A deny of the global policy always applies. Otherwise the session's policy, when it has one, takes the place of the
global one entirely; a session without one falls back to it. A policy that is not enabled has no say: as the global
one it denies nothing. A call of which the global policy cannot tell whether it denies it is asked about.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from actors.domain.permission_calls import call_of
from actors.domain.permissions import PermissionDecision, PermissionPolicy

_DEFAULT = PermissionPolicy()


def decide(
    global_policy: PermissionPolicy | None,
    session_policy: PermissionPolicy | None,
    tool_name: str,
    args: Mapping[str, Any],
    *,
    workspace: str = "",
) -> PermissionDecision:
    """The decision for one call of one session.

    Args:
        global_policy: The runtime's policy, if any.
        session_policy: The session's own, if any.
        tool_name: As the model names it.
        args: Its arguments.
        workspace: The session's directory, so that absolute paths in it compare with relative ones.
    """
    call = call_of(tool_name, args, workspace)
    policy = effective(global_policy, session_policy)
    decision = policy.judge(call)
    if global_policy is None or not global_policy.enabled:
        return decision
    if global_policy.forbids(call):
        return PermissionDecision.deny
    hidden = decision is PermissionDecision.allow and global_policy.might_forbid(call)
    return policy.asking() if hidden else decision


def effective(global_policy: PermissionPolicy | None, session_policy: PermissionPolicy | None) -> PermissionPolicy:
    """The policy whose allow and ask rules and default count: the session's, else the global one, else ask."""
    return session_policy or global_policy or _DEFAULT
