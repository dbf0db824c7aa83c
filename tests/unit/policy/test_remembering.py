"""The rule that a remembered decision becomes: it covers the call, and nothing that was not meant."""

from __future__ import annotations

from typing import Any

import pytest

from actors.domain.actions import Remember
from actors.domain.permissions import PermissionDecision, PermissionPolicy
from actors.policy.remembering import remembered


@pytest.mark.parametrize(
    ("tool", "args", "exactly", "kind"),
    [
        ("bash", {"command": "git status"}, "bash(git status)", "bash(git status:*)"),
        ("bash", {"command": "make -j4 all"}, "bash(make -j4 all)", "bash(make:*)"),
        ("bash", {"command": "git add a && git commit"}, *["bash(git add a && git commit)"] * 2),
        ("bash", {"command": "ls *.py"}, None, "bash(ls:*)"),
        ("write", {"file_path": "src/a.py", "content": "x"}, "write(src/a.py)", "write"),
        ("deploy", {"stage": "test"}, 'deploy({"stage":"test"})', "deploy"),
        ("deploy", {"stage": "*"}, None, "deploy"),
        ("deploy", {"stage": "x" * 2000}, None, "deploy"),
    ],
)
def test_the_rule_of_a_call(tool: str, args: dict[str, Any], exactly: str | None, kind: str | None) -> None:
    assert remembered(tool, args, Remember.session, workspace="/w") == exactly
    assert remembered(tool, args, Remember.rule, workspace="/w") == kind
    for text in filter(None, (exactly, kind)):
        assert PermissionPolicy(allow=[text]).check(tool, args, workspace="/w") is PermissionDecision.allow


@pytest.mark.parametrize("other", ["git status; rm -rf x", "git status --short", "git push", "env git status"])
def test_this_very_line_is_no_other(other: str) -> None:
    text = remembered("bash", {"command": "git status"}, Remember.session, workspace="/w")

    assert text is not None
    assert PermissionPolicy(allow=[text]).check("bash", {"command": other}) is PermissionDecision.ask
