"""Lines that are meant to slip through rules, and lines that are not: ``lines/README.md`` says how they are written."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.domain.permissions import PermissionDecision, PermissionPolicy

GENEROUS = (
    "git ls cat npm cargo make find tar sort rsync sed awk curl wget rg fd echo grep zip go docker env xargs sudo time "
    "timeout nohup bash eval exec command builtin"
).split()

_FILES = sorted((Path(__file__).parent / "lines").glob("*.txt"))
_LETTERS = {PermissionDecision.allow: "A", PermissionDecision.ask: "?", PermissionDecision.deny: "D"}

_NARROW = PermissionPolicy(allow=["bash(git:*)", "bash(ls:*)"])
_GENEROUS = PermissionPolicy(allow=[f"bash({name}:*)" for name in GENEROUS])
_DENYING = PermissionPolicy.permissive().with_rules("deny", ["bash(rm:*)", "bash(curl:*)", "write(secrets/**)"])
_PLANNING = PermissionPolicy(allow=["bash"], mode="plan")


def _decision(policy: PermissionPolicy, line: str) -> PermissionDecision:
    return policy.check("bash", {"command": line})


def _verdicts(line: str) -> str:
    three = "".join(_LETTERS[_decision(policy, line)] for policy in (_NARROW, _GENEROUS, _DENYING))
    return three + ("L" if _decision(_PLANNING, line) is PermissionDecision.allow else "-")


def _read(path: Path) -> list[tuple[str, str]]:
    pictures = {0x2400 + code: code for code in range(32)}
    entries = [entry.partition(" ") for entry in path.read_text(encoding="utf-8").split("\n") if entry]
    return [(verdicts, line.translate(pictures)) for verdicts, _, line in entries]


@pytest.mark.parametrize("path", _FILES, ids=lambda path: path.stem)
def test_each_line_gets_the_verdict_that_is_written_beside_it(path: Path) -> None:
    wrong = [(line, verdicts, found) for verdicts, line in _read(path) if (found := _verdicts(line)) != verdicts]

    assert wrong == []


def test_the_corpus_is_large_and_says_each_line_once() -> None:
    lines = [line for path in _FILES for _, line in _read(path)]

    assert len(lines) == len(set(lines)) > 1000


@pytest.mark.parametrize(
    "line",
    [
        "git status -s",
        "git --no-pager log --oneline -n 5",
        "git log --format=%H -- src",
        "git switch -c topic",
        "git push origin main",
        "git fetch --all",
        "git grep std::vector",
        "git bisect start",
        "git --version",
        "git checkout -b x",
        "git rebase main",
        "ls *.py",
        "npm run lint -- --fix",
        "cargo build --release",
        "make -j4 test",
        "tar -xzf a.tar.gz",
        "tar xzf a.tgz -C out",
        "sort -k2 -n x",
        "sed -n 1,20p x",
        "curl -I https://example.org",
        "rg -n TODO src",
        "fd -e py",
        "go vet ./...",
        "git commit -m \"$(cat <<'EOF'\nfix: the thing\n\nIt's done; really.\nEOF\n)\"",
        "git log --oneline -5 2>/dev/null || echo none",
        'for name in a b; do git log -- "$name" | cat; done',
        "if [[ -f x && $y == z* ]]; then cat x; fi",
        "case $1 in a|b*) ls;; *) git status;; esac",
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


@pytest.mark.parametrize("line", ["npm ci && npm test > log", "f() { ls; }; f", "cat *.py | sh", "a; b\nc"])
def test_a_rule_that_spells_a_line_out_covers_that_line_and_no_other(line: str) -> None:
    policy = PermissionPolicy(allow=[f"bash({line})"])

    assert _decision(policy, line) is PermissionDecision.allow
    for other in (f"{line}; rm x", f"{line} x", f"(({line}))", line[1:], line.replace(" ", "  ")):
        if other != line:
            assert _decision(policy, other) is PermissionDecision.ask
    denying = policy.with_rule("deny", "bash(npm:*)").with_rule("deny", "bash(ls:*)").with_rule("deny", "bash(b:*)")
    assert _decision(denying, line) is not PermissionDecision.allow


@pytest.mark.parametrize("line", ["$CMD x", "ls; eval $x", "cat x | sh", "echo x > $f", "f() { ls; }; f", "ls '"])
def test_what_may_be_denied_is_asked_about_even_where_everything_is_allowed(line: str) -> None:
    for mode in ("default", "bypass"):
        policy = PermissionPolicy(allow=["bash"], default_decision="allow", deny=["bash(rm:*)", "write(x)"], mode=mode)
        assert _decision(policy, line) is PermissionDecision.ask
    alone = PermissionPolicy(allow=["bash"], deny=["bash(rm:*)", "write(x)"], mode="dont_ask")
    assert _decision(alone, line) is PermissionDecision.deny


@pytest.mark.parametrize("line", ["$CMD x", "f() { ls; }; f", "ls '"])
def test_where_nothing_is_denied_nothing_can_be_hidden(line: str) -> None:
    assert _decision(PermissionPolicy(allow=["bash"], deny=["mcp__x"]), line) is PermissionDecision.allow
    assert _decision(PermissionPolicy.permissive(), line) is PermissionDecision.allow
    assert _decision(PermissionPolicy(default_decision="deny"), line) is PermissionDecision.deny
