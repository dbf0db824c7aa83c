"""The meaning of the records about budgets and leases, and what of a session's work counts as its time.

Pure, as ``actors.session.fold``, which dispatches to these.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from actors.domain import records as r
from actors.domain.actions import Action, Resolution
from actors.domain.budgets import Amounts, Bounds
from actors.policy.budgets import UNPRICED, taken_back, within_lease
from actors.session.fold_calls import change_turn, open_turn
from actors.session.state import State

_MICROSECOND = timedelta(microseconds=1)


def change_account(state: State, **changes: Any) -> State:
    """A copy of the state with other values in its account."""
    return state.model_copy(update={"account": state.account.model_copy(update=changes)})


def worked(state: State, record: r.RecordBase) -> State:
    """The state with the time until the record counted, when a turn was at work in it."""
    turn = state.turn
    if turn is None or turn.waiting_since is not None or state.updated_at is None:
        return state
    passed = (record.at - state.updated_at) // _MICROSECOND
    return change_account(state, worked_us=state.account.worked_us + passed) if passed > 0 else state


def tool_began(state: State, record: r.ToolCallStarted) -> State:
    """Another attempt of a call is no other call."""
    if record.data.attempt > 1:
        return state
    return change_account(state, tool_calls=state.account.tool_calls + 1)


def reached(state: State, _: r.SessionBudgetReached) -> State:
    """That nothing is left follows from what was taken; the record is for those who follow the session."""
    return state


def decided(state: State, action: Action, data: r.ActionResolved.Data) -> State:
    """There is as much more as was granted. What a rejection leads to stands in the next record."""
    if UNPRICED in action.args:
        return _price_decided(state, str(action.args[UNPRICED]), data.resolution)
    if data.resolution is not Resolution.approve:
        return state
    granted = Bounds.model_validate(data.args if data.args is not None else action.args)
    return change_account(state, raised=state.account.raised + Amounts.of(granted.bounds))


def _price_decided(state: State, model: str, resolution: Resolution) -> State:
    """The model is asked once more, in the next attempt of the same call."""
    failure = open_turn(state).failure
    if resolution is Resolution.reject or failure is None:
        return state
    state = change_turn(state, failure=failure.model_copy(update={"retryable": True}))
    if resolution is not Resolution.approve:
        return state
    return change_account(state, unpriced=tuple(dict.fromkeys((*state.account.unpriced, model))))


def lease_granted(state: State, record: r.LeaseGranted) -> State:
    """A child has it."""
    return change_account(state, leased=state.account.leased + Amounts.of(record.data.amounts.bounds))


def lease_ended(state: State, record: r.LeaseEnded) -> State:
    """It is the parent's again."""
    returned = state.account.returned + record.data.amounts
    return change_account(state, lease_ended=True, returned=returned)


def lease_returned(state: State, record: r.LeaseReturned) -> State:
    """It is the session's again; or, once its own lease has ended, its parent's."""
    account, amounts = state.account, record.data.amounts
    state = change_account(state, leased=taken_back(account.leased, amounts))
    if account.lease is None or not account.lease_ended:
        return state
    return change_account(state, returned=account.returned + within_lease(account.lease.amounts, amounts))
