"""Whether a call that the permission policy asks about has to wait for a person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from actors.domain.policies import ConfirmationPolicy
from actors.policy.lanes import lane_of


def requires_confirmation(policy: ConfirmationPolicy, tool_name: str, args: Mapping[str, Any]) -> bool:
    """False when the policy is off (``auto_approve_all``) or frees the call's lane."""
    return policy.enabled and lane_of(tool_name, args) not in policy.yolo_lanes


def is_yolo(policy: ConfirmationPolicy, tool_name: str, args: Mapping[str, Any]) -> bool:
    """The opposite of ``requires_confirmation``."""
    return not requires_confirmation(policy, tool_name, args)
