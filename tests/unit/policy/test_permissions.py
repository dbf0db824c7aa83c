from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from actors.domain.permissions import MatchingRules, PermissionDecision, PermissionPolicy, PermissionRule
from actors.domain.wildcard import Wildcard
from actors.policy.permissions import decide, effective

_ALLOW, _DENY, _ASK = PermissionDecision.allow, PermissionDecision.deny, PermissionDecision.ask


def _allows(rule: str, tool: str, **args: object) -> bool:
    return PermissionPolicy(allow=[rule]).check(tool, args) is _ALLOW


def _denies(rule: str, tool: str, **args: object) -> bool:
    return PermissionPolicy.permissive().with_rule("deny", rule).check(tool, args) is _DENY


# --- rules ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["bash", "Bash", "BASH(*)", "bash(**)"])
def test_a_bare_rule_covers_every_use_of_the_tool_whatever_its_case(rule: str) -> None:
    assert _allows(rule, "bash", command="ls; rm -rf $(pwd)")
    assert not _allows(rule, "read", file_path="x")


@pytest.mark.parametrize(
    ("command", "covered"),
    [
        ("cargo build", True),
        ("cargo test --lib", True),
        ("cargo", True),
        ("  cargo\tbuild", True),
        ("cargoX", False),
        ("npm install", False),
    ],
)
def test_a_prefix_rule_ends_at_a_word(command: str, covered: bool) -> None:
    assert _allows("bash(cargo:*)", "bash", command=command) is covered


@pytest.mark.parametrize(
    ("rule", "path", "covered"),
    [
        ("write(src/*.rs)", "src/main.rs", True),
        ("write(src/*.rs)", "src/deep/main.rs", False),
        ("write(src/**/*.rs)", "src/main.rs", True),
        ("write(src/**/*.rs)", "src/a/b/main.rs", True),
        ("write(src/**/*.rs)", "other/main.rs", False),
        ("write(src/**)", "./src//x/../y", True),
        ("write(src/**)", "src/../secret", False),
        ("write(./src/?.py)", "src/a.py", True),
        ("write(a.b)", "axb", False),
    ],
)
def test_a_path_rule_counts_levels_and_sees_through_detours(rule: str, path: str, covered: bool) -> None:
    assert _allows(rule, "write", file_path=path) is covered


def test_a_path_in_the_workspace_is_the_same_absolute_or_relative() -> None:
    policy = PermissionPolicy(allow=["write(src/**)", "read(/ws/docs/*)"], deny=["read(.env)"])

    assert policy.check("write", {"file_path": "/ws/src/x"}, workspace="/ws") is _ALLOW
    assert policy.check("write", {"file_path": "/other/src/x"}, workspace="/ws") is _ASK
    assert policy.check("read", {"file_path": "docs/x"}, workspace="/ws") is _ALLOW
    assert policy.check("read", {"file_path": "/ws/./.env"}, workspace="/ws") is _DENY


def test_a_denied_path_is_denied_below_a_workspace_that_nobody_named() -> None:
    assert _denies("read(.env)", "read", file_path="/somewhere/.env")
    assert _denies("read(config/**)", "read", file_path="/somewhere/config/deep/key")
    assert not _denies("read(.env)", "read", file_path="sub/.env")


def test_a_server_rule_covers_the_server_and_no_other_that_begins_alike() -> None:
    assert _allows("mcp__pencil", "mcp__pencil", x=1)
    assert _allows("mcp__Pencil", "mcp__pencil__draw", x=1)
    assert _allows("mcp__pencil__*", "mcp__pencil__draw")
    assert not _allows("mcp__pencil", "mcp__pencilbox__draw")
    assert _denies("mcp__pencil", "MCP__pencil__draw")
    assert _allows("mcp__pencil__", "mcp__pencil__draw")


def test_a_rule_about_a_tool_of_a_server_covers_none_whose_name_goes_on() -> None:
    assert _allows("mcp__files__read", "mcp__files__read")
    assert not _allows("mcp__files__read", "mcp__files__read__and_delete")
    assert _allows("mcp__files__read__*", "mcp__files__read__and_delete")


