"""Decisions and the policies that make them."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from actors.domain.actions import Remember, Resolution
from actors.domain.permissions import PermissionDecision, PermissionPolicy
from actors.domain.policies import ConfirmationPolicy
from serve_app.schemas.base import Answer, Body


class ResolveAction(Body):
    """A decision.

    Attributes:
        args: Other arguments to run the call with (approve only).
        value: The result to give the model (answer only).
        content: What the form says that a tool asks to be filled (accept only).
        args_digest: The digest of the arguments the decider saw; refused when they are others.
        remember: Also for calls just like it (``session``), or for all of its kind (``rule``), as a permission rule.
        rule: With ``rule``: the text of the rule instead.
    """

    resolution: Resolution
    args: dict[str, Any] | None = None
    value: str | None = None
    content: dict[str, Any] | None = None
    reason: str | None = Field(default=None, max_length=4096)
    args_digest: str | None = None
    remember: Remember = Remember.once
    rule: str | None = Field(default=None, min_length=1, max_length=1024)


class Policies(Answer):
    """Both policies of a session, as in force."""

    permission: PermissionPolicy
    confirmation: ConfirmationPolicy


class SetPolicies(Body):
    """New policies; one that is left out stays. A ``permission`` of null leaves the session the runtime's policy."""

    permission: PermissionPolicy | None = None
    confirmation: ConfirmationPolicy | None = None


class CheckPermission(Body):
    """A call that is only asked about, not made."""

    tool: str = Field(min_length=1, max_length=256)
    args: dict[str, Any] = {}


class AddRule(Body):
    """One rule more for a session's permission policy."""

    kind: PermissionDecision
    rule: str = Field(min_length=1, max_length=1024)


class TryPolicy(Body):
    """A permission policy that is only tried on what was called before."""

    policy: PermissionPolicy
    after: int = Field(default=0, ge=0)
    limit: int = Field(default=100, ge=1, le=1000)


class Decision(Answer):
    """What the permission policy says."""

    decision: PermissionDecision
