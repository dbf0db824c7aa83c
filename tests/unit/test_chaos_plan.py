"""The few faults that are part of every test run are of all kinds, and hit all kinds of actors."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import pytest

from tests.chaos.plan import FEW, FEW_OF_NODES, FEW_OVER_HTTP, KINDS, NODE_TARGETS, WEB_TARGETS, Planned, planned


def _first(seed: int, among: Sequence[str]) -> list[Planned]:
    return list(islice(planned(seed, among), FEW))


@pytest.mark.parametrize(("seed", "among"), [(FEW_OF_NODES, NODE_TARGETS), (FEW_OVER_HTTP, WEB_TARGETS)])
def test_each_kind_of_actor_is_hit(seed: int, among: Sequence[str]) -> None:
    assert {one.target for one in _first(seed, among)} == set(among)


def test_each_kind_of_fault_comes() -> None:
    faults = _first(FEW_OF_NODES, NODE_TARGETS) + _first(FEW_OVER_HTTP, WEB_TARGETS)
    assert {one.kind for one in faults} == KINDS.keys()


def test_the_same_seed_plans_the_same() -> None:
    assert _first(7, NODE_TARGETS) == _first(7, NODE_TARGETS) != _first(8, NODE_TARGETS)