@pytest.mark.parametrize(
    ("rule", "tool", "args"),
    [
        ("glob(src/**)", "glob", {"pattern": "src/x/*.py"}),
        ("grep(TODO src)", "grep", {"pattern": "TODO", "path": "src"}),
        ("ls(.)", "ls", {}),
        ("ls(docs/*)", "ls", {"path": "docs/a/"}),
        ("web_fetch(https://example.org/**)", "web_fetch", {"url": "https://example.org/a/b"}),
        ('custom({"a":1})', "custom", {"a": 1}),
        ("*", "anything", {}),
    ],
)
def test_each_tool_has_its_own_subject(rule: str, tool: str, args: dict[str, object]) -> None:
    assert _allows(rule, tool, **args)


# --- shell lines -----------------------------------------------------------------------------------------------------

_TRICKS = [
    "git status; rm x",
    "git status && rm x",
    "git status || rm x",
    "git status | rm x",
    "git status & rm x",
    "git status\nrm x",
    "git status $(rm x)",
    "git status `rm x`",
    "git status <(rm x)",
    "(git status; rm x)",
    "{ git status; rm x; }",
    "git status; sudo -u root rm x",
    "git status; env A=1 rm x",
    "git status; A=1 rm x",
    "git status; bash -c 'rm x'",
    'git status; eval "rm x"',
    "git status; xargs rm < list",
    "git status; find . -exec rm {} +",
    "git status; if true; then rm x; fi",
    "git status; /bin/rm x",
    "git status; 'rm' x",
    "git status; r\\m x",
    "git status; rm\\\n x",
    "git status; rm${IFS}x",
    "git status; timeout 5 nohup rm x",
]


@pytest.mark.parametrize("line", _TRICKS)
def test_an_allow_rule_does_not_cover_a_line_that_does_more(line: str) -> None:
    assert not _allows("bash(git status:*)", "bash", command=line)
    assert not _allows("bash(git status**)", "bash", command=line)


@pytest.mark.parametrize("line", _TRICKS)
def test_a_deny_rule_finds_its_command_anywhere_in_the_line(line: str) -> None:
    assert _denies("bash(rm:*)", "bash", command=line)


@pytest.mark.parametrize(
    "line", ["env git status", "A=1 git status", "sudo git status", "git status > x", "git 'status", ""]
)
def test_what_is_no_plain_command_is_not_allowed(line: str) -> None:
    assert not _allows("bash(git status:*)", "bash", command=line)


@pytest.mark.parametrize("line", ["git rm x", "echo rm", "rmdir x", "ls rm"])
def test_a_deny_rule_does_not_take_an_argument_for_a_command(line: str) -> None:
    assert not _denies("bash(rm:*)", "bash", command=line)


def test_quotes_do_not_hide_what_a_plain_command_is() -> None:
    assert _allows("bash(git status:*)", "bash", command="git 'status' -s")
    assert _allows('bash(git commit -m "fix it")', "bash", command='git commit -m "fix it"')
    assert not _allows("bash(git status:*)", "bash", command="'git status' -s")


def test_a_line_too_long_to_be_looked_through_meets_every_deny_rule_for_bash() -> None:
    line = "".join(f"echo {number};" for number in range(5000)) + "rm x"

    assert _denies("bash(rm:*)", "bash", command=line)
    assert not _denies("write(x)", "bash", command=line)


@pytest.mark.parametrize(
    "line",
    [
        "'" * 60_000,
        "sudo " + "a " * 30_000,
        "(" * 60_000,
        "a;" * 60_000,
        "sudo " * 1500,
        "timeout 5 " * 800,
        "))" * 4000,
        "\\" * 100_000,
    ],
)
def test_no_line_takes_long_to_judge(line: str) -> None:
    policy = PermissionPolicy(deny=["bash(rm:*)", "bash(**x**y**z**)"], allow=["bash(a*b*c*d*e)"])
    started = time.process_time()

    policy.check("bash", {"command": line})

    # Seconds, where backtracking would take hours.
    assert time.process_time() - started < 5


