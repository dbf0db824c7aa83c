"""Programs that run what their words say: which commands those are.

For rules that deny, every reading counts. For rules that allow, only programs whose options are known here to the last
are seen through, and the command inside needs a rule of its own.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass

from actors.domain.shell.programs import ASSIGNMENT, FIND_RUNS, WRAPPERS
from actors.domain.shell.script import UNKNOWN, Assignment, Command, Word


@dataclass(frozen=True, slots=True)
class Inner:
    """What a command runs.

    Attributes:
        commands: Simple commands.
        lines: Lines for a shell.
        known: Whether this is all it runs, and it does nothing else that matters.
        hidden: Whether it may run something that its words do not show.
    """

    commands: tuple[Command, ...] = ()
    lines: tuple[str, ...] = ()
    known: bool = False
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class _Options:
    """Options before the command: letters and long names, with a value or without, and operands that come first."""

    flags: str = ""
    valued: str = ""
    long: str = ""
    operands: int = 0
    known: bool = True


_SHELLS = frozenset("sh bash dash zsh ksh mksh ash rbash".split())
_PREFIXES = {
    "timeout": _Options("v", "ks", "preserve-status foreground verbose kill-after= signal=", 1),
    "nice": _Options("", "n", "adjustment="),
    "nohup": _Options(),
    "time": _Options("p"),
    "stdbuf": _Options("", "ioe", "input= output= error="),
    "ionice": _Options("t", "cn", "ignore class= classdata="),
    "command": _Options("p"),
    "builtin": _Options(),
    "exec": _Options("cl", "a", known=False),
    # It leaves the process group that is ended with the call.
    "setsid": _Options("cfw", known=False),
}
_XARGS = _Options("0rtx", "nPLdsEI", "null no-run-if-empty verbose exit max-args= max-procs= delimiter=")
_ENV = _Options("i0v", "", "ignore-environment null debug")
_SHELL_FLAGS = re.compile(r"-[eufxnv]*c?[eufxnv]*")
_BASH_ONLY = re.compile(r"\$['\"]|&>|\|&|<\(|>\(|[{}\[\]]|<<<")
"""What other shells read in another way than bash."""

_MAX_SUFFIXES = 32


def see_through(command: Command) -> Inner | None:
    """What a command runs by its words; None for a program that is not known to run others."""
    name = posixpath.basename(command.name or "")
    words = command.words[1:]
    if name in _SHELLS:
        return _shell(name, words)
    if name in _PREFIXES:
        return _prefix(name, words)
    if name in _SPECIAL:
        return _SPECIAL[name](words)
    return _any(words) if name in WRAPPERS else None


def _prefix(name: str, words: Sequence[Word]) -> Inner:
    options = _PREFIXES[name]
    at = _behind(words, options)
    if name == "command" and words and words[0].text in {"-v", "-V"}:
        return Inner(known=True)
    if name == "nice" and words and re.fullmatch(r"-\d+", words[0].text or ""):
        at = 1
    if at is None:
        return _any(words)
    return Inner(_command(words[at + options.operands :]), known=options.known)


def _behind(words: Sequence[Word], options: _Options) -> int | None:
    """Where the options end; None when there is one that is not known."""
    at = 0
    while at < len(words):
        text = words[at].text
        if text is None or text == "-":
            return None if text is None and not words[at].operand else at
        if not text.startswith("-"):
            return at
        at += 1
        if text == "--":
            return at
        taken = _long(text[2:], options) if text.startswith("--") else _short(text[1:], options)
        if taken is None:
            return None
        at += taken
    return at if at == len(words) else None


def _long(text: str, options: _Options) -> int | None:
    name, given, _ = text.partition("=")
    if f"{name}=" in options.long.split():
        return 0 if given else 1
    return 0 if not given and name in options.long.split() else None


def _short(letters: str, options: _Options) -> int | None:
    for at, letter in enumerate(letters):
        if letter in options.valued:
            return 0 if at + 1 < len(letters) else 1
        if letter not in options.flags:
            return None
    return 0


def _command(words: Sequence[Word], assignments: tuple[Assignment, ...] = ()) -> tuple[Command, ...]:
    return (Command(tuple(words), assignments, " ".join(word.source for word in words)),) if words else ()


def _any(words: Sequence[Word]) -> Inner:
    """Any word may be the command's name, or a line for a shell."""
    found: list[Command] = []
    lines: list[str] = []
    for at, word in enumerate(words[:_MAX_SUFFIXES]):
        text = word.text
        if text is not None and not text.startswith("-") and not ASSIGNMENT.match(text):
            found += _command(words[at:])
        if text is not None and any(char.isspace() for char in text):
            lines += [text, text.partition("=")[2]] if "=" in text else [text]
    hidden = len(words) > _MAX_SUFFIXES or any(word.text is None and not word.operand for word in words)
    return Inner(tuple(found), tuple(lines), hidden=hidden)


