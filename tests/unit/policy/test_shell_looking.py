# ruff: noqa: E501 (pieces of one kind read best side by side)
"""Lines that are said to only look are run, in a directory whose every byte is compared before and after."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.domain.shell.line import judged
from actors.domain.shell.looking import only_looks
from actors.domain.tools import EffectClass, ToolDefinition
from actors.policy.effects import effect_of

_PROGRAMS = (
    "cat head tail wc sort uniq grep sed awk find git ls cut tr tee touch cp mv rm mkdir rmdir ln date tree file rg env xargs "
    "timeout nice printf echo test cd diff cmp od split shuf dd truncate install patch sh bash eval command tar gzip base64 stat"
).split()
_WORDS = (
    "a b c/d . -n -o -i -e -r -c -w -z -T -f -d -x -O 1 5 x out --output=out --output out -exec touch {} ; + -delete -print "
    "-fprint -name '*' '1p' 's/a/b/w out' 'w out' 's/a/b/e' '{print}' '{print > \"out\"}' 'BEGIN{system(\"touch out\")}' "
    "log status show diff branch tag commit add -m --no-optional-locks rev-parse HEAD ls-files config user.x y stash gc new "
    "-C --version -- of=out if=a -p -s 0 A=1 --in-place --suffix=x --files0-from=a --compress-program=x $x \"$x\" $(ls) `touch out`"
).split(" ")  # fmt: skip
_JOINTS = ("", " | ", "; ", " && ", " > /dev/null; ", " > out; ", " 2>&1 | ", " >> a; ", "\n", " & ")


@st.composite
def _lines(draw: st.DrawFn) -> str:
    line = ""
    for _ in range(draw(st.integers(1, 2))):
        words = [draw(st.sampled_from(_PROGRAMS)), *draw(st.lists(st.sampled_from(_WORDS), max_size=4))]
        line += " ".join("';'" if word == ";" else word for word in words) + draw(st.sampled_from(_JOINTS))
    return line.rstrip("|;& \n")


def _fingerprint(root: Path) -> dict[str, tuple[int, str]]:
    found: dict[str, tuple[int, str]] = {}
    for directory, names, files in os.walk(root):
        for name in [*names, *files]:
            path = Path(directory) / name
            content = os.readlink(path) if path.is_symlink() else path.read_bytes().hex() if path.is_file() else ""
            found[str(path.relative_to(root))] = (path.lstat().st_mode, hashlib.sha256(content.encode()).hexdigest())
    return found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("place")
    (root / "a").write_text("b\na\na\n")
    (root / "b").write_text("touch out\n")
    (root / "c").mkdir()
    (root / "c" / "d").write_text("d")
    _git(root, "init", "-q")
    _git(root, "add", ".")
    _git(root, "-c", "user.name=x", "-c", "user.email=x@x", "commit", "-q", "-m", "one")
    # The index is out of date now, so that whatever refreshes it writes it.
    os.utime(root / "a", (1, 1))
    return root


def _git(root: Path, *args: str) -> None:
    subprocess.run(["git", *args], cwd=root, check=True, env={"PATH": os.environ["PATH"], "HOME": str(root)})


def _run(root: Path, line: str) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": "/nowhere", "LC_ALL": "C.UTF-8"}
    subprocess.run(
        ["/bin/bash", "-c", line],
        cwd=root,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=20,
    )


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_lines())
def test_no_line_that_writes_is_said_to_only_look(place: Path, line: str) -> None:
    if not only_looks(judged(line)) or "tail -f" in line:
        return
    before = _fingerprint(place)

    _run(place, line)

    assert _fingerprint(place) == before


_LOOKING = [
    "ls -la",
    "cat a | sort | uniq -c | sort -rn | head -5",
    "grep -rn x . 2>/dev/null || true",
    "find . -type f -name '*.py' -not -path './.git/*' -exec wc -l {} +",
    "find . -name '*.py' | xargs grep -l x",
    "sed -n '1,5p' a",
    "awk -F: '{print $1}' a",
    "git log --oneline -5 && git show --stat HEAD",
    "git --no-optional-locks status --short",
    "git branch -a; git remote -v; git rev-parse --abbrev-ref HEAD",
    "cd c && pwd && ls",
    'for f in a b; do head -n 1 "$f"; done',
    "if [[ -f a ]]; then wc -l < a; fi",
    "timeout 5 cat a",
    "python3 --version",
]


@pytest.mark.parametrize("line", _LOOKING)
def test_a_line_that_reads_is_known_to_and_changes_nothing(place: Path, line: str) -> None:
    before = _fingerprint(place)

    _run(place, line)

    assert only_looks(judged(line))
    assert _fingerprint(place) == before


@pytest.mark.parametrize(
    "line",
    [
        "git status", "git diff", "git branch new", "git tag new", "git config user.x y", "git stash", "git fetch", "git -C x log",
        "sort -o a b", "sort a -obc", "uniq a b", "sed -i s/a/b/ a", "sed 'w out' a", "awk '{print > \"out\"}' a", "tee out",
        "find . -delete", "find . -exec touch {} +", "find . -fprint out", "find $x", "xargs touch", "date -s 1", "date 01010101",
        "env FOO=1 make", "cat a > b", "cat a >> b", "ls $(touch x)", "ls `touch x`", "cat <(touch x)", "tail a | tee b", "python3 x.py",
        "./ls", "/bin/ls", "ls() { touch x; }; ls", "printf -v x y", "test -v 'a[$(touch x)]'", "file -C", "tree -o out", "rg --pre x y",
        "PATH=. ls", "LD_PRELOAD=x ls", "x=y", "yes > /dev/null", "source a", "hostname x", "vim a", "",
    ],
)  # fmt: skip
def test_a_line_that_may_write_is_not_said_to_only_look(line: str) -> None:
    assert not only_looks(judged(line))


def test_only_the_argument_that_is_a_line_makes_a_call_pure() -> None:
    shell = ToolDefinition(name="bash", line_argument="command")
    own = ToolDefinition(name="bash", effect=EffectClass.idempotent)

    assert effect_of(shell, {"command": "ls"}) is EffectClass.pure
    assert effect_of(shell, {"command": "touch x"}) is EffectClass.unsafe
    assert effect_of(shell, {"command": 5, "line": "ls"}) is EffectClass.unsafe
    assert effect_of(own, {"command": "ls"}) is EffectClass.idempotent
