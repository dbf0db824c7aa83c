"""Sharing out and giving back, whatever the amounts: nothing is made of it, and nothing is less than nothing."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from actors.domain.budgets import MAX_AMOUNT, Amounts, Bounds, Budget, Resource
from actors.policy.budgets import asked, given_back, left_of, reached, shares, taken_back, too_little, too_much

_TOKENS = st.integers(0, 10_000)
_USD = st.decimals(0, 100, places=6)
_BUDGETS = st.builds(
    Budget, tokens=st.none() | _TOKENS, usd=st.none() | _USD, tool_calls=st.none() | st.integers(0, 50)
)
_SPENT = st.builds(Amounts, tokens=_TOKENS, usd=_USD, tool_calls=st.integers(0, 50))


@given(_BUDGETS, _SPENT, st.lists(st.none() | _BUDGETS, min_size=1, max_size=9))
def test_children_together_never_get_more_than_is_left_and_each_is_bounded_in_what_its_parent_is(
    total: Budget, spent: Amounts, wanted: list[Budget | None]
) -> None:
    left = left_of(total, spent)
    parts = shares(left, wanted)
    if isinstance(parts, str):
        assert "left" in parts
        return
    for resource, there in left.items():
        got = [part.bounds[resource] for part in parts]
        assert sum(got) <= max(there, Decimal(0))
    for part, named in zip(parts, wanted, strict=True):
        assert all(part.bounds[one] == bound for one, bound in (named or Budget()).bounds.items())


@given(_BUDGETS, _SPENT, _BUDGETS)
def test_a_lease_gives_back_at_most_itself_and_pays_for_what_was_taken(
    lease: Budget, spent: Amounts, total: Budget
) -> None:
    back = given_back(lease, total, spent)
    for resource, lent in lease.bounds.items():
        bound = max(total.bounds.get(resource, lent), lent)
        assert back.each[resource] <= lent
        # What neither it nor what people granted on top covers is the parent's to pay; nothing is counted twice.
        expected = max(lent - spent.each[resource], Decimal(0))
        over = min(bound - spent.each[resource], Decimal(0)) if resource in total.bounds else Decimal(0)
        assert back.each[resource] == expected + over
    assert all(back.each[one] == 0 for one in Resource if one not in lease.bounds)


@given(st.decimals(0, 10, places=12), st.decimals(0, 10, places=20), st.integers(0, 10**12), st.integers(0, 10**13))
def test_what_a_session_asks_for_can_be_granted_and_helps_whatever_a_model_costs(
    usd: Decimal, spent: Decimal, tokens: int, taken: int
) -> None:
    budget = Budget(usd=usd, tokens=tokens)
    left = left_of(budget, Amounts(usd=usd + spent, tokens=taken))
    wanted = asked(budget, left, reached(left, list(Resource)))

    assert Budget.model_validate_json(wanted.model_dump_json()) == wanted
    if taken <= MAX_AMOUNT // 2 and tokens <= MAX_AMOUNT // 2:
        assert too_little(wanted, left, list(wanted.bounds)) is None


def test_a_bound_that_nobody_has_any_more_is_granted_without_anything() -> None:
    assert too_little(Budget(tool_calls=3), {Resource.tool_calls: Decimal(5)}, [Resource.tokens]) is None


def test_a_budget_is_not_raised_beyond_what_can_be_written_down() -> None:
    total = Bounds(tokens=MAX_AMOUNT - 5)
    assert too_much(Budget(tokens=5), total) is None
    assert "at most 5." in str(too_much(Budget(tokens=6), total))


@given(_SPENT, _SPENT)
def test_what_is_lent_out_is_never_less_than_nothing(leased: Amounts, returned: Amounts) -> None:
    assert min(taken_back(leased, returned).each.values()) >= 0
