"""Who decides about a tool call: policies, people, time; and what becomes of a call that may have run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from actors.domain import records as r
from actors.domain.actions import Action, ActionKind
from actors.domain.ids import utc_now
from actors.domain.messages import ToolUseBlock
from actors.domain.permissions import PermissionPolicy
from actors.domain.policies import ConfirmationPolicy, SessionLane, TimeoutAction
from actors.errors import ActionNotFound, ActionSettled, InvalidRequest, TurnPending
from actors.handle import SessionHandle
from actors.session.state import State
from actors.tools.base import Tool
from actors.tools.function import tool
from tests.unit.local.runtimes import (
    asking,
    calls,
    config,
    record_of,
    records,
    result_texts,
    results,
    runtime,
    says,
    session,
)

Ran = list[str]


@pytest.fixture
def ran() -> Ran:
    """What the tool ``act`` was called with."""
    return []


@pytest.fixture
def act(ran: Ran) -> Tool:
    @tool
    async def act(what: str) -> str:
        """Do something that cannot be undone."""
        ran.append(what)
        return f"did {what}"

    return act


_STEPS = (calls(("act", {"what": "a"})), says("Well."))
_TWO = (calls(("act", {"what": "a"}), ("act", {"what": "b"})), says("Well."))


@pytest.fixture
async def asked(act: Tool) -> AsyncIterator[SessionHandle]:
    """A session whose turn waits for an approval."""
    async with session(asking(*_STEPS), act) as one:
        await one.send("go", command_id="go")
        await record_of(one, r.ActionRequested)
        yield one


async def _answer(one: SessionHandle) -> Any:
    """The result of the turn that was begun with the command ``go``."""
    return await one.generate("go", command_id="go")


async def test_a_call_that_the_policy_denies_is_not_run_and_not_asked(act: Tool, ran: Ran) -> None:
    chosen = config(*_STEPS, permission_policy=PermissionPolicy(deny=["act"], default_decision="allow"))
    async with session(chosen, act) as one:
        result = await one.generate("go")
        assert (result.text, result.tool_calls_count, ran) == ("Well.", 1, [])
        denied = await records(one, r.ToolCallDenied)
        assert [(record.data.name, record.data.code) for record in denied] == [("act", "permission")]
        assert results(result.messages)[0].is_error
        assert not await records(one, r.ActionRequested)


async def test_a_call_that_the_policy_allows_runs_without_a_question(act: Tool, ran: Ran) -> None:
    async with session(asking(*_STEPS, permission_policy=PermissionPolicy(allow=["act"])), act) as one:
        await one.generate("go")
        assert ran == ["a"]
        assert not await records(one, r.ActionRequested)


async def test_the_runtimes_denials_bind_a_session_that_allows_everything(act: Tool, ran: Ran) -> None:
    async with session(config(*_STEPS), act, permission_policy=PermissionPolicy(deny=["act"])) as one:
        await one.generate("go")
        assert ran == []


async def test_an_approved_call_runs(asked: SessionHandle, ran: Ran) -> None:
    (action,) = await asked.actions()
    assert (action.kind, action.tool, action.args, ran) == (ActionKind.approval, "act", {"what": "a"}, [])
    assert (await asked.info()).activity == "requires_action"
    await asked.resolve_action(action.action_id, "approve", args_digest=action.args_digest)
    assert (await _answer(asked)).text == "Well."
    assert ran == ["a"]
    (settled,) = await asked.actions(pending=False)
    assert (settled.resolution, settled.resolved_by) == ("approve", "user")


async def test_a_rejected_call_is_not_run_and_the_model_learns_why(asked: SessionHandle, ran: Ran) -> None:
    assert await asked.confirm_tool("call_0_0", False, "too dangerous")
    result = await _answer(asked)
    assert (result.text, ran) == ("Well.", [])
    assert "too dangerous" in result_texts(result.messages)[0]


async def test_the_first_decision_wins(asked: SessionHandle) -> None:
    (action,) = await asked.actions()
    assert await asked.confirm_tool(action.action_id, True)
    assert not await asked.confirm_tool(action.action_id, False)
    with pytest.raises(ActionSettled):
        await asked.resolve_action(action.action_id, "reject")
    with pytest.raises(ActionNotFound):
        await asked.resolve_action("nothing", "approve")
    assert not await asked.confirm_tool("nothing", True)


async def test_a_decision_that_does_not_fit_is_refused_and_changes_nothing(asked: SessionHandle) -> None:
    (action,) = await asked.actions()
    refused: list[tuple[str, dict[str, Any]]] = [
        ("retry", {}),
        ("maybe", {}),
        ("reject", {"args": {"what": "b"}}),
        ("approve", {"args_digest": "another"}),
        ("reject", {"reason": "x" * 5000}),
        ("approve", {"args": {"what": "x" * 300_000}}),
    ]
    for resolution, given in refused:
        with pytest.raises(InvalidRequest):
            await asked.resolve_action(action.action_id, resolution, **given)
    assert await asked.actions() == (action,)


async def test_an_approval_may_change_the_arguments(asked: SessionHandle, ran: Ran) -> None:
    (action,) = await asked.actions()
    await asked.resolve_action(action.action_id, "approve", args={"what": "less"})
    assert result_texts((await _answer(asked)).messages) == ["did less"]
    assert ran == ["less"]


async def test_changed_arguments_that_the_policy_denies_are_not_run(act: Tool, ran: Ran) -> None:
    chosen = asking(*_STEPS, permission_policy=PermissionPolicy(deny=['act(*"evil"*)']))
    async with session(chosen, act) as one:
        await one.send("go", command_id="go")
        action = await record_of(one, r.ActionRequested)
        await one.resolve_action(action.data.action_id, "approve", args={"what": "evil"})
        await _answer(one)
        assert ran == []
        assert (await records(one, r.ToolCallDenied))[0].data.code == "permission"


@pytest.mark.parametrize(("action", "runs"), [(TimeoutAction.reject, []), (TimeoutAction.auto_approve, ["a"])])
async def test_an_approval_that_nobody_gives_ends_as_the_policy_says(
    act: Tool, ran: Ran, action: TimeoutAction, runs: Ran
) -> None:
    policy = ConfirmationPolicy(default_timeout_ms=20, timeout_action=action)
    async with session(asking(*_STEPS, confirmation_policy=policy), act) as one:
        result = await one.generate("go")
        assert (result.text, ran) == ("Well.", runs)
        (resolved,) = await records(one, r.ActionResolved)
        assert resolved.data.by == "timeout"
        if not runs:
            assert "timed out" in result_texts(result.messages)[0]


async def test_auto_approval_and_free_lanes_ask_nobody(act: Tool, ran: Ran) -> None:
    everything = ConfirmationPolicy.auto_approve_all()
    execute = ConfirmationPolicy(yolo_lanes=frozenset({SessionLane.execute}))
    for policy in (everything, execute):
        async with session(asking(*_STEPS, confirmation_policy=policy), act) as one:
            await one.generate("go")
            assert not await records(one, r.ActionRequested)
    assert ran == ["a", "a"]


async def test_a_free_lane_frees_only_its_own_tools(act: Tool, ran: Ran) -> None:
    query = ConfirmationPolicy(yolo_lanes=frozenset({SessionLane.query}))
    steps = (calls(("ls", {}), ("act", {"what": "a"})), says("Well."))
    async with session(asking(*steps, confirmation_policy=query), act) as one:
        await one.send("go", command_id="go")
        await record_of(one, r.ActionRequested)
        assert [action.tool for action in await one.actions()] == ["act"]


async def test_all_calls_of_an_answer_are_asked_at_once_and_decided_one_by_one(act: Tool, ran: Ran) -> None:
    async with session(asking(*_TWO), act) as one:
        receipt = await one.send("go", command_id="go")
        await record_of(one, r.ActionRequested, count=2)
        first, second = await one.actions()
        await one.resolve_action(second.action_id, "reject")
        with pytest.raises(TurnPending) as caught:
            await one.wait_turn(receipt, until_action=True)
        assert caught.value.why == "requires_action"
        await one.resolve_action(first.action_id, "approve")
        result = await _answer(one)
        assert (ran, result.tool_calls_count) == (["a"], 2)
        assert [block.is_error for block in results(result.messages)] == [False, True]


async def test_a_policy_that_is_changed_counts_from_the_next_call_on(act: Tool, ran: Ran) -> None:
    async with session(asking(*_STEPS), act) as one:
        assert (await one.permission_policy()).default_decision == "ask"
        await one.set_permission_policy(PermissionPolicy(allow=["act"]))
        assert await one.check_permission("act", {}) == "allow"
        policy = ConfirmationPolicy(default_timeout_ms=5)
        assert await one.set_confirmation_policy(policy) == await one.confirmation_policy() == policy
        await one.generate("go")
        assert ran == ["a"]


async def test_cancelling_a_turn_that_waits_for_an_approval_settles_it(asked: SessionHandle, ran: Ran) -> None:
    assert await asked.cancel()
    ended = await record_of(asked, r.TurnCancelled)
    assert await asked.actions() == ()
    (settled,) = await asked.actions(pending=False)
    assert (settled.resolution, settled.resolved_by, ran) == ("cancelled", "cancel", [])
    assert ended.turn_id == "turn-1"
    assert len(results(await asked.history())) == 1


async def test_a_turn_waits_for_its_approval_through_hibernation(asked: SessionHandle, ran: Ran) -> None:
    assert await asked.hibernate()
    waiting = asyncio.create_task(asked.wait_turn(await asked.send("go", command_id="go")))
    await asked.resolve_action("call_0_0", "approve")
    assert (await waiting).text == "Well."
    assert ran == ["a"]


async def test_of_calls_with_the_same_id_only_the_actions_own_id_says_which_is_meant(act: Tool, ran: Ran) -> None:
    uses = [ToolUseBlock(id="same", name="act", input={"what": what}) for what in ("a", "b")]
    actions = tuple(_action(f"act_{place}", use) for place, use in enumerate(uses))
    state = State(actions=actions)
    assert (state.action("same"), state.action(""), state.action("act_1")) == (None, None, actions[1])
    assert State(actions=actions[1:]).action("same") == actions[1]
    async with session(asking(*_STEPS), act) as one:
        await one.send("go")
        await record_of(one, r.ActionRequested)
        assert not await one.confirm_tool("", True)
        assert not await one.confirm_tool("nothing", True)
        assert ran == []


def _action(action_id: str, use: ToolUseBlock) -> Action:
    return Action(
        action_id=action_id,
        kind=ActionKind.approval,
        session_id="s",
        turn_id="turn-1",
        call_index=0,
        tool_use_id=use.id,
        tool=use.name,
        args=use.input,
        args_digest="",
        requested_at=utc_now(),
    )


async def test_actions_of_all_sessions_are_listed_together(act: Tool) -> None:
    async with runtime(act) as manager:
        for name in ("one", "two"):
            handle = await manager.create_session(name, asking(*_STEPS))
            await handle.send("go")
            await record_of(handle, r.ActionRequested)
        page = await manager.actions()
        assert [action.session_id for action in page.items] == ["one", "two"]
        assert await manager.confirm_tool("one", page.items[0].action_id, True)
        assert [action.session_id for action in (await manager.actions()).items] == ["two"]
