"""Words of a line: what they are once bash has taken their quotes away, and what of them only bash can know."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from actors.domain.shell.script import Word

if TYPE_CHECKING:
    from tree_sitter import Node

WORDS = frozenset(
    "word number string raw_string ansi_c_string translated_string concatenation simple_expansion expansion "
    "command_substitution process_substitution arithmetic_expansion brace_expression variable_name".split()
)
"""Kinds of nodes that are words where a command is expected to have some."""

_BARE = re.compile(r"(?:\\[^\n]|\\\n|[^\s\\'\"$`|&;()<>\x00-\x1f])+")
_BARE_PART = re.compile(r"\\\n|\\(.)|([*?\[])|(.)", re.DOTALL)
_BRACES = re.compile(r"\{.*(?:,|\.\.).*\}", re.DOTALL)
_IN_QUOTES = re.compile(r"\\\n|\\([\\\"$`])|([^\"`$]|\$(?![A-Za-z0-9_@*#?$!({\[-]))", re.DOTALL)
_NAME = re.compile(r"\$(?:[A-Za-z_][A-Za-z0-9_]*|[0-9@*#?$!-])")
_BRACED = re.compile(
    r"\$\{(?:#?[A-Za-z_][A-Za-z0-9_]*|[0-9]+|[@*#?]"
    r"|[A-Za-z_][A-Za-z0-9_]*(?::?[-+]|%%?|##?|//?|\^\^?|,,?)[\w./*?@ :+-]*"
    r"|[A-Za-z_][A-Za-z0-9_]*: ?-?[0-9]+(?::[0-9]+)?)\}"
)
"""Expansions that only give a value; others assign, evaluate, or expand the value once more."""

_BRACE_RANGE = re.compile(r"\{\w+\.\.\w+(?:\.\.[0-9]+)?\}")
_NUMBERS = re.compile(r"\$\(\([0-9+\-*/%() <>=!&|^~]*\)\)")
_ESCAPE = re.compile(
    r"\\(?:([abeEfnrtv\\'\"?])|x([0-9A-Fa-f]{1,2})|u([0-9A-Fa-f]{1,4})|U([0-9A-Fa-f]{1,8})|([0-7]{1,3}))|([^\\'])",
    re.DOTALL,
)
_ESCAPES = dict(zip("abeEfnrtv\\'\"?", "\a\b\x1b\x1b\f\n\r\t\v\\'\"?", strict=True))


_KNOWN = {
    "simple_expansion": _NAME,
    "expansion": _BRACED,
    "arithmetic_expansion": _NUMBERS,
    "brace_expression": _BRACE_RANGE,
}


class _Piece(NamedTuple):
    """A piece of a word. ``text`` is None when it is unknown; ``splits`` when it may become several words by itself."""

    text: str | None
    splits: bool = False


class WordReader:
    """Reads words of one line.

    Args:
        source: The line.
        inside: Told of each node in a word that holds commands, or may.
        doubt: Called when a word may mean more than is read from it.
    """

    def __init__(self, source: bytes, inside: Callable[[Node], None], doubt: Callable[[], None]) -> None:
        self._source, self._inside, self._doubt = source, inside, doubt

    def text(self, node: Node) -> str:
        """What is written."""
        return self._source[node.start_byte : node.end_byte].decode(errors="replace")

    def word(self, node: Node) -> Word:
        """One word."""
        source = self.text(node)
        pieces = list(self._pieces(node))
        if node.type == "concatenation" and _BRACES.search(_unquoted(self, node)):
            pieces = [*_before_brace(pieces), _Piece(None)]
        if all(piece.text is not None for piece in pieces):
            return Word(source, "".join(piece.text or "" for piece in pieces))
        first = pieces[0].text
        tame = bool(first) and not str(first).startswith("-") and not any(piece.splits for piece in pieces)
        return Word(source, None, operand=tame or node.type == "process_substitution")

    def _pieces(self, node: Node) -> Iterator[_Piece]:
        match node.type:
            case "word" | "number" | "variable_name":
                yield from self._bare(self.text(node))
            case "string":
                yield from self._quoted(node)
            case "translated_string":
                for child in node.named_children:
                    yield from self._pieces(child)
            case "raw_string":
                yield _Piece(self.text(node)[1:-1])
            case "ansi_c_string":
                yield _Piece(self._ansi_c(self.text(node)[2:-1]))
            case "concatenation":
                for child in node.children:
                    yield from self._pieces(child)
            case _:
                yield self._expansion(node)

    def _bare(self, source: str) -> Iterator[_Piece]:
        if not _BARE.fullmatch(source):
            if source != "$":
                self._doubt()
            yield _Piece(source)
            return
        if _BRACES.search(source):
            yield _Piece(source.partition("{")[0])
            yield _Piece(None)
            return
        text = ""
        for found in _BARE_PART.finditer(source):
            escaped, wild, char = found.groups()
            if wild:
                yield _Piece(text)
                yield _Piece(None)
                text = ""
            text += escaped or char or ""
        yield _Piece(text)

    def _quoted(self, node: Node) -> Iterator[_Piece]:
        """A double-quoted string: its expansions, and between them text that is read anew."""
        at = node.start_byte + 1
        for child in node.named_children:
            if child.type != "string_content":
                yield self._content(self._source[at : child.start_byte].decode(errors="replace"))
                yield self._expansion(child)._replace(splits=self.text(child) in {"$@", "${@}"})
                at = child.end_byte
        yield self._content(self._source[at : node.end_byte - 1].decode(errors="replace"))

    def _content(self, source: str) -> _Piece:
        text, at = "", 0
        while at < len(source):
            found = _IN_QUOTES.match(source, at)
            if found is None:
                if source[at] != "\\":
                    self._doubt()
                text, at = text + source[at], at + 1
            else:
                text, at = text + (found[1] or found[2] or ""), found.end()
        return _Piece(text)

    def _ansi_c(self, source: str) -> str | None:
        text, at = "", 0
        while at < len(source):
            found = _ESCAPE.match(source, at)
            if found is None:
                self._doubt()
                return None
            known, *codes, char = found.groups()
            code = next((int(digits, 8 if base == 3 else 16) for base, digits in enumerate(codes) if digits), None)
            if code is not None and not 0 < code < 0x80:
                # Zero ends the string, and bytes above ASCII may be parts of characters.
                self._doubt()
                return None
            text += _ESCAPES.get(known or "", "") or (chr(code) if code else char or "")
            at = found.end()
        return text

    def _expansion(self, node: Node) -> _Piece:
        source = self.text(node)
        known = _KNOWN.get(node.type)
        if node.type in {"command_substitution", "process_substitution"}:
            self._inside(node)
        elif known is None or not known.fullmatch(source):
            self._doubt()
            self._inside(node)
        return _Piece(None, splits=node.type != "process_substitution")


def _unquoted(words: WordReader, node: Node) -> str:
    """The bare parts of a word, where braces count."""
    return "".join(words.text(child) if child.type in {"word", "number"} else "x" for child in node.children)


def _before_brace(pieces: list[_Piece]) -> Iterator[_Piece]:
    for piece in pieces:
        if piece.text is None or "{" in piece.text:
            if piece.text:
                yield _Piece(piece.text.partition("{")[0])
            return
        yield piece
