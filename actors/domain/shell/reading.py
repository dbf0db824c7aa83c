"""A line becomes a ``Script``: each kind of node is known here and read, or the line is not certain.

What is not known is looked into all the same, so that a rule that denies finds its command there too.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from actors.domain.shell import compound
from actors.domain.shell.heredoc import Heredoc
from actors.domain.shell.script import Assignment, Command, Redirection, Script, Word
from actors.domain.shell.syntax import syntax
from actors.domain.shell.words import WORDS, WordReader

if TYPE_CHECKING:
    from tree_sitter import Node

MAX_COMMANDS = 200
"""Simple commands of one line; nobody reads more, and each is judged by each rule."""

MAX_NESTING = 8
"""Commands behind commands and lines within lines, such as ``env nice bash -c "bash -c ..."``; also bounds the work."""

_TRANSPARENT = frozenset(
    "program list pipeline negated_command subshell compound_statement if_statement elif_clause else_clause "
    "while_statement do_group".split()
)
"""Statements that do nothing but run the statements in them."""

_TOKENS = frozenset("; & && || | |& ( ) { } ! if then elif else fi while until do done for in".split()) | {"\n"}
_WRITING = frozenset("> >> >| &> &>>".split())
_SILENT = frozenset("/dev/null /dev/stdout /dev/stderr /dev/stdin /dev/zero".split())
_TOUCHING = re.compile(rb"(?:^|[\s;&|()])[0-9]+\Z|\}\Z")
_LIKE_DESCRIPTORS = ("-", *"0123456789")
_DESCRIPTOR = re.compile(r"[0-9]*-?")


def read(line: str, nesting: int = 0) -> Script:
    """What a line does. Never raises; a line that is not understood has no commands and is not certain."""
    root = syntax(line) if nesting <= MAX_NESTING else None
    if root is None:
        return Script(certain=False)
    reader = Reader(line.encode(), nesting)
    reader.statement(root)
    return reader.script()


class Reader:
    """Walks the tree of one line, and collects.

    Attributes:
        commands: Simple commands found so far.
        assignments: Variables that the line sets for itself.
        words: Reads words.
    """

    def __init__(self, source: bytes, nesting: int) -> None:
        self._source, self._nesting = source, nesting
        self.commands: list[Command] = []
        self.assignments: list[Assignment] = []
        self._redirections: list[Redirection] = []
        self._certain = True
        self.words = WordReader(source, self.inside, self.doubt)

    def script(self) -> Script:
        """What was collected."""
        certain = self._certain and len(self.commands) <= MAX_COMMANDS
        commands = tuple(self.commands[:MAX_COMMANDS])
        return Script(commands, tuple(self._redirections), tuple(self.assignments), certain)

    def statement(self, node: Node) -> None:
        """Read one statement, and those in it."""
        if not node.is_named:
            if node.type not in _TOKENS:
                self.doubt()
        elif node.type in _TRANSPARENT:
            for child in node.children:
                self.statement(child)
        elif (reading := self._reading_of(node.type)) is not None:
            reading(node)
        else:
            self.doubt()
            self.inside(node)

    def _reading_of(self, kind: str) -> Callable[[Node], None] | None:
        """What reads a kind of statement that is more than the statements in it."""
        match kind:
            case "command":
                return self._command
            case "declaration_command" | "unset_command":
                return self._keyword_command
            case "variable_assignment":
                return self._assign
            case "variable_assignments":
                return self._assign_several
            case "redirected_statement":
                return self._redirected
            case _:
                read_compound = compound.READERS.get(kind)
                return None if read_compound is None else partial(read_compound, self)

    def doubt(self) -> None:
        """The line may mean more than is read from it."""
        self._certain = False

    def inside(self, node: Node) -> None:
        """Look for commands in what is no statement: a substitution, or something that is not understood."""
        if node.type == "command_substitution" and node.children[0].type == "`":
            self._back_quoted(self.words.text(node)[1:-1])
            return
        for child in node.children:
            if node.type in {"command_substitution", "process_substitution"}:
                if child.is_named:
                    self.statement(child)
                elif child.type not in {"$(", "<(", ">(", ")", *_TOKENS}:
                    self.doubt()
            elif child.type in _TRANSPARENT or self._reading_of(child.type) is not None:
                self.statement(child)
            else:
                self.inside(child)

    def _back_quoted(self, text: str) -> None:
        inner = read(re.sub(r"\\([\\`$])", r"\1", text), self._nesting + 1)
        self.commands += inner.commands
        self._redirections += inner.redirections
        self.assignments += inner.assignments
        # In double quotes bash takes one more round of quotes away.
        self._certain = self._certain and inner.certain and "\\" not in text

    # --- simple commands ----------------------------------------------------------------------------------------------

    def _command(self, node: Node, more: tuple[Word, ...] = ()) -> None:
        words: list[Word] = []
        before: list[Assignment] = []
        at = len(self.commands)
        for child in node.children:
            if child.type == "command_name":
                words.append(self.words.word(child.children[0]))
            elif child.type == "variable_assignment" and not words:
                before.append(self._assignment(child))
            else:
                words += self._argument(child)
        words += more
        if words:
            # In the order of the line: before the commands in its words.
            begin = next((child.start_byte for child in node.children if child.type == "command_name"), node.start_byte)
            source = self._source[begin : node.end_byte].decode(errors="replace")
            self.commands.insert(at, Command(tuple(words), tuple(before), source))
        else:
            self.assignments += before

    def _argument(self, child: Node) -> list[Word]:
        if child.type in WORDS:
            return [self.words.word(child)]
        if child.type in {"file_redirect", "herestring_redirect", "heredoc_redirect"}:
            return self._redirection(child)
        if child.type in {"==", "=~", "="}:
            return [Word.plain(child.type)]
        if child.type == "$":
            return [Word.plain("$")]
        self.doubt()
        self.inside(child)
        return []

    def _keyword_command(self, node: Node) -> None:
        """``export``, ``declare``, ``unset`` and the like: a command whose arguments are assignments."""
        words = [Word.plain(node.children[0].type)]
        for child in node.children[1:]:
            if child.type == "variable_assignment":
                self._assignment(child)
                words.append(Word(self.words.text(child), None))
            else:
                words += self._argument(child)
        self.commands.append(Command(tuple(words), (), self.words.text(node)))

    def _assignment(self, node: Node) -> Assignment:
        children = node.children
        name = self.words.text(children[0])
        value = children[2] if len(children) == 3 else None
        if children[0].type != "variable_name" or children[1].type != "=" or (value and value.type not in WORDS):
            self.doubt()
            self.inside(node)
            return Assignment(name, None)
        return Assignment(name, Word("", "") if value is None else self.words.word(value))

    def _assign(self, node: Node) -> None:
        self.assignments.append(self._assignment(node))

    def _assign_several(self, node: Node) -> None:
        for child in node.children:
            self._assign(child)

    # --- redirections -------------------------------------------------------------------------------------------------

    def _redirected(self, node: Node) -> None:
        body = [child for child in node.children if not child.type.endswith("_redirect")]
        more: list[Word] = []
        at = len(self.commands)
        for child in node.children:
            if child.type.endswith("_redirect"):
                more += self._redirection(child)
        behind = self.commands[at:]
        del self.commands[at:]
        for child in body:
            if child.type == "command":
                self._command(child, tuple(more))
            else:
                self.statement(child)
                if more:
                    self.doubt()
        if more and not body:
            self.commands.append(Command(tuple(more), (), self.words.text(node)))
        self.commands += behind

    def _redirection(self, node: Node) -> list[Word]:
        """Read a redirection; the result are words behind it that belong to the command."""
        if node.type == "heredoc_redirect":
            return self._heredoc(node)
        operator = next((child.type for child in node.children if not child.is_named), "")
        numbers = [self.words.text(child) for child in node.children if child.type == "file_descriptor"]
        if _TOUCHING.search(self._source[: node.start_byte]) or not all(number.isdecimal() for number in numbers):
            # What the parser takes for the number, and what bash does, may differ.
            self.doubt()
        targets = [child for child in node.children if child.is_named and child.type != "file_descriptor"]
        if any(child.type not in WORDS for child in targets):
            self.doubt()
            self.inside(node)
            return []
        words = [self.words.word(child) for child in targets]
        if operator in {">&-", "<&-"}:
            return words
        if not words:
            self.doubt()
            return []
        self._open(operator, words[0])
        return words[1:]

    def _open(self, operator: str, target: Word) -> None:
        if operator == "<<<" or target.text in _SILENT:
            return
        if operator in {">&", "<&"}:
            if _DESCRIPTOR.fullmatch(target.source):
                return
            if target.source != target.text or target.source.startswith(_LIKE_DESCRIPTORS):
                # Bash takes quotes away twice here, and goes its own way with what begins like a descriptor.
                self.doubt()
        if operator in _WRITING or operator == ">&":
            self._redirections.append(Redirection(target, writes=True))
        elif operator == "<":
            self._redirections.append(Redirection(target, writes=False))
        else:
            self.doubt()
        if target.text is not None and target.text.startswith(("/dev/tcp/", "/dev/udp/")):
            # Not a file: bash connects.
            self.doubt()

    def _heredoc(self, node: Node) -> list[Word]:
        words: list[Word] = []
        document = Heredoc(node, self._source)
        if not document.certain:
            self.doubt()
        for child in document.behind:
            if child.type in WORDS or child.type.endswith("_redirect"):
                words += self._argument(child)
            else:
                self.statement(child)
        for child in document.expansions:
            self.words.word(child)
        return words
