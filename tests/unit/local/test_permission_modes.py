"""Modes of a policy, and what shell lines are, in whole turns with the tools that there are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from actors import PermissionPolicy, SessionConfig, SessionManager
from actors.domain import records as r
from actors.domain.calls import Outcome
from actors.domain.permissions import PermissionMode
from actors.domain.tools import EffectClass
from tests.unit.local.runtimes import asking, calls, record_of, records, runtime, says, session


def _bash(line: str) -> tuple[str, dict[str, Any]]:
    return "bash", {"command": line}


def _write(path: str) -> tuple[str, dict[str, Any]]:
    return "write", {"file_path": path, "content": "x"}


def _names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def _policed(policy: PermissionPolicy, *uses: tuple[str, dict[str, Any]]) -> SessionConfig:
    return asking(calls(*uses), says("Done."), permission_policy=policy)


async def test_a_plan_looks_and_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("alpha\n")
    uses = [_bash("cat a | head -n 1"), _bash("cat a > b"), _bash("touch c"), _write("d"), ("read", {"file_path": "a"})]
    policy = PermissionPolicy(allow=["*"], mode="plan")
    async with session(_policed(policy, *uses), workspace=str(tmp_path)) as one:
        await one.generate("go")

        ran = [record.data.name for record in await records(one, r.ToolCallCompleted)]
        denied = [record.data.name for record in await records(one, r.ToolCallDenied)]
        assert (sorted(ran), denied) == (["bash", "read"], ["bash", "bash", "write"])
    assert _names(tmp_path) == ["a"]


async def test_accepted_edits_run_and_everything_else_is_asked(tmp_path: Path) -> None:
    chosen = _policed(PermissionPolicy(mode="accept_edits"), _write("a"), _write(".git/hooks/x"), _bash("echo x > b"))
    async with session(chosen, workspace=str(tmp_path)) as one:
        receipt = await one.send("go")
        await record_of(one, r.ActionRequested, count=2)
        asked = await one.actions()
        assert [(action.tool, action.args) for action in asked] == [_write(".git/hooks/x"), _bash("echo x > b")]
        for action in asked:
            await one.resolve_action(action.action_id, "reject")
        await one.wait_turn(receipt)
    assert _names(tmp_path) == ["a"]


async def test_where_nobody_can_be_asked_what_would_be_asked_is_denied(tmp_path: Path) -> None:
    policy = PermissionPolicy(allow=["bash(ls:*)"], ask=["write"], mode="dont_ask")
    chosen = _policed(policy, _bash("ls"), _bash("ls; $x"), _bash("touch a"), _write("b"))
    async with session(chosen, workspace=str(tmp_path)) as one:
        await one.generate("go")

        assert [record.data.code for record in await records(one, r.ToolCallDenied)] == ["permission"] * 3
        assert not await records(one, r.ActionRequested)
    assert _names(tmp_path) == []


async def test_bypassing_asks_nobody_and_still_denies(tmp_path: Path) -> None:
    policy = PermissionPolicy(ask=["write"], deny=["bash(touch:*)"], default_decision="deny", mode="bypass")
    chosen = _policed(policy, _write("a"), _bash("echo b > b"), _bash("true && env touch c"))
    async with session(chosen, workspace=str(tmp_path)) as one:
        await one.generate("go")

        assert not await records(one, r.ActionRequested)
    assert _names(tmp_path) == ["a", "b"]


@pytest.mark.parametrize("mode", PermissionMode)
async def test_a_mode_and_its_rules_outlive_the_runtime(tmp_path: Path, mode: PermissionMode) -> None:
    policy = PermissionPolicy(deny=["bash(rm:*)"], allow=["bash(git:*)"], ask=["write"], mode=mode)
    for again in (False, True):
        async with await SessionManager.local(store=str(tmp_path)) as manager:
            if not again:
                await manager.create_session("s", SessionConfig())
                await manager.set_permission_policy("s", policy)
            assert await manager.get_permission_policy("s") == policy
            assert await manager.check_permission("s", *_bash("git status; env rm x")) == "deny"


async def test_a_line_that_only_reads_is_pure_and_every_other_is_unsafe(tmp_path: Path) -> None:
    uses = [_bash("cat missing | wc -l"), _bash("touch a"), _bash("git --version > /dev/null"), _bash("ls > b")]
    async with session(_policed(PermissionPolicy(allow=["bash"]), *uses), workspace=str(tmp_path)) as one:
        await one.generate("go")

        pure, unsafe = EffectClass.pure, EffectClass.unsafe
        assert [effect.effect for effect in await one.effects()] == [pure, unsafe, pure, unsafe]


async def test_lines_that_only_read_run_side_by_side(tmp_path: Path) -> None:
    reading = [_bash("ls"), _bash("pwd | cat")]
    async with session(_policed(PermissionPolicy(allow=["bash"]), *reading), workspace=str(tmp_path)) as one:
        await one.generate("go")

        seen = [record.type for record in await one.records(limit=1000) if record.type.startswith("tool.call")]
        assert seen == ["tool.call.started"] * 2 + ["tool.call.completed"] * 2


async def test_an_effect_class_grants_no_permission(tmp_path: Path) -> None:
    async with session(_policed(PermissionPolicy(mode="dont_ask"), _bash("ls")), workspace=str(tmp_path)) as one:
        await one.generate("go")

        assert await one.effects() == ()
        assert [record.data.code for record in await records(one, r.ToolCallDenied)] == ["permission"]


async def test_a_check_knows_the_directory_of_sessions_that_name_none(tmp_path: Path) -> None:
    policy = PermissionPolicy(allow=["write(src/**)"], deny=["write(src/keys/**)"])
    async with runtime(workspace=str(tmp_path)) as manager:
        await manager.create_session("s", SessionConfig(permission_policy=policy))
        for path, decision in (("src/a", "allow"), ("src/keys/a", "deny"), ("other", "ask")):
            for given in (path, str(tmp_path / path), f"{tmp_path}/x/../{path}"):
                assert await manager.check_permission("s", "write", {"file_path": given}) == decision
        line = f"echo x > {tmp_path}/src/keys/a"
        assert await manager.check_permission("s", *_bash(line)) == "deny"


async def test_a_policy_that_is_set_decides_about_each_tool_by_name() -> None:
    policy = PermissionPolicy(allow=["bash(cargo:*)", "Grep", "bash(just:*)"], deny=["bash(rm:*)"])
    async with runtime() as manager:
        await manager.create_session("s", SessionConfig())
        assert (await manager.get_permission_policy("s")).default_decision == "ask"
        await manager.set_permission_policy("s", policy)
        checked = [
            await manager.check_permission("s", *_bash("cargo build")),
            await manager.check_permission("s", "grep", {"pattern": "x"}),
            await manager.check_permission("s", *_bash("rm -rf /")),
            await manager.check_permission("s", *_write("x")),
            await manager.check_permission("s", *_bash("just clean")),
        ]
        assert checked == ["allow", "allow", "deny", "ask", "allow"]
        await manager.add_permission_rule("s", "deny", "bash(just clean:*)")
        assert await manager.check_permission("s", *_bash("just clean")) == "deny"
        assert await manager.check_permission("s", *_bash("just build")) == "allow"


async def test_a_line_that_was_denied_in_part_does_not_run_in_part(tmp_path: Path) -> None:
    policy = PermissionPolicy(deny=["bash(rm:*)"], default_decision="allow")
    async with session(
        _policed(policy, _bash("touch a && $(echo /bin/rm) a"), _bash("touch b; rm b")), workspace=str(tmp_path)
    ) as one:
        receipt = await one.send("go")
        action = (await record_of(one, r.ActionRequested)).data
        await one.resolve_action(action.action_id, "reject")
        await one.wait_turn(receipt)

        assert [record.data.code for record in await records(one, r.ToolCallDenied)] == ["permission", "rejected"]
        assert not [record for record in await records(one, r.ToolCallCompleted) if record.data.outcome is Outcome.ok]
    assert _names(tmp_path) == []
