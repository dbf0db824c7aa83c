"""Policies that demand a sandbox for commands, and what a runtime says of the one it has."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.domain.permissions import PermissionPolicy
from actors.domain.session import SessionConfig
from actors.manager import SessionManager
from actors.policy.permissions import demands_sandbox
from actors.settings import Settings
from actors.tools.sandbox import Sandbox
from tests.unit.local.runtimes import calls, config, result_texts, runtime, says

CONFINED = PermissionPolicy.permissive().model_copy(update={"require_sandbox": True})


async def test_a_policy_that_demands_a_sandbox_lets_commands_fail_where_there_is_none() -> None:
    steps = (calls(("bash", {"command": "echo ran"})), says("done"))
    async with runtime(sandbox="off") as manager:
        for name, policy in (("free", PermissionPolicy.permissive()), ("confined", CONFINED)):
            one = await manager.create_session(name, config(*steps, permission_policy=policy))
            (told,) = result_texts((await one.generate("go")).messages)
            assert ("ran" in told, "wants commands to run in a sandbox" in told) == (name == "free", name == "confined")


@pytest.mark.skipif(not Sandbox.find().works, reason="no sandbox here")
async def test_commands_of_a_session_run_in_the_sandbox_that_is_there(tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    steps = (calls(("bash", {"command": f"echo in > f; touch {tmp_path}/out; cat f"})), says("done"))
    async with runtime(sandbox="required") as manager:
        one = await manager.create_session("s", config(*steps, workspace=str(workspace)))
        (told,) = result_texts((await one.generate("go")).messages)
        assert told == "in\n"
        assert next(iter((await manager.runtime_status())["sandboxes"].values())) == "bubblewrap, no network"
    assert (workspace / "f").read_text() == "in\n"
    assert not (tmp_path / "out").exists()


async def test_a_child_is_bound_by_what_its_parent_demands() -> None:
    steps = (calls(("bash", {"command": "echo ran"})), says("done"))
    async with runtime(sandbox="off") as manager:
        await manager.create_session("parent", config(*steps, permission_policy=CONFINED))
        child = await manager.create_child_session("parent", "child", config(*steps))
        (told,) = result_texts((await child.generate("go")).messages)
        assert "wants commands to run in a sandbox" in told


def test_any_policy_that_binds_a_session_may_demand_one() -> None:
    free = SessionConfig(permission_policy=PermissionPolicy.permissive())
    assert not demands_sandbox(free, None)
    assert demands_sandbox(free, CONFINED)
    assert demands_sandbox(SessionConfig(permission_policy=CONFINED), None)
    assert demands_sandbox(SessionConfig(permission_policy=CONFINED.model_copy(update={"enabled": False})), None)


async def test_the_runtime_says_how_commands_are_confined() -> None:
    manager = await SessionManager.local(None, settings=Settings(sandbox="off"))
    async with manager:
        (told,) = (await manager.runtime_status())["sandboxes"].values()
        assert told == "none: it is switched off"
