"""What a line may run, however it is written: for lines that the parser does not understand, and rules that deny.

This is no shell parser. It takes a line apart more often than a shell would, and so finds more than is there.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterator
from typing import NamedTuple

from actors.domain.shell.programs import ASSIGNMENT, RESERVED, runs_others

_MAX_READINGS = 4096
_MAX_READ_CHARS = 1 << 21
"""Readings of one line, and their characters: a script of a thousand commands; more than that is not looked through."""

_MAX_DEPTH = 4
"""Quoted lines within quoted lines that are looked into."""

_SEPARATOR = re.compile(r"[;&|`<>(){}\n\r]|\$(?=[({])")
_FIELD_SEPARATOR = re.compile(r"\$\{?IFS\b\}?")


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
