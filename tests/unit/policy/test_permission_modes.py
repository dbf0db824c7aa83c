from __future__ import annotations

import pytest

from actors.domain.permissions import PermissionDecision, PermissionMode, PermissionPolicy
from actors.policy.permissions import decide

_ALLOW, _DENY, _ASK = PermissionDecision.allow, PermissionDecision.deny, PermissionDecision.ask


@pytest.mark.parametrize("mode", PermissionMode)
def test_a_deny_rule_binds_in_every_mode(mode: PermissionMode) -> None:
    policy = PermissionPolicy(deny=["write(keys/**)"], allow=["write"], mode=mode)

    assert policy.check("write", {"file_path": "keys/a"}) is _DENY


@pytest.mark.parametrize("mode", PermissionMode)
def test_what_the_runtime_denies_is_denied_in_every_mode(mode: PermissionMode) -> None:
    own = PermissionPolicy(mode=mode, default_decision="allow")

    assert decide(PermissionPolicy(deny=["read"]), own, "read", {"file_path": "x"}) is _DENY


@pytest.mark.parametrize(
    ("path", "decision"),
    [
        ("src/a.py", _ALLOW),
        ("/ws/src/a.py", _ALLOW),
        ("./x/../y", _ALLOW),
        ("../a", _ASK),
        ("src/../../a", _ASK),
        ("/etc/passwd", _ASK),
        ("/wsx/a", _ASK),
        ("~/.profile", _ASK),
        (".git/hooks/pre-commit", _ASK),
        ("sub/.GIT/config", _ASK),
        ("", _ASK),
    ],
)
def test_accepting_edits_ends_at_the_workspace_and_at_gits_own_files(path: str, decision: PermissionDecision) -> None:
    policy = PermissionPolicy(mode="accept_edits")

    assert policy.check("write", {"file_path": path}, workspace="/ws") is decision
    assert policy.check("bash", {"command": "ls"}, workspace="/ws") is _ASK


def test_accepting_edits_does_not_overrule_an_ask_rule_or_a_default_that_denies() -> None:
    asking = PermissionPolicy(mode="accept_edits", ask=["write(*.lock)"])
    denying = PermissionPolicy(mode="accept_edits", default_decision="deny")

    assert asking.check("write", {"file_path": "uv.lock"}) is _ASK
    assert denying.check("write", {"file_path": "x"}) is _DENY


@pytest.mark.parametrize("tool", ["write", "edit", "patch", "bash", "web_fetch", "mcp__a__read", "spawn_children"])
def test_planning_denies_everything_but_looking(tool: str) -> None:
    policy = PermissionPolicy(mode="plan", allow=["*"])

    assert policy.check(tool, {"command": "touch x", "file_path": "x"}) is _DENY
    assert [policy.check(reader, {}) for reader in ("read", "ls", "glob", "grep")] == [_ALLOW] * 4


def test_planning_permits_nothing_by_itself() -> None:
    assert PermissionPolicy(mode="plan").check("read", {"file_path": "x"}) is _ASK


def test_bypassing_asks_nobody() -> None:
    policy = PermissionPolicy(mode="bypass", ask=["bash"], default_decision="deny")

    assert policy.check("bash", {"command": "make"}) is _ALLOW


def test_where_nobody_can_be_asked_a_question_is_a_denial() -> None:
    policy = PermissionPolicy(mode="dont_ask", allow=["ls"], ask=["write"])

    assert [policy.check(tool, {}) for tool in ("ls", "write", "other")] == [_ALLOW, _DENY, _DENY]
    assert PermissionPolicy(mode="dont_ask", default_decision="allow").check("other", {}) is _ALLOW


def test_the_mode_survives_a_round_trip_and_is_default_where_none_was_written() -> None:
    policy = PermissionPolicy(mode="plan")

    assert PermissionPolicy.model_validate_json(policy.model_dump_json()) == policy
    assert PermissionPolicy.model_validate({"deny": []}).mode is PermissionMode.default
