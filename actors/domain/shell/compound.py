"""Loops, cases and tests: what they run is read by the reader of the line, what they only compare is read here."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from actors.domain.shell.script import Assignment, Command, Word
from actors.domain.shell.words import WORDS

if TYPE_CHECKING:
    from tree_sitter import Node

    from actors.domain.shell.reading import Reader

_PLAIN_PATTERN = re.compile(r"[\w.*?/@:+,-]+")
_CASE_TOKENS = frozenset({"case", "in", "esac", ";", "\n"})
_ITEM_ENDS = frozenset({";;", ";&", ";;&"})
_EVALUATING = frozenset("-v -R -eq -ne -lt -le -gt -ge -o".split())
"""In ``[[`` these take a text for a variable, or for arithmetic, and that may run commands."""


def _read_nothing(reader: Reader, node: Node) -> None:
    """A comment."""


def _read_for(reader: Reader, node: Node) -> None:
    """``for name in words; do ...; done``."""
    for child in node.children:
        if child.type == "variable_name":
            reader.assignments.append(Assignment(reader.words.text(child), None))
        elif child.type in WORDS:
            reader.words.word(child)
        else:
            reader.statement(child)


def _read_case(reader: Reader, node: Node) -> None:
    """``case word in pattern) ...;; esac``."""
    for child in node.children:
        if child.type == "case_item":
            _read_item(reader, child)
        elif child.type in WORDS:
            reader.words.word(child)
        elif child.type not in _CASE_TOKENS:
            reader.doubt()


def _read_item(reader: Reader, node: Node) -> None:
    pattern = True
    for child in node.children:
        if child.type == ")" and pattern:
            pattern = False
        elif pattern and (child.type in WORDS or child.type in {"extglob_pattern", "|", "("}):
            _read_pattern(reader, child)
        elif child.type not in _ITEM_ENDS:
            reader.statement(child)


def _read_pattern(reader: Reader, node: Node) -> None:
    if not node.is_named or _PLAIN_PATTERN.fullmatch(reader.words.text(node)):
        return
    if node.type == "extglob_pattern":
        reader.doubt()
        reader.inside(node)
    else:
        reader.words.word(node)


def _read_test(reader: Reader, node: Node) -> None:
    """``[`` is a command like others; ``[[`` is known as long as it only compares texts and asks about files."""
    leaves = list(_leaves(node))
    opening = leaves[0].type
    texts = {reader.words.text(leaf) for leaf in leaves}
    apart = all(leaf.start_byte > before.end_byte for before, leaf in itertools.pairwise(leaves))
    odd = [leaf for leaf in leaves if leaf.type == "regex" or leaf.type.startswith("extglob")]
    patterns = not all(_PLAIN_PATTERN.fullmatch(reader.words.text(leaf)) for leaf in odd)
    if not apart or patterns or opening not in {"[", "[["} or (opening == "[[" and texts & _EVALUATING):
        reader.doubt()
        reader.inside(node)
        return
    words = [reader.words.word(leaf) if leaf.type in WORDS else Word.plain(reader.words.text(leaf)) for leaf in leaves]
    if opening == "[":
        reader.commands.append(Command(tuple(words), (), reader.words.text(node)))


def _leaves(node: Node) -> Iterator[Node]:
    """The words and operators of a test, in order."""
    for child in node.children:
        if child.type in WORDS or not child.children:
            yield child
        else:
            yield from _leaves(child)


READERS = {
    "for_statement": _read_for,
    "case_statement": _read_case,
    "test_command": _read_test,
    "comment": _read_nothing,
}
"""Kinds of statements that are read here."""
