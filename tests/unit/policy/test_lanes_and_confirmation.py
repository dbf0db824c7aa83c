from __future__ import annotations

import pytest

from actors.domain.policies import ConfirmationPolicy, SessionLane
from actors.policy.confirmation import is_yolo, requires_confirmation
from actors.policy.lanes import lane_of


@pytest.mark.parametrize("name", ["read", "glob", "ls", "grep", "list_files", "search"])
def test_tools_that_look_are_in_the_query_lane(name: str) -> None:
    assert lane_of(name, {}) is SessionLane.query


@pytest.mark.parametrize(
    "name", ["bash", "write", "edit", "delete", "move", "copy", "execute", "unknown", "mcp__a__read", "Read"]
)
def test_all_other_tools_are_in_the_execute_lane(name: str) -> None:
    assert lane_of(name, {}) is SessionLane.execute


def test_working_trees_are_looked_at_in_the_query_lane_and_made_in_the_other() -> None:
    lanes = {name: lane_of("git_worktree", {"command": name}) for name in ("list", "status", "create", "remove")}
    assert {name for name, lane in lanes.items() if lane is SessionLane.query} == {"list", "status"}
    assert lane_of("git_worktree", {"command": ["list"]}) is lane_of("git_worktree", {}) is SessionLane.execute


def test_lanes_are_ordered_by_urgency() -> None:
    assert [lane.priority for lane in SessionLane] == [0, 1, 2, 3]
    assert list(SessionLane) == [SessionLane.control, SessionLane.query, SessionLane.execute, SessionLane.generate]


def test_the_plain_policy_asks_about_every_tool() -> None:
    assert all(requires_confirmation(ConfirmationPolicy(), name, {}) for name in ("bash", "read", "unknown"))


def test_the_explicit_choice_to_approve_all_asks_about_none() -> None:
    assert all(is_yolo(ConfirmationPolicy.auto_approve_all(), name, {}) for name in ("bash", "read", "unknown"))


def test_a_free_lane_frees_its_tools_and_no_others() -> None:
    policy = ConfirmationPolicy(yolo_lanes=frozenset({SessionLane.execute}))
    both = ConfirmationPolicy(yolo_lanes=frozenset({SessionLane.execute, SessionLane.query}))

    assert is_yolo(policy, "bash", {}) and is_yolo(policy, "write", {})
    assert requires_confirmation(policy, "read", {})
    assert is_yolo(both, "read", {}) and is_yolo(both, "bash", {})
