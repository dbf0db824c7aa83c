"""Families of sessions: a child may never do more than those above it, they stay of a size, and end together."""

from __future__ import annotations

import asyncio
import json

import pytest

from actors.domain import records as r
from actors.domain.children import ChildOutcome, ChildSpec
from actors.domain.permissions import PermissionDecision, PermissionMode, PermissionPolicy
from actors.domain.policies import ConfirmationPolicy, SessionLane, TimeoutAction
from actors.domain.session import PolicyBound, SessionConfig
from actors.errors import InvalidRequest
from tests.unit.local.runtimes import asking, config, record_of, records, result_texts, runtime, says
from tests.unit.local.test_children import HOLD, MODEL, Held, lines, spawn

_OPEN = SessionConfig(
    permission_policy=PermissionPolicy.permissive(), confirmation_policy=ConfirmationPolicy.auto_approve_all()
)


async def test_a_child_with_wider_policies_is_asked_what_its_parent_is_asked() -> None:
    async with runtime(llm=MODEL) as manager:
        await manager.create_session("p", asking())
        (child,) = await manager.spawn_many("p", [ChildSpec(prompt="/tool ls {}", session_id="c", config=_OPEN)])

        asked = await record_of(child, r.ActionRequested)

        assert asked.data.tool == "ls"
        assert await manager.check_permission("c", "ls", {}) is PermissionDecision.ask


async def test_a_child_whose_policy_is_widened_later_stays_within_those_above_it() -> None:
    denying = PermissionPolicy(allow=["ls", "write"], deny=["bash"])
    async with runtime() as manager:
        await manager.create_session("p", config(permission_policy=denying))
        await manager.create_child_session("p", "c")
        await manager.create_child_session("c", "g", SessionConfig(permission_policy=PermissionPolicy(allow=["ls"])))
        for name in ("c", "g"):
            await manager.set_permission_policy(name, PermissionPolicy(mode=PermissionMode.bypass))

        for name in ("c", "g"):
            said = [await manager.check_permission(name, tool, {"command": "ls"}) for tool in ("ls", "bash", "grep")]
            assert said == [PermissionDecision.allow, PermissionDecision.deny, PermissionDecision.ask]
        tried = await manager.dry_run_policy("g", PermissionPolicy.permissive())
        assert tried.calls == ()


async def test_the_confirmation_policies_of_a_family_are_taken_together() -> None:
    lanes = frozenset({SessionLane.query, SessionLane.execute})
    parent = ConfirmationPolicy(yolo_lanes=lanes, timeout_action=TimeoutAction.auto_approve)
    own = ConfirmationPolicy(yolo_lanes=frozenset({SessionLane.query, SessionLane.control}), default_timeout_ms=5)
    async with runtime() as manager:
        await manager.create_session("p", config(confirmation_policy=parent))
        await manager.create_child_session("p", "c", SessionConfig(confirmation_policy=own))
        together = await manager.get_confirmation_policy("c")
        await manager.set_confirmation_policy("c", ConfirmationPolicy.auto_approve_all())

        assert together.yolo_lanes == {SessionLane.query}
        assert (together.timeout_action, together.default_timeout_ms) == (TimeoutAction.reject, 5)
        assert await manager.get_confirmation_policy("c") == parent


async def test_a_family_is_not_nested_deeper_than_its_oldest_allows() -> None:
    async with runtime(llm=MODEL) as manager:
        await manager.create_session("p", config(max_depth=1))
        await manager.create_child_session("p", "c", SessionConfig(max_depth=32))

        with pytest.raises(InvalidRequest, match="max_depth"):
            await manager.create_child_session("c", "g")
        await manager.generate("c", lines(spawn("/say hello"), "/say over"))
        (refused,) = result_texts(await manager.history("c"))
        assert "max_depth" in refused
        assert await manager.get_child_sessions("c") == []


