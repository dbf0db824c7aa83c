"""What is left of a budget, what of it children get and give back, and how much more is asked for. Exact, and pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from decimal import ROUND_DOWN, ROUND_UP, Decimal
from typing import Final

from actors.domain.budgets import MAX_AMOUNT, NOTHING, Amounts, Bounds, Budget, Resource

Left = Mapping[Resource, Decimal]
"""Of what is bounded, how much there is; less than nothing where a last call took more than there was."""

FOR_MODEL: Final = frozenset({Resource.tokens, Resource.usd, Resource.wall_s})
"""What a model call takes."""

FOR_TOOLS: Final = frozenset({Resource.tool_calls, Resource.wall_s})
"""What a tool call takes."""

UNPRICED: Final = "unpriced"
"""What a session asks about when nobody knows its model's price: the name of the argument that says which model."""

_GRAIN: Final = {
    Resource.tokens: Decimal(1),
    Resource.usd: Decimal("0.000001"),
    Resource.tool_calls: Decimal(1),
    Resource.wall_s: Decimal("0.001"),
}
"""What is shared out, or asked for, comes in multiples of these."""

_LEAST: Final = {
    Resource.tokens: Decimal(1000),
    Resource.usd: Decimal("0.1"),
    Resource.tool_calls: Decimal(1),
    Resource.wall_s: Decimal(60),
}
"""What a session asks for whose bound is nothing: a step at a time."""

_NAMES: Final = {
    Resource.tokens: "tokens",
    Resource.usd: "US dollars",
    Resource.tool_calls: "tool calls",
    Resource.wall_s: "seconds of work",
}


def in_force(budget: Bounds | None, raised: Amounts) -> Bounds:
    """The bounds, with what people granted on top."""
    if budget is None or raised == NOTHING:
        return budget or Bounds()
    granted = raised.each
    return Bounds.of({one: bound + granted[one] for one, bound in budget.bounds.items()})


def left_of(total: Bounds, spent: Amounts) -> dict[Resource, Decimal]:
    """What is left of what is bounded."""
    taken = spent.each
    return {one: bound - taken[one] for one, bound in total.bounds.items()}


def reached(left: Left, wanted: Collection[Resource]) -> tuple[Resource, ...]:
    """What of that which is wanted there is none left of."""
    return tuple(one for one, value in left.items() if one in wanted and value <= 0)


# --- asking ----------------------------------------------------------------------------------------------------------


def asked(budget: Budget | None, left: Left, over: Collection[Resource]) -> Budget:
    """What has to be granted so that there is as much again as the configured budget gives."""
    bounds = (budget or Budget()).bounds
    return Budget.of({one: _rounded(one, (bounds[one] or _LEAST[one]) - left[one], ROUND_UP) for one in over})


def too_little(granted: Bounds, left: Left, over: Collection[Resource]) -> str | None:
    """Why this does not help a session that asks, as a sentence; None when it does."""
    given = granted.bounds
    unbounded = [one for one in given if one not in left]
    if unbounded:
        return f"The session has no bound of {_listed(unbounded)}: there is nothing to raise."
    for one in over:
        # What was asked for may not be bounded any more: then nobody needs to grant it.
        if one in left and given.get(one, Decimal(0)) + left[one] <= 0:
            return f"That leaves no {_NAMES[one]}: grant more than {_number(-left[one])}."
    return None


def too_much(granted: Bounds, total: Bounds) -> str | None:
    """Why the bounds in force cannot be raised by this, as a sentence; None when they can."""
    bounds = total.bounds
    for one, value in granted.bounds.items():
        if bounds.get(one, Decimal(0)) + value > MAX_AMOUNT:
            most = max(MAX_AMOUNT - bounds.get(one, Decimal(0)), Decimal(0))
            return f"A budget has at most {_number(Decimal(MAX_AMOUNT))} {_NAMES[one]}: grant at most {_number(most)}."
    return None


def sentence(total: Bounds, left: Left, over: Sequence[Resource]) -> str:
    """What was reached, for people."""
    bounds = total.bounds
    parts = (f"{_number(bounds[one] - left[one])} of {_number(bounds[one])} {_NAMES[one]}" for one in over)
    return f"The budget is used up: {', '.join(parts)}, with what children have."


def _listed(resources: Sequence[Resource]) -> str:
    return ", ".join(_NAMES[one] for one in resources)


def _number(value: Decimal) -> str:
    return format(value.normalize(), ",f") if value else "0"


# --- lending ---------------------------------------------------------------------------------------------------------


def shares(left: Left, wanted: Sequence[Budget | None]) -> list[Budget] | str:
    """What each new child gets; or, as a sentence, why they cannot all get what they are to get.

    A child gets the bounds it asks for. Where it names none and its parent has one, it gets an equal share of what is
    left after that, the parent itself counted as one more.
    """
    given = [dict((one or Budget()).bounds) for one in wanted]
    for resource, there in left.items():
        named = sum((bounds.get(resource, Decimal(0)) for bounds in given), Decimal(0))
        if named > max(there, Decimal(0)):
            return (
                f"The children would have {_number(named)} {_NAMES[resource]}, and the session has "
                f"{_number(max(there, Decimal(0)))} left. Give them less, or raise its budget."
            )
        others = [bounds for bounds in given if resource not in bounds]
        share = _share(resource, there - named, len(others) + 1)
        if others and not share and resource in FOR_MODEL:
            return f"The session has no {_NAMES[resource]} left to give to children. Raise its budget."
        for bounds in others:
            bounds[resource] = share
    return [Budget.of(bounds) for bounds in given]


def _share(resource: Resource, there: Decimal, parts: int) -> Decimal:
    return max(_rounded(resource, there / parts, ROUND_DOWN), Decimal(0))


def _rounded(resource: Resource, value: Decimal, how: str) -> Decimal:
    """A value that a budget may have: whole grains, and no more than the most."""
    grain = _GRAIN[resource]
    return min((value / grain).to_integral_value(how) * grain, Decimal(MAX_AMOUNT))


def given_back(lease: Bounds, total: Bounds, spent: Amounts) -> Amounts:
    """What of a lease goes back when it ends.

    The lease is used first, then what people granted on top, which stays. Less than nothing goes back when more was
    taken than both: the parent's budget pays for that.
    """
    taken, bounds = spent.each, total.bounds
    back: dict[Resource, Decimal] = {}
    for one, lent in lease.bounds.items():
        unused = max(lent - taken[one], Decimal(0))
        over = min(max(bounds[one], lent) - taken[one], Decimal(0)) if one in bounds else Decimal(0)
        back[one] = unused + over
    return Amounts.of(back)


def within_lease(lease: Bounds, amounts: Amounts) -> Amounts:
    """What of these amounts is of the lease."""
    return Amounts.of({one: value for one, value in amounts.each.items() if one in lease.bounds})


def taken_back(leased: Amounts, returned: Amounts) -> Amounts:
    """What is lent out once this came back: never less than nothing."""
    back = returned.each
    return Amounts.of({one: max(value - back[one], Decimal(0)) for one, value in leased.each.items()})
