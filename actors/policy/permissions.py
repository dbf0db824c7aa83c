"""How the runtime's policy and a session's own go together.

A deny of the global policy always applies. Otherwise the session's policy, when it has one, takes the place of the
global one entirely; a session without one falls back to it. A policy that is not enabled has no say: as the global
one it denies nothing. A call of which the global policy cannot tell whether it denies it is asked about.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from actors.domain.permission_calls import call_of
from actors.domain.permissions import PermissionDecision, PermissionPolicy
from actors.domain.session import SessionConfig

_DEFAULT = PermissionPolicy()


def decide(
    global_policy: PermissionPolicy | None,
    session_policy: PermissionPolicy | None,
    tool_name: str,
    args: Mapping[str, Any],
    *,
    workspace: str = "",
    bounds: Sequence[PermissionPolicy | None] = (),
) -> PermissionDecision:
    """The decision for one call of one session: the strictest of its own policy and of those above it.

    Args:
        global_policy: The runtime's policy, if any.
        session_policy: The session's own, if any.
        tool_name: As the model names it.
        args: Its arguments.
        workspace: The session's directory, so that absolute paths in it compare with relative ones.
        bounds: The policies of the sessions above.
    """
    call = call_of(tool_name, args, workspace)
    policies = list(dict.fromkeys(effective(global_policy, one) for one in (session_policy, *bounds)))
    decision = _strictest(policy.judge(call) for policy in policies)
    if global_policy is None or not global_policy.enabled:
        return decision
    if global_policy.forbids(call):
        return PermissionDecision.deny
    hidden = decision is PermissionDecision.allow and global_policy.might_forbid(call)
    return _strictest(policy.asking() for policy in policies) if hidden else decision


def _strictest(decisions: Iterable[PermissionDecision]) -> PermissionDecision:
    return max(decisions, key=(PermissionDecision.allow, PermissionDecision.ask, PermissionDecision.deny).index)


def decide_for(
    config: SessionConfig,
    global_policy: PermissionPolicy | None,
    tool_name: str,
    args: Mapping[str, Any],
    *,
    workspace: str,
) -> PermissionDecision:
    """The decision for one call of a session with this configuration; ``workspace``: where its tools work."""
    above = [bound.permission_policy for bound in config.bounds]
    return decide(global_policy, config.permission_policy, tool_name, args, workspace=workspace, bounds=above)


def is_forbidden(config: SessionConfig, global_policy: PermissionPolicy | None, tool_name: str) -> bool:
    """Whether a deny rule of any policy that binds the session names the tool, whatever its arguments."""
    call = call_of(tool_name, {}, "")
    policies = (global_policy, config.permission_policy, *(bound.permission_policy for bound in config.bounds))
    return any(policy is not None and policy.enabled and policy.forbids(call) for policy in policies)


def demands_sandbox(config: SessionConfig, global_policy: PermissionPolicy | None) -> bool:
    """Whether any policy that binds the session wants its commands in a sandbox, whether or not it is enabled."""
    policies = (global_policy, config.permission_policy, *(bound.permission_policy for bound in config.bounds))
    return any(policy is not None and policy.require_sandbox for policy in policies)


def effective(global_policy: PermissionPolicy | None, session_policy: PermissionPolicy | None) -> PermissionPolicy:
    """The policy whose allow and ask rules and default count: the session's, else the global one, else ask."""
    return session_policy or global_policy or _DEFAULT
