"""Shell lines as permission rules see them: what surely is one plain command, and what may run in any case.

This is no shell parser. It knows one plain simple command when it sees it, and takes everything else apart more often
than a shell would: an allow rule then fits less, a deny rule more.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterator
from typing import NamedTuple

from actors.domain.shell_programs import ASSIGNMENT, RESERVED, runs_others

MAX_LINE = 16 * 1024
"""Longest line, in characters, that counts as plain; also bounds the work that a model can cause here."""

_MAX_READINGS = 4096
_MAX_READ_CHARS = 1 << 21
"""Readings of one line, and their characters: a script of a thousand commands; more than that is not looked through."""

_MAX_DEPTH = 4
"""Quoted lines within quoted lines that are looked into."""

_NOT_PLAIN = re.compile(r"[;&|`$<>(){}\x00-\x08\x0a-\x1f\x7f]")
_SEPARATOR = re.compile(r"[;&|`<>(){}\n\r]|\$(?=[({])")
_FIELD_SEPARATOR = re.compile(r"\$\{?IFS\b\}?")


def plain_command(line: str) -> tuple[str, ...]:
    """The texts of a line that surely is one simple command without expansions; empty for any other line.

    The first text is the line as it stands, the second its words, quoted only where they need it.

    >>> plain_command(' git  status ')
    ('git  status', 'git status')
    >>> plain_command('git status; rm -rf /')
    ()
    """
    stripped = line.strip(" \t")
    if not stripped or len(stripped) > MAX_LINE or _NOT_PLAIN.search(stripped) or _odd_space(stripped):
        return ()
    try:
        words = shlex.split(stripped)
    except ValueError:
        return ()
    if not words or not words[0] or runs_others(words) or any(char.isspace() for char in words[0]):
        return ()
    return tuple(dict.fromkeys((stripped, shlex.join(words))))


class Readings(NamedTuple):
    """What a line may run. ``complete`` is False when there is more than was looked through."""

    texts: tuple[str, ...]
    complete: bool


def possible_commands(line: str) -> Readings:
    """The line itself, and every simple command that it may run, in the readings that a rule may know it by."""
    found = dict.fromkeys([line, line.strip()])
    size = 0
    for text in _readings(line, 0):
        if text not in found:
            found[text] = None
            size += len(text)
        if len(found) > _MAX_READINGS or size > _MAX_READ_CHARS:
            return Readings(tuple(found), complete=False)
    return Readings(tuple(found), complete=True)


def _odd_space(text: str) -> bool:
    return any(char.isspace() and char not in " \t" for char in text)


def _readings(line: str, depth: int) -> Iterator[str]:
    spaced = _FIELD_SEPARATOR.sub(" ", line.replace("\\\n", ""))
    for part in _SEPARATOR.split(spaced):
        words = _words(part)
        if not words:
            continue
        yield part.strip()
        yield from _commands(words)
        if depth < _MAX_DEPTH:
            for word in words:
                if any(char.isspace() for char in word) and word.strip() != line.strip():
                    yield from _readings(word, depth + 1)


def _commands(words: list[str]) -> Iterator[str]:
    """The command, without what comes before its name; behind a wrapper any word may be the name."""
    start = 0
    while start < len(words) and (ASSIGNMENT.match(words[start]) or words[start] in RESERVED):
        start += 1
    yield from _named(words[start:])
    if words[start:] and runs_others(words[start:]):
        for at in range(start + 1, len(words)):
            yield from _named(words[at:])


def _named(words: list[str]) -> Iterator[str]:
    if words:
        name = posixpath.basename(words[0])
        yield " ".join(words)
        yield " ".join([name, *words[1:]])


def _words(part: str) -> list[str]:
    try:
        return shlex.split(part)
    except ValueError:
        # An open quote: its other half was cut off, so the quotes say nothing.
        return re.sub(r"[\"'\\]", "", part).split()