@given(st.text("abc/ ", max_size=12), st.text("abc/ *?", min_size=1, max_size=8))
def test_a_wildcard_means_what_its_regular_expression_means(text: str, pattern: str) -> None:
    expected, at = "", 0
    while at < len(pattern):
        if pattern.startswith("**/", at) and (at == 0 or pattern[at - 1] == "/"):
            expected, at = f"{expected}(?:.*/)?", at + 3
        elif pattern.startswith("**", at):
            expected, at = f"{expected}.*", at + (3 if pattern.startswith("**/", at) else 2)
        else:
            char = pattern[at]
            expected, at = expected + {"*": "[^/]*", "?": "[^/]"}.get(char, re.escape(char)), at + 1

    assert Wildcard(pattern).matches(text) is bool(re.fullmatch(expected, text))


# --- policies ---------------------------------------------------------------------------------------------------------


def test_deny_beats_allow_and_allow_beats_ask() -> None:
    policy = PermissionPolicy(deny=["bash(rm:*)"], allow=["bash"], ask=["bash(git push:*)", "write"])

    assert policy.check("bash", {"command": "rm x"}) is _DENY
    assert policy.check("bash", {"command": "git push"}) is _ALLOW
    assert policy.check("write", {"file_path": "x"}) is _ASK
    assert policy.check("other", {}) is _ASK


def test_an_ask_rule_looks_at_every_command_of_a_line() -> None:
    policy = PermissionPolicy.permissive().with_rule("ask", "bash(git push:*)")

    assert policy.requires_confirmation("bash", {"command": "make && git push"})
    assert policy.is_allowed("bash", {"command": "make"})


def test_presets_differ_in_their_default() -> None:
    assert PermissionPolicy.permissive().check("x", {}) is _ALLOW
    assert PermissionPolicy.strict().check("x", {}) is _ASK
    assert PermissionPolicy() == PermissionPolicy.strict()


def test_a_policy_that_is_off_allows_everything() -> None:
    policy = PermissionPolicy(deny=["bash"], enabled=False)

    assert policy.is_allowed("bash", {"command": "rm"})
    assert not policy.is_denied("bash", {"command": "rm"})


def test_builders_collect_rules_in_order_and_once() -> None:
    policy = PermissionPolicy().with_rules("allow", ["ls", "read", "ls"]).with_rule(_ALLOW, "read")
    policy = policy.with_rule("deny", "bash(rm:*)").with_rule("ask", "write")

    assert [rule.text for rule in policy.allow] == ["ls", "read"]
    assert ([rule.text for rule in policy.deny], [rule.text for rule in policy.ask]) == (["bash(rm:*)"], ["write"])


def test_matching_rules_are_listed_by_kind() -> None:
    policy = PermissionPolicy(deny=["bash(rm:*)"], allow=["bash"], ask=["bash(rm -r:*)", "ls"])

    found = policy.matching_rules("bash", {"command": "rm -r x"})

    texts = [[rule.text for rule in rules] for rules in (found.deny, found.allow, found.ask)]
    assert texts == [["bash(rm:*)"], ["bash"], ["bash(rm -r:*)"]]
    assert not found.is_empty
    assert MatchingRules().is_empty
    assert PermissionPolicy().matching_rules("x", {}).is_empty


@pytest.mark.parametrize("text", ["", "bash(", "rm -rf", "(x)", "bash)x(", "bash(x) y", "a" * 2000])
def test_a_rule_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        PermissionPolicy(deny=[text])


_RULES = st.builds(
    lambda tool, pattern: tool if pattern is None else f"{tool}({pattern})",
    st.sampled_from(["bash", "Write", "mcp__a", "*", "x.y-z"]),
    st.none() | st.text(min_size=0, max_size=20).filter(lambda text: text.isprintable()),
)


