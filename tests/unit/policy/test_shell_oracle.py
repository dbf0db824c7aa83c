# ruff: noqa: E501 (pieces of one kind read best side by side)
"""Lines made at random, judged, and run by bash: what runs was seen, with the words that it gets."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from actors.domain.permissions import PermissionDecision, PermissionPolicy
from actors.domain.shell.line import Judged, judged
from tests.unit.policy.bash_oracle import Bash

_FRAGMENTS = (
    "aa bb git rm x -o a/b 'q;r' \"s&t\" '' \\; $'\\x72m' $\"rm\" $v ${v} \"$v\" ${v:-x} $(bb) \"$(bb x)\" `rm` $((1+1)) {x,y} "
    "{1..2} *.z [ab] ? # #c $ $# ! % = a=b v=1 += == ^ @ : , - -- \\\n \\ \\' \\\" \\$ \\` é {} { } ( ) [ ] [[ ]] (( time "
    "then do done if fi for while in case esac function coproc exec eval ; & && || | |& \n ;; < > >> >| &> >& 2>&1 2> <<< "
    "<<E <<'E' <<-E >( <( $( ` \" '"
).split(" ")  # fmt: skip
_FORMS = (
    "{0}", "aa {0}; bb {1}", "if aa {0}; then bb {1}; fi", "for i in {0} {1}; do aa $i; done", "(aa {0}) && bb {1}",
    "aa <<E {0}\n{1}\nE\nbb", "aa <<'E' {0}\n{1}\nE\nbb {0}", "aa $(bb {0}) {1}", 'aa "$(bb {0}) {1}"', "aa `bb {0}` {1}",
    "aa {0} > f {1}", "> f aa {0} 2> g {1}", "case {0} in {1}) aa;; *) bb;; esac", "f() {{ aa {0}; }}; f {1}", "aa {0} # {1}\nbb",
    "aa{0} bb{1}", "v={0} aa {1}", "v={0}; $v {1}", "timeout 5 aa {0} {1}", "env aa {0} {1}", "bash -c 'aa {0}' {1}",
    "eval aa {0} {1}", "nice aa {0} | xargs bb {1}", "find . -exec aa {0} \\; {1}", "aa <({0}) {1}", "aa {0}\\\n{1} bb",
)  # fmt: skip


@st.composite
def _lines(draw: st.DrawFn) -> str:
    def fragment() -> str:
        parts = draw(st.lists(st.tuples(st.sampled_from(_FRAGMENTS), st.sampled_from(["", " "])), max_size=3))
        return "".join(text + gap for text, gap in parts)

    inner = draw(st.sampled_from(_FORMS)).format(fragment(), fragment())
    return draw(st.sampled_from(_FORMS)).format(inner, fragment()) if draw(st.booleans()) else inner


@pytest.fixture(scope="module")
def bash(tmp_path_factory: pytest.TempPathFactory) -> Bash:
    return Bash(tmp_path_factory.mktemp("bash"))


def _explains(each: Judged, call: tuple[str, ...]) -> bool:
    words = [word.text for word in each.command.words]
    if words[0] is None:
        return True
    known = words.index(None) if None in words else len(words)
    return call[:known] == tuple(words[:known]) and (None in words or len(call) == len(words))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_lines())
def test_whatever_a_certain_line_runs_or_writes_was_read_from_it(bash: Bash, line: str) -> None:
    found = judged(line)
    if not found.certain or "while" in line:
        return

    done = bash.run(line)

    unseen = [call for call in done.calls if not any(_explains(each, call) for each in found.commands)]
    written = {each.target.text for each in found.redirections if each.writes}
    assert unseen == []
    assert None in written or done.files <= {os.path.normpath(text) for text in written if text}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_lines())
def test_a_line_that_is_allowed_runs_only_what_a_rule_covers(bash: Bash, line: str) -> None:
    policy = PermissionPolicy(allow=[f"bash({name}:*)" for name in ("aa", "git", "timeout", "env", "nice", "xargs")])
    if policy.check("bash", {"command": line}) is not PermissionDecision.allow or "while" in line:
        return

    done = bash.run(line)

    assert {call[0] for call in done.calls} <= {"aa", "git"}
    assert done.files == frozenset()


_WRAPPED = (
    "env xargs sudo find timeout nice time exec command trap alias eval bash sh ssh npm docker git sed awk tar printf test [ "
    "-c -I -I{} -d -n -k -o -exec {} ; + -- - -S --signal= --signal -e -u A=1 A= = '' 'rm x' \"$x\" $x *.py -5 exec run"
).split()


@example(words=["run", "-o", "[", "sh", "sudo", ";"], text="{\U0010ffff\uab65\ub2af\U0010ffff\U0010ffff")
@given(
    st.lists(st.sampled_from(_WRAPPED), max_size=8),
    st.text(max_size=8) | st.text("\U0010ffff\u3000é{}()$x\\", max_size=8),
)
def test_no_line_cannot_be_judged(words: list[str], text: str) -> None:
    for line in (" ".join(words), " ".join([*words, text])):
        judged(line.replace(" ; ", " \\; "))


@pytest.mark.parametrize(
    "line",
    [
        "aa\\\nbb x",
        "aa ls#x; rm y",
        "aa # x\\\nrm y",
        "aa >& \\'f",
        "v={\\` rm \\'",
        "aa > ${v}\\`x; bb",
        "aa <<E\nx\\\nE\nrm x\nE",
        "aa 1 2>f",
        "aa == 2>f",
        "aa <<E ,`bb`[[\n\nE\nbb",
        "aa $'\\0rm' x",
        "aa -exec$",
        'aa "`bb "a\\"; rm x; \\"b"`"',
        "aa `bb \\`rm x\\``",
        "aa <<'bb'\nbb \nrm x\nbb",
        "aa <<-'E'\n E\nrm x\n\tE\nbb",
        "aa > f -2>&1",
        "aa >& --",
        "aa bb''\\$",
        "aa }\\$ x",
    ],
)
def test_where_the_parser_and_bash_differ_the_line_is_read_as_bash_does_or_not_at_all(bash: Bash, line: str) -> None:
    found = judged(line)

    done = bash.run(line)

    if found.certain:
        assert [call for call in done.calls if not any(_explains(each, call) for each in found.commands)] == []
        assert done.files <= {each.target.text for each in found.redirections if each.writes}
