"""How much memory a session actor may take, and which session is taken for the cause."""

from __future__ import annotations

import pytest

from actors.policy.memory import MB, MemoryLimits, Weight, cause, weighed


@pytest.mark.parametrize(
    ("mb", "limits", "expected"),
    [
        pytest.param(60, MemoryLimits(256 * MB, 1024 * MB), Weight.fine, id="a blank one"),
        pytest.param(256, MemoryLimits(256 * MB, 1024 * MB), Weight.fine, id="at the bound"),
        pytest.param(257, MemoryLimits(256 * MB, 1024 * MB), Weight.heavy, id="beyond the first bound"),
        pytest.param(1025, MemoryLimits(256 * MB, 1024 * MB), Weight.too_heavy, id="beyond the second"),
        pytest.param(1025, MemoryLimits(256 * MB, 0), Weight.heavy, id="no second bound"),
        pytest.param(1025, MemoryLimits(0, 1024 * MB), Weight.too_heavy, id="no first bound"),
        pytest.param(1 << 20, MemoryLimits(), Weight.fine, id="no bound at all"),
    ],
)
def test_memory_is_compared_with_both_bounds(mb: int, limits: MemoryLimits, expected: Weight) -> None:
    assert weighed(mb * MB, limits) is expected


def test_of_those_at_work_the_one_that_holds_most_is_taken_for_the_cause() -> None:
    weights = {"idle": 9000, "small": 10, "large": 500}
    assert cause(weights, {"small", "large"}) == "large"
    assert cause(weights, set()) == "idle"
    assert cause({}, {"small"}) is None