@given(st.lists(_RULES), st.lists(_RULES), st.lists(_RULES), st.sampled_from(PermissionDecision), st.booleans())
def test_a_policy_means_the_same_after_a_round_trip(
    deny: list[str], allow: list[str], ask: list[str], default: PermissionDecision, enabled: bool
) -> None:
    policy = PermissionPolicy(deny=deny, allow=allow, ask=ask, default_decision=default, enabled=enabled)

    loaded = PermissionPolicy.model_validate_json(policy.model_dump_json())

    assert loaded == policy
    for tool, args in (("bash", {"command": "rm x"}), ("write", {"file_path": "x"}), ("mcp__a__b", {})):
        assert loaded.check(tool, args) is policy.check(tool, args)
        assert loaded.matching_rules(tool, args) == policy.matching_rules(tool, args)


def test_a_loaded_deny_rule_still_denies() -> None:
    loaded = PermissionPolicy.model_validate({"deny": ["bash(rm:*)", {"text": "write"}], "default_decision": "allow"})

    assert loaded.is_denied("bash", {"command": "rm -rf /"})
    assert loaded.is_denied("write", {"file_path": "x"})
    assert loaded.model_dump()["deny"] == ("bash(rm:*)", "write")
    assert PermissionRule("bash") == PermissionRule(text="bash")


# --- global and session -----------------------------------------------------------------------------------------------


def test_a_global_deny_holds_in_every_session() -> None:
    denying = PermissionPolicy(deny=["bash(rm:*)"])

    assert decide(denying, PermissionPolicy.permissive(), "bash", {"command": "ls; rm x"}) is _DENY
    assert decide(denying, PermissionPolicy.permissive(), "bash", {"command": "ls"}) is _ALLOW


def test_otherwise_the_session_takes_the_place_of_the_global_policy() -> None:
    assert decide(PermissionPolicy(allow=["bash"]), PermissionPolicy(deny=["bash"]), "bash", {}) is _DENY
    assert decide(PermissionPolicy.permissive(), PermissionPolicy(), "bash", {}) is _ASK


def test_a_session_without_a_policy_falls_back() -> None:
    assert decide(PermissionPolicy.permissive(), None, "bash", {}) is _ALLOW
    assert decide(None, None, "bash", {}) is _ASK
    assert effective(None, PermissionPolicy.permissive()) == PermissionPolicy.permissive()


def test_a_global_policy_that_is_off_denies_nothing() -> None:
    off = PermissionPolicy(deny=["bash"], enabled=False)

    assert decide(off, PermissionPolicy(), "bash", {}) is _ASK


@pytest.mark.parametrize("path", [".git/hooks/pre-commit", ".GIT/config", "sub/.git", "/ws/.git/config", "a/../.git/x"])
@pytest.mark.parametrize("rule", ["write", "*", "write(**)", "write(sub/**)", "write(/ws/**)", "w*(*)"])
def test_a_rule_about_files_does_not_cover_what_git_obeys(rule: str, path: str) -> None:
    policy = PermissionPolicy(allow=[rule])

    assert policy.check("write", {"file_path": path}, workspace="/ws") is _ASK
    if rule != "*":
        policy = policy.with_rule("allow", "bash(echo:*)")
        assert policy.check("bash", {"command": f"echo x > {path}"}, workspace="/ws") is _ASK


def test_a_rule_that_names_gits_own_files_covers_them_and_so_does_a_policy_that_allows_everything() -> None:
    named = PermissionPolicy(allow=["write", "write(.git/info/*)"])

    assert named.check("write", {"file_path": ".git/info/exclude"}) is _ALLOW
    assert named.check("write", {"file_path": ".git/hooks/x"}) is _ASK
    assert named.check("write", {"file_path": ".gitignore"}) is _ALLOW
    assert PermissionPolicy.permissive().check("edit", {"file_path": ".git/config"}) is _ALLOW
    assert _allows("bash", "bash", command="echo x > .git/hooks/x")
    assert _denies("write(.git/**)", "write", file_path="a/../.GIT/hooks/x")
