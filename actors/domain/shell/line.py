"""What a line comes down to: every simple command in it, also those behind others, and how sure that is."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from functools import lru_cache

from actors.domain.shell.programs import RESERVED, heeds, runs_others
from actors.domain.shell.reading import MAX_COMMANDS, MAX_NESTING, read
from actors.domain.shell.readings import readings
from actors.domain.shell.script import Command, Redirection, Script, Word
from actors.domain.shell.settings import harmless_alone, harmless_before
from actors.domain.shell.wide import possible_commands
from actors.domain.shell.wrappers import Inner, see_through


@dataclass(frozen=True, slots=True)
class Judged:
    """A simple command as rules judge it.

    Attributes:
        command: Its words and assignments.
        firm: Whether it surely is the command it shows, so that an allow rule may cover it.
        wraps: Whether it runs others, which are judged beside it.
        texts: More texts that a rule which denies may know it by.
    """

    command: Command
    firm: bool
    wraps: bool = False
    texts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """A line as rules judge it.

    Attributes:
        commands: Every simple command, outer ones first.
        redirections: The files that the shell opens.
        moves: Whether it changes its directory, so that relative paths say little.
        certain: Whether this is all there is.
        texts: When not certain: everything that it may come down to.
        overlong: Whether there is more than was looked through.
    """

    commands: tuple[Judged, ...]
    redirections: tuple[Redirection, ...]
    moves: bool
    certain: bool
    texts: tuple[str, ...] = ()
    overlong: bool = False


@lru_cache(maxsize=16)
def judged(line: str) -> Line:
    """A line taken apart. Lines are judged again and again while their calls wait, so the latest are remembered."""
    flat = _Flat()
    flat.add(read(line), 0)
    certain = flat.certain and len(flat.commands) <= MAX_COMMANDS
    moves = any(posixpath.basename(each.command.name or "") in _MOVING for each in flat.commands)
    commands, redirections = tuple(flat.commands), tuple(flat.redirections)
    if certain:
        return Line(commands, redirections, moves, certain)
    wide = possible_commands(line)
    return Line(commands, redirections, moves, certain, wide.texts, overlong=not wide.complete)


_MOVING = frozenset({"cd", "pushd", "popd"})


class _Flat:
    """The commands of a script, and of all that they run."""

    def __init__(self) -> None:
        self.commands: list[Judged] = []
        self.redirections: list[Redirection] = []
        self.certain = True
        self._seen: set[tuple[Word, ...]] = set()

    def add(self, script: Script, nesting: int) -> None:
        """Add what a script does."""
        self.redirections += script.redirections
        self.certain = self.certain and script.certain and all(map(harmless_alone, script.assignments))
        for command in script.commands:
            self._command(command, nesting)

    def _command(self, command: Command, nesting: int, *, reading: bool = False) -> None:
        if len(self.commands) > MAX_COMMANDS or nesting > MAX_NESTING:
            self.certain = False
            return
        if reading and command.words in self._seen:
            # One of many readings of a wrapper's words, which are readings of each other.
            return
        self._seen.add(command.words)
        inner = see_through(command)
        if command.words[0].source in RESERVED or (inner is not None and inner.hidden):
            self.certain = False
        self.commands.append(Judged(command, _firm(command, inner), inner is not None, readings(command, inner)))
        if inner is not None:
            for each in inner.commands:
                self._command(each, nesting + 1, reading=not inner.known)
            for line in inner.lines:
                self.add(read(line, nesting + 1), nesting + 1)


def _firm(command: Command, inner: Inner | None) -> bool:
    name = command.name
    if not name or name.startswith("~") or any(char.isspace() for char in name):
        return False
    if not all(map(harmless_before, command.assignments)):
        return False
    base = posixpath.basename(name)
    if inner is not None and (not inner.known or base != "find"):
        return inner.known
    if command.literal:
        return not runs_others(command.texts)
    heeded = heeds(base)
    if "operands" in heeded:
        return False
    return not runs_others(command.texts) and ("options" not in heeded or _operands_only(command.words))


def _operands_only(words: tuple[Word, ...]) -> bool:
    """Whether no word of unknown text can be an option."""
    before = ""
    for word in words:
        if word.text == "--":
            return True
        message = before in _MESSAGES and word.source.startswith('"') and "@" not in word.source
        if word.text is None and not word.operand and not message:
            return False
        before = word.text or ""
    return True


_MESSAGES = frozenset({"-m", "--message"})
"""Options of git whose next word is text, whatever it begins with: ``git commit -m "$(cat <<'EOF' ..."`` is common."""
