from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.domain.permissions import PermissionDecision, PermissionPolicy
from tests.unit.policy.hostile import ALLOWED, HOSTILE

_GENEROUS = PermissionPolicy(allow=[f"bash({name}:*)" for name in ALLOWED])
_DENYING = PermissionPolicy.permissive().with_rule("deny", "bash(rm:*)")


def _decision(policy: PermissionPolicy, line: str) -> PermissionDecision:
    return policy.check("bash", {"command": line})


@pytest.mark.parametrize("trick", HOSTILE)
def test_generous_rules_do_not_cover_a_line_that_does_more_than_it_shows(trick: str) -> None:
    covered = [line for line in HOSTILE[trick] if _decision(_GENEROUS, line) is PermissionDecision.allow]

    assert covered == []


@pytest.mark.parametrize(
    "line",
    [
        "git status",
        "git status -s",
        "git --no-pager log --oneline -n 5",
        "git log --format=%H -- src",
        "git diff HEAD~1",
        'git commit -m "fix it"',
        "git switch -c topic",
        "git add -A",
        "git push origin main",
        "git fetch --all",
        "git grep std::vector",
        "git bisect start",
        "git --version",
        "git stash",
        "git checkout -b x",
        "git rebase main",
        "ls",
        "ls -la src",
        "ls *.py",
        "cat README.md",
        "npm run build",
        "npm test",
        "npm run lint -- --fix",
        "npm ci",
        "cargo build --release",
        "cargo test --lib",
        "make",
        "make -j4 test",
        "find . -name '*.py' -type f",
        "echo done",
        "tar tf a.tar",
        "tar -xzf a.tar.gz",
        "tar xzf a.tgz -C out",
        "sort -u x",
        "sort -k2 -n x",
        "rsync -av a b",
        "sed -n 1,20p x",
        "sed s/a/b/ x",
        "sed -n '5p' x",
        "curl -sS https://example.org",
        "curl -I https://example.org",
        "rg -n TODO src",
        "fd -e py",
        "grep -rn TODO src",
        "go test ./...",
        "go vet ./...",
        "docker ps -a",
        "zip -r a.zip b",
    ],
)
def test_everyday_commands_are_covered(line: str) -> None:
    assert _decision(_GENEROUS, line) is PermissionDecision.allow


_OPERATORS = st.sampled_from(["; ", ";", " && ", " || ", " | ", "|", " & ", "\n", "|&", " ;\n"])


@given(st.sampled_from(["git status", "ls -l", "echo 'a b'"]), _OPERATORS, st.sampled_from(["rm x", "/bin/rm -rf y"]))
def test_no_composition_with_a_denied_command_is_allowed(allowed: str, operator: str, denied: str) -> None:
    for line in (allowed + operator + denied, denied + operator + allowed, f"({allowed}{operator}{denied})"):
        assert _decision(_GENEROUS, line) is not PermissionDecision.allow
        assert _decision(_DENYING, line) is PermissionDecision.deny


@given(st.lists(st.sampled_from(["", "'", '"', "\\"]), min_size=2, max_size=2), st.randoms(use_true_random=False))
def test_quoting_does_not_hide_a_denied_command(marks: list[str], chance: random.Random) -> None:
    word = "".join(
        f"\\{char}" if mark == "\\" else f"{mark}{char}{mark}" for char, mark in zip("rm", marks, strict=True)
    )
    line = f"{chance.choice(['', 'ls; ', 'sudo ', 'true && '])}{word} -rf x"

    assert _decision(_DENYING, line) is PermissionDecision.deny