async def test_no_more_children_work_for_a_session_than_it_allows() -> None:
    held = Held()
    async with runtime(held.tool, llm=MODEL) as manager:
        parent = await manager.create_session("p", config(max_children=2))
        await parent.spawn_many([HOLD, "/say two"])
        await manager.wait_children("p", "first")
        with pytest.raises(InvalidRequest, match="max_children"):
            await parent.spawn_many(["/say three", "/say four"])
        await parent.spawn_many(["/say three"])
        await manager.create_child_session("p", "without-a-task")
        await manager.wait_children("p", 2)
        refused = await parent.generate(lines(spawn("a", "b", "c"), "/say over"))

        assert refused.text == "over"
        (denied,) = await records(parent, r.ToolCallDenied)
        assert denied.data.code == "child_limit"
        held.go.release()
        assert len(await manager.wait_children("p")) == 3


async def test_the_tree_tells_what_everybody_has_used() -> None:
    async with runtime(llm=MODEL) as manager:
        parent = await manager.create_session("p", config())
        await parent.generate(lines(spawn(lines(spawn("/say deep"), "/say middle"), "/say other"), "/say top"))

        tree = await manager.tree("p")

        assert (tree.sessions, len(tree.children), tree.session.session_id) == (4, 2, "p")
        rows = [tree.session, *(one.session for one in tree.children), tree.children[0].children[0].session]
        assert tree.usage.total_tokens == sum(row.usage.total_tokens for row in rows)
        assert [one.sessions for one in tree.children] == [2, 1]
        assert json.loads(tree.model_dump_json())["children"][0]["children"][0]["sessions"] == 1


async def test_a_family_is_destroyed_together_while_it_works() -> None:
    held = Held()
    async with runtime(held.tool, llm=MODEL) as manager:
        parent = await manager.create_session("p", config())
        await manager.create_session("stranger", config())
        await parent.send(lines(spawn(lines(spawn(HOLD), "/say never"), HOLD), "/say never"))
        await held.begun.wait()
        await manager.fork_session("p", "fork")

        destroying = asyncio.create_task(manager.destroy_session("p", cascade=True, command_id="k"))
        held.go.release()
        held.go.release()

        assert await destroying
        left = sorted(row.session_id for row in (await manager.list_sessions()).items)
        assert left == ["fork", "stranger"]
        assert await manager.destroy_session("p", cascade=True, command_id="k")
        assert not await manager.destroy_session("p", cascade=True)


async def test_a_destroyed_session_leaves_its_children_alone_unless_told_otherwise() -> None:
    async with runtime(llm=MODEL) as manager:
        await manager.create_session("p", config())
        await manager.spawn_many("p", [ChildSpec(prompt="/say one", session_id="c")])
        (result,) = await manager.wait_children("p")
        await manager.destroy_session("p")

        assert result.outcome is ChildOutcome.completed
        assert (await manager.generate("c", "/say still here")).text == "still here"


async def test_policies_that_do_not_fit_into_a_childs_first_record_are_refused_and_the_parent_goes_on() -> None:
    large = PermissionPolicy.permissive().with_rules("deny", [f"never{number:04}" + "x" * 900 for number in range(150)])
    async with runtime(llm=MODEL) as manager:
        parent = await manager.create_session("p", config(permission_policy=large))

        with pytest.raises(InvalidRequest, match="too large together"):
            await manager.create_child_session("p", "c")
        assert (await parent.generate(lines(spawn("/say hello"), "/say over"))).text == "over"
        (denied,) = await records(parent, r.ToolCallDenied)
        assert denied.data.code == "child_limit"


async def test_a_child_keeps_no_more_bounds_than_a_family_has_levels() -> None:
    many = tuple(PolicyBound(permission_policy=PermissionPolicy(deny=[f"t{number}"])) for number in range(32))
    async with runtime() as manager:
        await manager.create_session("p", config(says("yes")))
        with pytest.raises(InvalidRequest, match="bounds"):
            await manager.create_child_session("p", "c", SessionConfig(bounds=many))
        await manager.create_child_session("p", "d", SessionConfig(bounds=many[:31]))
        assert len((await manager.get_config("d")).bounds) == 32
