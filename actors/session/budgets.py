"""A session and its budget: what it has left, when it asks for more, and when it gives back what it was lent. Pure.

Amounts are decided by ``actors.policy.budgets``. A call begins only while something is left of what it takes; what it
took is counted when its record is. So the last one may go beyond a bound, and nothing else does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from decimal import Decimal
from typing import Any

from pydantic import ValidationError

from actors.domain import records as r
from actors.domain.actions import NO_CALL, Action, ActionKind, Resolution
from actors.domain.budgets import NOTHING, Amounts, Bounds, Budget, BudgetStanding, Resource
from actors.domain.command import digest_of_json
from actors.domain.ids import derived_id, letter_id
from actors.domain.journal import OutboxRow
from actors.domain.letters import ReturnLease
from actors.domain.records import Draft
from actors.errors import BudgetExceeded, InvalidRequest
from actors.policy import budgets as policy
from actors.policy.budgets import FOR_MODEL, FOR_TOOLS, UNPRICED
from actors.session.state import State
from actors.session.tool_call import ToolCallState
from actors.session.turn import Stage, Turn

_UNBOUNDED = Bounds()

# --- what there is ---------------------------------------------------------------------------------------------------


def used(state: State) -> Amounts:
    """What the session took itself. A fork begins with nothing: what its source took is counted there."""
    return Amounts(
        tokens=state.usage.total_tokens - state.inherited_usage.total_tokens,
        usd=state.cost - state.inherited_cost,
        tool_calls=state.account.tool_calls,
        wall_s=state.account.worked_us // 1000 / 1000,
    )


def total(state: State) -> Bounds:
    """The bounds in force."""
    if state.config.budget is None:
        return _UNBOUNDED
    return policy.in_force(state.config.budget, state.account.raised)


def left(state: State) -> dict[Resource, Decimal]:
    """What is left of what is bounded; less than nothing where a last call took more than there was."""
    bounds = total(state)
    if bounds is _UNBOUNDED:
        return {}
    account = state.account
    return policy.left_of(bounds, used(state) + account.leased + account.returned)


def standing(state: State) -> BudgetStanding | None:
    """How the session stands with its budget, for the store and for people; None when it has nothing to do with one."""
    account, configured = state.account, state.config.budget
    if not (configured and configured.bounds) and account.lease is None and account.leased == NOTHING:
        return None
    return BudgetStanding(
        budget=total(state),
        raised=account.raised,
        unpriced=account.unpriced,
        used=used(state),
        leased=account.leased,
        returned=account.returned,
        remaining=Bounds.of(left(state)),
        lease=account.lease,
        due=_due(state),
    )


def anew(there: BudgetStanding | None) -> BudgetStanding | None:
    """How a fork stands, from how its source does: it has the configured budget, and has taken nothing."""
    if there is None:
        return None
    granted = there.raised.each
    bounds = {one: bound - granted[one] for one, bound in there.budget.bounds.items()}
    budget = Bounds.of(bounds)
    return BudgetStanding(budget=budget, remaining=budget) if bounds else None


# --- asking ----------------------------------------------------------------------------------------------------------


def pending(state: State) -> Action | None:
    """The question that the session has asked about its budget."""
    return next((action for action in state.actions if action.kind is ActionKind.budget), None)


def is_used_up(state: State, wanted: Collection[Resource]) -> bool:
    """Whether nothing is left of something that a call takes."""
    return bool(policy.reached(left(state), wanted))


def held(state: State, turn: Turn, wanted: Collection[Resource]) -> Iterator[Draft]:
    """What has to be written before a call may begin that a budget holds: the question, once."""
    there = left(state)
    over = policy.reached(there, wanted)
    if not over or pending(state) is not None:
        return
    bounds = total(state)
    detail = policy.sentence(bounds, there, over)
    reached = r.SessionBudgetReached.Data(resources=over, budget=bounds, used=used(state), leased=state.account.leased)
    yield Draft(r.SessionBudgetReached, reached, turn.turn_id)
    raising = policy.asked(state.config.budget, there, over).model_dump(mode="json", exclude_none=True)
    data = r.ActionRequested.Data(
        action_id=derived_id("act_", state.journal_id, turn.turn_id, "budget", state.seq),
        kind=ActionKind.budget,
        index=NO_CALL,
        tool_use_id="",
        tool="",
        args=raising,
        args_digest=digest_of_json(raising),
        detail=detail,
    )
    yield Draft(r.ActionRequested, data, turn.turn_id)


class Purse:
    """Lets tool calls of a round begin, one after the other, for as long as the budget has something for them."""

    def __init__(self, state: State) -> None:
        self._left = {one: value for one, value in left(state).items() if one in FOR_TOOLS}

    def admits(self, call: ToolCallState) -> bool:
        """Whether the call may begin; from then on it counts. One that has begun before counts already."""
        if call.attempt:
            return True
        if any(value <= 0 for value in self._left.values()):
            return False
        if Resource.tool_calls in self._left:
            self._left[Resource.tool_calls] -= 1
        return True


def settled(state: State, turn: Turn) -> Iterator[Draft]:
    """The end of a question that has become pointless: there is something left again, or nobody wants it any more."""
    action = pending(state)
    if action is None or UNPRICED in action.args:
        return
    wanted = FOR_TOOLS if turn.stage is Stage.tools else FOR_MODEL
    if turn.for_model is not None:
        wanted = FOR_TOOLS | FOR_MODEL
    if not is_used_up(state, [one for one in map(Resource, action.args) if one in wanted]):
        data = r.ActionResolved.Data(
            action_id=action.action_id,
            resolution=Resolution.cancelled,
            by="budget",
            reason="what was asked for is there again, or not needed any more",
        )
        yield Draft(r.ActionResolved, data, turn.turn_id)


def answered(state: State, action: Action, data: r.ActionResolved.Data) -> Iterator[Draft]:
    """What follows the answer to the question: nothing when it grants more, else the end of the turn.

    Raises:
        InvalidRequest: what is granted is no budget, or too little to go on with.
    """
    if data.resolution is Resolution.approve and UNPRICED in action.args:
        if data.args is not None:
            raise InvalidRequest("There is no amount to grant here: approve to go on without counting money.")
    elif data.resolution is Resolution.approve:
        granted = _granted(action, data.args)
        over = [Resource(name) for name in action.args]
        why = policy.too_little(granted, left(state), over) or policy.too_much(granted, total(state))
        if why is not None:
            raise InvalidRequest(why)
    else:
        yield _end(action, data.reason)


def _granted(action: Action, args: Mapping[str, Any] | None) -> Bounds:
    """What is granted: as much as the session asked for, unless the answer says otherwise."""
    if args is None:
        return Bounds.model_validate(action.args)
    try:
        return Budget.model_validate(args)
    except ValidationError as exc:
        problem = exc.errors(include_url=False)[0]
        raise InvalidRequest(f"args are what is granted: {problem['loc'][0]}: {problem['msg']}.") from None


def _end(action: Action, reason: str | None) -> Draft:
    because = f" Reason: {reason}" if reason else ""
    ending = r.TurnCancelling.Data(reason=action.detail + because, then="failed", code=BudgetExceeded.__name__)
    return Draft(r.TurnCancelling, ending, action.turn_id)


# --- leases ----------------------------------------------------------------------------------------------------------


def _due(state: State) -> Amounts | None:
    """What goes back to the parent when the lease ends now; None when nothing is owed."""
    account = state.account
    if account.lease is None or account.lease_ended:
        return None
    return policy.given_back(account.lease.amounts, total(state), used(state) + account.leased)


def lease_over(state: State) -> Draft | None:
    """The end of the lease, once what it was for is done and no turn is open; None while it goes on."""
    lease, due = state.account.lease, _due(state)
    if lease is None or due is None or state.turn is not None:
        return None
    done = state.lifecycle.ended or (lease.for_task and state.task is None)
    return Draft(r.LeaseEnded, r.LeaseEnded.Data(amounts=due)) if done else None


def letter(before: State, record: r.LeaseEnded | r.LeaseReturned) -> OutboxRow | None:
    """What goes back to the parent with this record: what is left of the lease, or what came back after its end."""
    lease = before.account.lease
    if lease is None or (isinstance(record, r.LeaseReturned) and not before.account.lease_ended):
        return None
    amounts = policy.within_lease(lease.amounts, record.data.amounts)
    command = ReturnLease(
        command_id=letter_id(before.journal_id, record.seq), child_journal_id=before.journal_id, amounts=amounts
    )
    parent, *above = lease.lenders
    return OutboxRow(record.seq, parent, command.model_dump_json().encode(), heirs=tuple(above))
