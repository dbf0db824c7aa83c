"""What a rule that denies may know a command by: more than what surely runs, so that little is missed."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence

from actors.domain.shell.programs import INTERPRETERS, runs_others
from actors.domain.shell.script import Command
from actors.domain.shell.settings import harmless_before
from actors.domain.shell.wide import possible_commands
from actors.domain.shell.wrappers import Inner

_MARKS = "=:!'\""
"""Behind these a program may be named within a word: ``--rsh=x``, ``exec:x``, ``alias.a=!x``."""

_SED_RUNS = re.compile(r"(?:^|[;}\d])\s*e\s+")
_NAMES_PROGRAM = re.compile(r".*(?:PAGER|EDITOR|COMMAND|SHELL|VISUAL|BROWSER|ASKPASS|DIFF|ENV|CMD|OPENER|PS4)")
_RUNNERS = {
    "npm": {"exec", "x"},
    "pnpm": {"exec", "dlx"},
    "yarn": {"exec", "dlx"},
    "bun": {"x"},
    "docker": {"exec", "run"},
    "podman": {"exec", "run"},
    "kubectl": {"exec", "run"},
    "uv": {"run"},
    "poetry": {"run"},
    "pipenv": {"run"},
    "pdm": {"run"},
    "hatch": {"run"},
    "bundle": {"exec"},
    "nix": {"run", "shell"},
    "systemctl": {"edit"},
    "go": {"run"},
}
"""Programs that run another when their first word says so. A rule that allows them allows that."""


def readings(command: Command, inner: Inner | None) -> tuple[str, ...]:
    """The texts of one command."""
    texts = command.texts
    base = posixpath.basename(texts[0])
    found = [" ".join(texts), *_from(base, texts)]
    if command.name is None:
        found += possible_commands(command.source).texts
    elif (inner is not None and not inner.known) or INTERPRETERS.fullmatch(base) or runs_others(texts):
        for word in texts[1:]:
            found += _run_by(word)
    for assignment in command.assignments:
        value = assignment.value
        if value is not None and _NAMES_PROGRAM.fullmatch(assignment.name) and not harmless_before(assignment):
            found += possible_commands(value.source if value.text is None else value.text).texts
    return tuple(dict.fromkeys(found))


def _from(base: str, texts: Sequence[str]) -> Iterator[str]:
    """The command under its plain name, without options before what it shall do, and what it runs by that."""
    yield " ".join([base, *texts[1:]])
    at = 1
    while at < len(texts) and texts[at].startswith("-"):
        # An option may have a value in the next word, or none.
        at += 1
        yield " ".join([base, *texts[at:]])
        yield " ".join([base, *texts[at + 1 :]])
    if _RUNNERS.get(base, set()) & set(texts[1:4]):
        for start in range(2, min(len(texts), 12)):
            yield " ".join(texts[start:])


def _run_by(word: str) -> Iterator[str]:
    """What a program may take from a word to run it."""
    yield from possible_commands(word).texts
    pieces = [part for mark in _MARKS if mark in word for part in word.split(mark)[1:]]
    pieces += _SED_RUNS.split(word)[1:]
    if re.match(r"-\w\w", word):
        pieces.append(word[2:])
    for piece in pieces:
        yield from possible_commands(piece).texts
