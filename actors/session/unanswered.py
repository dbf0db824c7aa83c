"""Questions that nobody answers: their time is over, or the turn that asked them ends. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from actors.domain import records as r
from actors.domain.actions import Action, ActionKind, Resolution
from actors.domain.policies import ConfirmationPolicy, TimeoutAction
from actors.domain.records import Draft
from actors.session.state import State
from actors.session.turn import Turn


def expired(state: State, turn: Turn) -> Iterator[Draft]:
    """Resolutions of actions whose time is over, by the policy in force now."""
    for action in state.actions:
        if action.action_id in state.expired:
            resolution, reason = _by_time(action, state.config.confirmation)
            data = r.ActionResolved.Data(action_id=action.action_id, resolution=resolution, by="timeout", reason=reason)
            yield Draft(r.ActionResolved, data, turn.turn_id)


def _by_time(action: Action, policy: ConfirmationPolicy) -> tuple[Resolution, str]:
    if action.kind is ActionKind.input:
        return Resolution.cancel, "nobody answered in time"
    if action.kind is ActionKind.injection:
        return Resolution.reject, "nobody looked at the result in time"
    if policy.timeout_action is TimeoutAction.auto_approve:
        return Resolution.approve, "the approval timed out and was auto_approved"
    return Resolution.reject, "the approval timed out and was rejected"


def given_up(state: State, turn: Turn, reason: str) -> Iterator[Draft]:
    """Nobody is asked any longer."""
    for action in state.actions:
        data = r.ActionResolved.Data(
            action_id=action.action_id, resolution=Resolution.cancelled, by="cancel", reason=reason
        )
        yield Draft(r.ActionResolved, data, turn.turn_id)
