"""Boundary to tree-sitter: a line becomes a tree whose every byte is accounted for, or nothing.

The parser is made to go on after errors, and its idea of blanks is wider than bash's. So a tree counts only when it is
free of errors, and when nothing lies between its leaves but what bash takes for blank too.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tree_sitter import Node

MAX_LINE_BYTES = 8 * 1024
"""Longest line that is parsed: more than a person reads before they approve it. The parser takes up to 0.5 s for the
worst of that length, and more than twice that for twice the length."""

MAX_DEPTH = 100
"""Deepest tree, in nodes: some 25 commands nested in one another."""

_ODD = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_NOT_ASCII = re.compile(rb"[\x80-\xff]")
"""For bash these are letters of words. The parser gets another letter in their place: with characters beyond ASCII some
lines end it, and the process with it, by a segmentation fault."""

_GAP = re.compile(rb"(?!(?:\\\n)+\Z)(?:[ \t]|\\\n)*")
_LINE_GAP = re.compile(rb"(?!(?:\\\n)+\Z)(?:[ \t\n]|\\\n)*")
"""Blanks. A line that is continued is none by itself: it joins what is before it and behind it."""

_ONE_LINE = frozenset({"command", "declaration_command", "unset_command", "file_redirect", "herestring_redirect"})
"""Nodes whose parts stand in one logical line: a newline between them would end the command for bash."""

_WORDS = _ONE_LINE | {"for_statement", "variable_assignments"}
"""Nodes with words side by side: two that touch are one word for bash."""

_TIGHT = frozenset({"concatenation", "simple_expansion", "string", "variable_assignment", "expansion", "subscript"})
"""Nodes that are one word or less: nothing at all may lie between their parts."""


def syntax(line: str) -> Node | None:
    """The tree of a line; None when it is none that bash would surely read the same way."""
    if _ODD.search(line):
        return None
    try:
        source = line.encode()
    except UnicodeEncodeError:
        return None
    if len(source) > MAX_LINE_BYTES:
        return None
    root = _parser()(_NOT_ASCII.sub(b"x", source))
    if root.has_error or not _accounts_for(root, source):
        return None
    return root


@cache
def _parser() -> Callable[[bytes], Node]:
    # Loaded when the first line is judged: 5 MiB that most processes never need.
    import tree_sitter
    import tree_sitter_bash

    language = tree_sitter.Language(tree_sitter_bash.language())

    def parse(source: bytes) -> Node:
        return tree_sitter.Parser(language).parse(source).root_node

    return parse


def _accounts_for(root: Node, source: bytes) -> bool:
    """Whether the tree is within bounds, has no error, and leaves nothing of the line out."""
    if not _LINE_GAP.fullmatch(source[: root.start_byte]) or not _LINE_GAP.fullmatch(source[root.end_byte :]):
        return False
    todo: list[tuple[Node, int]] = [(root, 0)]
    while todo:
        node, depth = todo.pop()
        if node.is_error or node.is_missing or depth > MAX_DEPTH:
            return False
        children = node.children
        if children:
            if not _closed(node, children, source):
                return False
            todo += [(child, depth + 1) for child in children]
        elif not node.is_named and source[node.start_byte : node.end_byte] != node.type.encode():
            # A token that takes in more than it is.
            return False
    return True


def _closed(node: Node, children: list[Node], source: bytes) -> bool:
    """Whether only blanks lie between the parts of a node."""
    if node.type in {"heredoc_redirect", "heredoc_body", "string", "translated_string"}:
        # Their text is read by its own rules.
        return True
    gap = _GAP if node.type in _ONE_LINE else _LINE_GAP
    at = node.start_byte
    touching = False
    for child in children:
        between = source[at : child.start_byte]
        if child.start_byte < at or (between and node.type in _TIGHT) or not gap.fullmatch(between):
            return False
        if child.type == "comment" and not _is_comment(child, source):
            return False
        word = node.type in _WORDS and (child.is_named or node.type == "command")
        if touching and child.start_byte == at and word and not child.type.endswith("_redirect"):
            return False
        touching = word
        at = child.end_byte
    return not source[at : node.end_byte].strip(b" \t\n")


def _is_comment(node: Node, source: bytes) -> bool:
    """Whether bash, too, sees a comment: it begins where a word could, and goes to the end of the line."""
    before, after = source[: node.start_byte], source[node.end_byte :]
    begins = not before or (before[-1:] in b" \t\n;&|()" and not before.endswith(b"\\\n"))
    return begins and (not after or after.startswith(b"\n"))
