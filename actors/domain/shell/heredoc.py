"""Here-documents, read a second time: where one ends decides what of a line is text and what is run."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tree_sitter import Node

_DELIMITER = re.compile(rb"'([\w.-]+)'|\"([\w.-]+)\"|([\w.-]+)")
_EXPANSION = re.compile(rb"\$[A-Za-z0-9_@*#?$!({\[-]|`|\\")
_BLANK = re.compile(rb"[ \t]*")
_SOME_BLANK = re.compile(rb"[ \t]+")


class Heredoc:
    """A here-document and what stands behind it in its line.

    Attributes:
        certain: Whether bash surely ends it at the same place.
        behind: Nodes between its delimiter and the end of that line.
        expansions: Nodes in its body that bash expands.
    """

    def __init__(self, node: Node, source: bytes) -> None:
        start = next(child for child in node.children if child.type == "heredoc_start")
        body = next((child for child in node.children if child.type == "heredoc_body"), None)
        end = next((child for child in node.children if child.type == "heredoc_end"), None)
        parts = ("file_descriptor", "<<", "<<-", "heredoc_start", "heredoc_body", "heredoc_end")
        self.behind = [child for child in node.children if child.type not in parts]
        named = _DELIMITER.fullmatch(source[start.start_byte : start.end_byte])
        self.expansions: list[Node] = []
        if body is not None and not (named and not named[3]):
            self.expansions = [child for child in body.named_children if child.type != "heredoc_content"]
        self.certain = False
        if named is None or end is None:
            return
        tabs = any(child.type == "<<-" for child in node.children)
        line_end = source.find(b"\n", start.end_byte)
        found = _end(source, line_end, named[1] or named[2] or named[3], tabs)
        text = _without(source, line_end, end.start_byte, self.expansions)
        self.certain = (
            found == end.end_byte
            and self._blank_behind(source, start.end_byte, line_end)
            and (not named[3] or not _EXPANSION.search(text))
        )

    def _blank_behind(self, source: bytes, at: int, line_end: int) -> bool:
        for child in self.behind:
            between = _SOME_BLANK if child.is_named else _BLANK
            if child.end_byte > line_end or not between.fullmatch(source[at : child.start_byte]):
                return False
            at = child.end_byte
        return bool(_BLANK.fullmatch(source[at:line_end]))


def _end(source: bytes, line_end: int, delimiter: bytes, tabs: bool) -> int:
    """Where the first line that is the delimiter ends; -1 when there is none."""
    at = line_end
    while at != -1:
        begin = at + 1
        at = source.find(b"\n", begin)
        line = source[begin : at if at != -1 else len(source)]
        if (line.lstrip(b"\t") if tabs else line) == delimiter:
            return begin + len(line)
    return -1


def _without(source: bytes, begin: int, end: int, nodes: list[Node]) -> bytes:
    """The text of a stretch, without these nodes."""
    kept = b""
    for node in nodes:
        kept += source[begin : node.start_byte] + b" "
        begin = node.end_byte
    return kept + source[begin:end]
