"""Policies that demand a sandbox for commands, and what a runtime says of the one it has."""

from __future__ import annotations

from actors.domain.permissions import PermissionPolicy
from actors.domain.session import SessionConfig
from actors.manager import SessionManager
from actors.policy.permissions import demands_sandbox
from actors.settings import Settings
from tests.unit.local.runtimes import calls, config, result_texts, runtime, says

CONFINED = PermissionPolicy.permissive().model_copy(update={"require_sandbox": True})


async def test_a_policy_that_demands_a_sandbox_lets_commands_fail_where_there_is_none() -> None:
    steps = (calls(("bash", {"command": "echo ran"})), says("done"))
    async with runtime(sandbox="off") as manager:
        for name, policy in (("free", PermissionPolicy.permissive()), ("confined", CONFINED)):
            one = await manager.create_session(name, config(*steps, permission_policy=policy))
            (told,) = result_texts((await one.generate("go")).messages)
            assert ("ran" in told, "wants commands to run in a sandbox" in told) == (name == "free", name == "confined")


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
