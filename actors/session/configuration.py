"""What a command that changes the configuration means: the records it causes, or why it is refused. Pure."""

from __future__ import annotations

from pydantic import ValidationError

from actors.domain import commands as c
from actors.domain import records as r
from actors.domain.records import Draft
from actors.errors import InvalidRequest, SessionEnded
from actors.session import credentials
from actors.session.state import State


def configure(state: State, command: c.Configure) -> list[Draft]:
    """Change the fields that are set; a model that is given with its key is waited for no longer."""
    if state.lifecycle.ended:
        raise SessionEnded(state.session_id, state.lifecycle.value)
    values = {name: getattr(command, name) for name in command.set_fields}
    try:
        changed = state.config.changed(**values)
    except ValidationError as exc:
        why = exc.errors()[0]["msg"].removeprefix("Value error, ")
        raise InvalidRequest(f"Configuration refused: {why}.") from None
    drafts = [*credentials.given(state)] if "model" in command.set_fields else []
    if changed == state.config:
        return drafts
    data = r.SessionConfigured.Data(change=command.model_copy(update={"fresh": False}))
    return [Draft(r.SessionConfigured, data), *drafts]


MAX_POLICY_BYTES = 64 * 1024
"""Largest policy that rules can be added to: it is written down whole with each change."""


def add_rule(state: State, command: c.AddPermissionRule) -> list[Draft]:
    """Change the permission policy by one rule."""
    policy = state.config.permissions.with_rule(command.decision, command.rule.text)
    if len(policy.model_dump_json()) > MAX_POLICY_BYTES:
        raise InvalidRequest("The permission policy is full. Replace it by one with fewer, wider rules.")
    fields = ("permission_policy",)
    return configure(state, c.Configure(command_id=command.command_id, permission_policy=policy, set_fields=fields))


def set_lane_handler(state: State, command: c.SetLaneHandler) -> list[Draft]:
    """Change who carries out the calls of a lane."""
    queue = state.config.queue.with_handler(command.lane, command.handler)
    change = c.Configure(command_id=command.command_id, queue_config=queue, set_fields=("queue_config",))
    return configure(state, change)
