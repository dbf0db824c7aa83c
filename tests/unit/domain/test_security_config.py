"""Patterns of users are refused where they are given, unless the time for them is bounded."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from actors.domain.security import OnInjection, Secret, SecurityConfig


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("(a+)+$", "cannot be followed from its character 1"),
        ("TKT-(1|2)", "cannot be followed from its character 5"),
        (r"a\1", "cannot be followed"),
        ("a(?=b)", "cannot be followed"),
        ("[a-", "cannot be followed"),
        ("[z-a]", "class that cannot be read"),
        (".*", "nothing at all"),
        (r"\b", "nothing at all"),
        ("a{0}", "or never"),
        ("a{9,3}", "or never"),
        ("a{999}", "more than 256 times"),
        ("a{200}b{200}", "fits 400 characters"),
    ],
)
def test_a_pattern_that_says_more_than_can_be_followed_is_refused_with_the_reason(pattern: str, why: str) -> None:
    with pytest.raises(ValidationError, match="pattern TICKET") as refused:
        SecurityConfig(patterns={"TICKET": pattern})

    assert why in str(refused.value)


def test_patterns_that_fit_too_much_together_are_refused() -> None:
    with pytest.raises(ValidationError, match="1280 characters together"):
        SecurityConfig(patterns={f"P{number}": "[ab]{256}" for number in range(5)})


def test_what_either_of_two_withholds_is_withheld_where_both_count() -> None:
    own = SecurityConfig(kinds=(Secret.phone,), patterns={"A": "a", "B": "b"}, on_injection=OnInjection.block)
    above = SecurityConfig(kinds=(Secret.email,), patterns={"B": "c"})

    both = own.within(above)

    assert set(both.kinds) == {Secret.email, Secret.phone}
    assert both.patterns == {"A": "a", "B": "c"}
    assert both.on_injection is OnInjection.block
    assert own.within(SecurityConfig(enabled=False)) == own
    assert SecurityConfig(enabled=False).within(above) == above
