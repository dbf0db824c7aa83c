"""How many session actors are started and ended, and where they go."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.policy.warmth import Crowd, NodeRoom, SeatLimits, node_for, to_end, to_start

LIMITS = SeatLimits(least=2, most=8, per_seat=1, spare=2, starts=2)

COUNT = st.integers(0, 20)
CROWDS = st.builds(
    Crowd,
    seats=COUNT,
    retiring=st.just(0),
    blank=COUNT,
    free=COUNT,
    starting=COUNT,
    waiting=COUNT,
    rising=st.booleans(),
)


@pytest.mark.parametrize(
    ("crowd", "wanted"),
    [
        pytest.param(Crowd(), 2, id="the least of them start before anybody asks"),
        pytest.param(Crowd(starting=2), 0, id="what is on its way is not started again"),
        pytest.param(Crowd(seats=2, blank=2, free=2), 0, id="nobody comes, nothing is started"),
        pytest.param(Crowd(seats=2, blank=1, free=1, rising=True), 1, id="spare places are made while sessions come"),
        pytest.param(Crowd(seats=4, rising=True), 2, id="two at a time"),
        pytest.param(Crowd(seats=4, waiting=9, starting=1), 1, id="two at a time, those on their way counted"),
        pytest.param(Crowd(seats=8, waiting=9, rising=True), 0, id="never more than there may be"),
        pytest.param(Crowd(seats=8, retiring=1, waiting=1), 1, id="one that retires is replaced ahead of its end"),
        pytest.param(Crowd(seats=8, waiting=3, alone=3), 1, id="one that is to be alone comes on top"),
        pytest.param(Crowd(seats=9, retiring=1, waiting=2, alone=2), 0, id="and only one at a time"),
        pytest.param(Crowd(seats=3, free=2, waiting=1, alone=1), 1, id="places beside others do not do for it"),
    ],
)
def test_what_is_started(crowd: Crowd, wanted: int) -> None:
    assert to_start(crowd, LIMITS) == wanted


def test_a_seat_for_many_is_not_started_while_another_has_room() -> None:
    dense = SeatLimits(most=8, per_seat=50, spare=2)
    assert to_start(Crowd(seats=1, free=49, rising=True), dense) == 0
    assert to_start(Crowd(seats=1, free=1, rising=True), dense) == 1
    assert to_start(Crowd(seats=1, waiting=60), dense) == 2


def test_blank_seats_are_ended_after_a_quiet_time_down_to_the_least() -> None:
    assert to_end(Crowd(seats=6, blank=5, free=5), LIMITS) == 4
    assert to_end(Crowd(seats=6, blank=1, free=1), LIMITS) == 1
    assert to_end(Crowd(seats=6, blank=5, free=5, rising=True), LIMITS) == 0
    assert to_end(Crowd(seats=6, waiting=1), LIMITS) == 0


@given(CROWDS)
def test_the_bounds_hold_whatever_the_crowd(crowd: Crowd) -> None:
    started, ended = to_start(crowd, LIMITS), to_end(crowd, LIMITS)
    assert started == 0 or crowd.seats + crowd.starting + started <= LIMITS.most
    assert started == 0 or crowd.starting + started <= LIMITS.starts
    assert ended == 0 or crowd.seats - ended >= LIMITS.least
    assert started == 0 or ended == 0 or crowd.seats < LIMITS.least


def test_session_actors_spread_over_the_nodes_by_the_room_they_have() -> None:
    nodes = [NodeRoom("large", 100), NodeRoom("small", 10), NodeRoom("none", 0)]
    seats: dict[str, int] = {}
    for _ in range(55):
        node = node_for(nodes, seats)
        assert node is not None
        seats[node] = seats.get(node, 0) + 1
    assert seats == {"large": 50, "small": 5}


def test_where_no_node_has_room_the_scheduler_decides() -> None:
    assert node_for([NodeRoom("full", 1)], {"full": 1}) is None
    assert node_for([], {}) is None