def _env(words: Sequence[Word]) -> Inner:
    at = _behind(words, _ENV)
    if at is None:
        return _any(words)
    if at < len(words) and words[at].text == "-":
        at += 1
    given: list[Assignment] = []
    while at < len(words) and (text := words[at].text) is not None and "=" in text:
        name, _, value = text.partition("=")
        given.append(Assignment(name, Word.plain(value)))
        at += 1
    return Inner(_command(words[at:], tuple(given)), known=True)


def _xargs(words: Sequence[Word]) -> Inner:
    at = _behind(words, _XARGS)
    if at is None:
        return _any(words)
    mark = next((_mark(words, index) for index in range(at) if (words[index].text or "").startswith("-I")), None)
    inner = tuple(UNKNOWN if mark and mark in word.source else word for word in words[at:])
    if not inner:
        return Inner(known=True)
    return Inner(_command(inner if mark else (*inner, UNKNOWN)), known=True)


def _mark(words: Sequence[Word], at: int) -> str:
    text = words[at].text or ""
    return text[2:] or (words[at + 1].text or "" if at + 1 < len(words) else "")


def _find(words: Sequence[Word]) -> Inner:
    found: list[Command] = []
    known = all(word.text is not None or word.operand for word in words)
    below = bool(words) and (words[0].text or "").startswith((".", "/"))
    at = 0
    while at < len(words):
        if words[at].text not in FIND_RUNS:
            at += 1
            continue
        begin = at = at + 1
        while at < len(words) and not _ends_action(words, at):
            at += 1
        known = known and at < len(words)
        found += _command([_found_file(word, below) for word in words[begin:at]])
    # Unquoted, a word may become several, and one of them -exec.
    hidden = any(word.text is None and not word.operand and not word.source.startswith('"') for word in words)
    return Inner(tuple(found), known=known, hidden=hidden)


def _ends_action(words: Sequence[Word], at: int) -> bool:
    return words[at].text == ";" or (words[at].text == "+" and "{}" in words[at - 1].source)


def _found_file(word: Word, below: bool) -> Word:
    """A word of ``-exec``: braces in it become a name that begins as the place does where the search began."""
    return Word(word.source, None, below and word.text == "{}") if "{}" in word.source else word


def _shell(name: str, words: Sequence[Word]) -> Inner:
    """``bash -c line``; without a line or a file it runs what comes in, which nobody can see here."""
    plain = True
    for at, word in enumerate(words):
        text = word.text
        if text is None:
            return Inner(hidden=True)
        if not text.startswith(("-", "+")):
            # A script, as visible as any program.
            return Inner()
        plain = plain and bool(_SHELL_FLAGS.fullmatch(text)) and text not in {"-", "--"}
        if "c" in text and not text.startswith("--"):
            line = words[at + 1].text if at + 1 < len(words) else None
            if line is None:
                return Inner(hidden=True)
            known = plain and name in {"bash", "sh"} and (name == "bash" or not _BASH_ONLY.search(line))
            return Inner(lines=(line,), known=known)
        if text in {"-o", "+o", "-O", "+O", "--rcfile", "--init-file"}:
            return _any(words)
    return Inner(hidden=True)


def _eval(words: Sequence[Word]) -> Inner:
    if any(word.text is None for word in words):
        return Inner(hidden=True)
    return Inner(lines=(" ".join(word.text or "" for word in words),), known=True)


def _texts(words: Sequence[Word]) -> Inner:
    """Each word may be a line, or have one behind an equals sign: ``trap``, ``alias``."""
    lines = [word.text.partition("=")[2] or word.text for word in words if word.text]
    return Inner(lines=tuple(lines), hidden=any(word.text is None for word in words))


_SPECIAL = {
    "env": _env,
    "xargs": _xargs,
    "find": _find,
    "eval": _eval,
    "trap": _texts,
    "alias": _texts,
}
