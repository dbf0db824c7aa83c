"""Questions that nobody answers: their time is over, or the turn that asked them ends. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from actors.domain import records as r
from actors.domain.actions import Resolution
from actors.domain.policies import TimeoutAction
from actors.domain.records import Draft
from actors.session.state import State
from actors.session.turn import Turn


def expired(state: State, turn: Turn) -> Iterator[Draft]:
    """Resolutions of actions whose time is over, by the policy in force now."""
    policy = state.config.confirmation
    approve = policy.timeout_action is TimeoutAction.auto_approve
    for action in state.actions:
        if action.action_id in state.expired:
            taken = "auto_approved" if approve else "rejected"
            data = r.ActionResolved.Data(
                action_id=action.action_id,
                resolution=Resolution.approve if approve else Resolution.reject,
                by="timeout",
                reason=f"the approval timed out and was {taken}",
            )
            yield Draft(r.ActionResolved, data, turn.turn_id)


def given_up(state: State, turn: Turn, reason: str) -> Iterator[Draft]:
    """Nobody is asked any longer."""
    for action in state.actions:
        data = r.ActionResolved.Data(
            action_id=action.action_id, resolution=Resolution.cancelled, by="cancel", reason=reason
        )
        yield Draft(r.ActionResolved, data, turn.turn_id)
