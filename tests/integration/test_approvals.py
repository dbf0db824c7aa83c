"""Approvals: the secure default asks, a person decides, and the first decision counts."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from actors import ConfirmationPolicy, PermissionPolicy, SessionConfig, SessionManager, TimeoutAction, errors
from actors.domain.actions import Resolution
from actors.domain.records import ActionRequested, ActionResolved, ToolCallDenied
from tests.integration.runtimes import NewId
from tests.integration.waiting import LONG_S, action_of, event_of

WRITES = '/tool bash {"command": "echo run >> runs"}\nfinished'
PATIENT = ConfirmationPolicy(default_timeout_ms=600_000)


def asking(workspace: Path) -> SessionConfig:
    """The secure default, patient enough for a slow machine."""
    return SessionConfig(workspace=str(workspace), confirmation_policy=PATIENT)


async def test_a_session_without_a_policy_asks_before_a_tool_runs(
    manager: SessionManager, new_id: NewId, tmp_path: Path
) -> None:
    session = await manager.create_session(new_id(), asking(tmp_path))
    receipt = await session.send(WRITES)
    with pytest.raises(errors.TurnPending) as pending:
        await manager.wait_turn(session.session_id, receipt, timeout=LONG_S, until_action=True)
    assert pending.value.why == "requires_action"
    assert not (tmp_path / "runs").exists()
    assert (await session.info()).activity == "requires_action"
    assert [turn.status for turn in await session.turns()] == ["requires_action"]
    (action,) = (await manager.actions(session.session_id)).items
    assert (action.tool, action.args, action.pending) == ("bash", {"command": "echo run >> runs"}, True)
    assert action.action_id in {one.action_id for one in (await manager.actions(limit=1000)).items}
    await session.cancel()


async def test_an_approved_call_runs_once_and_the_waiting_caller_gets_the_answer(
    manager: SessionManager, new_id: NewId, tmp_path: Path
) -> None:
    session = await manager.create_session(new_id(), asking(tmp_path))
    waiter = asyncio.create_task(session.generate(WRITES))
    action = await action_of(session)
    assert await manager.confirm_tool(session.session_id, action.action_id, True) is True
    async with asyncio.timeout(LONG_S):
        assert (await waiter).text == "finished"
    assert (tmp_path / "runs").read_text().split() == ["run"]
    assert (await manager.actions(session.session_id)).items == ()
    (settled,) = await session.actions(pending=False)
    assert settled.resolution is Resolution.approve


async def test_a_rejected_call_does_not_run_and_the_model_is_told_why(
    manager: SessionManager, new_id: NewId, tmp_path: Path
) -> None:
    session = await manager.create_session(new_id(), asking(tmp_path))
    receipt = await session.send(WRITES)
    action = await action_of(session)
    assert await session.confirm_tool(action.tool_use_id, False, "not on a Friday") is True
    result = await session.wait_turn(receipt, timeout=LONG_S)
    assert result.text == "finished"
    assert not (tmp_path / "runs").exists()
    assert "not on a Friday" in str(result.messages[2].content)


async def test_the_first_resolution_counts_and_the_second_is_told_so(
    manager: SessionManager, new_id: NewId, tmp_path: Path
) -> None:
    session = await manager.create_session(new_id(), asking(tmp_path))
    receipt = await session.send(WRITES)
    action = await action_of(session)
    await manager.resolve_action(session.session_id, action.action_id, "approve")
    with pytest.raises(errors.ActionSettled, match="approve"):
        await manager.resolve_action(session.session_id, action.action_id, "reject")
    await session.wait_turn(receipt, timeout=LONG_S)
    with pytest.raises(errors.ActionSettled):
        await session.resolve_action(action.action_id, "approve")
    assert await session.confirm_tool(action.action_id, True) is False
    assert (tmp_path / "runs").read_text().split() == ["run"]


async def test_of_many_resolutions_at_once_one_is_taken(manager: SessionManager, new_id: NewId, tmp_path: Path) -> None:
    session = await manager.create_session(new_id(), asking(tmp_path))
    receipt = await session.send(WRITES)
    action = await action_of(session)
    outcomes = await asyncio.gather(
        *(session.resolve_action(action.action_id, "approve") for _ in range(6)), return_exceptions=True
    )
    assert sum(outcome is None for outcome in outcomes) == 1
    assert all(isinstance(outcome, errors.ActionSettled) for outcome in outcomes if outcome is not None)
    await session.wait_turn(receipt, timeout=LONG_S)
    assert (tmp_path / "runs").read_text().split() == ["run"]
    assert len([one async for one in session.events() if isinstance(one, ActionResolved)]) == 1


async def test_a_call_can_be_approved_with_other_arguments(
    manager: SessionManager, new_id: NewId, tmp_path: Path
) -> None:
    session = await manager.create_session(new_id(), asking(tmp_path))
    receipt = await session.send(WRITES)
    action = await action_of(session)
    edited = {"command": "echo edited >> runs"}
    with pytest.raises(errors.InvalidRequest, match="not those"):
        await session.resolve_action(action.action_id, "approve", args=edited, args_digest="of something else")
    with pytest.raises(errors.InvalidRequest):
        await session.resolve_action(action.action_id, "reject", args=edited)
    await session.resolve_action(action.action_id, "approve", args=edited, args_digest=action.args_digest)
    await session.wait_turn(receipt, timeout=LONG_S)
    assert (tmp_path / "runs").read_text().split() == ["edited"]


@pytest.mark.parametrize("resolution", ["retry", "answer", "nonsense"])
async def test_an_approval_is_approved_or_rejected_and_nothing_else(
    manager: SessionManager, new_id: NewId, tmp_path: Path, resolution: str
) -> None:
    session = await manager.create_session(new_id(), asking(tmp_path))
    await session.send(WRITES)
    action = await action_of(session)
    with pytest.raises(errors.InvalidRequest):
        await session.resolve_action(action.action_id, resolution)
    assert [one.action_id for one in await session.actions()] == [action.action_id]
    await session.cancel()


async def test_what_nobody_asked_for_cannot_be_resolved(manager: SessionManager, new_id: NewId) -> None:
    session = await manager.create_session(new_id())
    with pytest.raises(errors.ActionNotFound):
        await session.resolve_action("act_nothing", "approve")
    assert await session.confirm_tool("act_nothing", True) is False


async def test_cancel_settles_what_a_turn_waits_for(manager: SessionManager, new_id: NewId, tmp_path: Path) -> None:
    session = await manager.create_session(new_id(), asking(tmp_path))
    receipt = await session.send(WRITES)
    action = await action_of(session)
    assert await session.cancel() is True
    with pytest.raises(errors.TurnFailed):
        await session.wait_turn(receipt, timeout=LONG_S)
    assert await session.actions() == ()
    with pytest.raises(errors.ActionSettled, match="cancelled"):
        await session.resolve_action(action.action_id, "approve")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(("action", "runs"), [(TimeoutAction.auto_approve, True), (TimeoutAction.reject, False)])
async def test_an_approval_that_nobody_decides_is_decided_by_the_policy(
    manager: SessionManager, new_id: NewId, tmp_path: Path, action: TimeoutAction, runs: bool
) -> None:
    policy = ConfirmationPolicy(default_timeout_ms=50, timeout_action=action)
    config = SessionConfig(workspace=str(tmp_path), confirmation_policy=policy)
    session = await manager.create_session(new_id(), config)
    assert (await session.generate(WRITES, timeout=LONG_S)).text == "finished"
    assert (tmp_path / "runs").exists() is runs
    assert (await event_of(session, ActionResolved)).data.by == "timeout"


async def test_rules_decide_without_a_question(manager: SessionManager, new_id: NewId, tmp_path: Path) -> None:
    policy = PermissionPolicy(allow=["write"], deny=["bash"])
    session = await manager.create_session(
        new_id(), asking(tmp_path).changed(permission_policy=policy.model_dump(mode="json"))
    )
    prompt = '/tool write {"file_path": "note", "content": "hello"}\n/tool bash {"command": "echo run >> runs"}'
    await session.generate(f"{prompt}\nfinished", timeout=LONG_S)
    assert (tmp_path / "note").read_text() == "hello"
    assert not (tmp_path / "runs").exists()
    assert (await event_of(session, ToolCallDenied)).data.code == "permission"
    assert not [one async for one in session.events() if isinstance(one, ActionRequested)]


async def test_a_disabled_confirmation_policy_asks_nobody(
    manager: SessionManager, new_id: NewId, tmp_path: Path
) -> None:
    session = await manager.create_session(new_id(), SessionConfig(workspace=str(tmp_path)))
    await session.set_confirmation_policy(ConfirmationPolicy.auto_approve_all())
    await session.generate(WRITES, timeout=LONG_S)
    assert (tmp_path / "runs").exists()


async def test_a_pending_approval_survives_hibernation(manager: SessionManager, new_id: NewId, tmp_path: Path) -> None:
    session = await manager.create_session(new_id(), asking(tmp_path))
    waiter = asyncio.create_task(session.generate(WRITES))
    action = await action_of(session)
    assert await session.hibernate() is True
    assert [one.action_id for one in await session.actions()] == [action.action_id]
    await session.resolve_action(action.action_id, "approve")
    async with asyncio.timeout(LONG_S):
        assert (await waiter).text == "finished"
    assert (tmp_path / "runs").read_text().split() == ["run"]
