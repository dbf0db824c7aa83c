"""What a permission rule says: which tools, and which arguments. Pure text work, nothing here looks at a disk.

A rule has two readings. A rule that *allows* must fit strictly: what it does not surely cover, it does not allow. A
rule that *denies* or *asks* fits widely: whatever may be meant, it covers.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from functools import lru_cache

from actors.domain.permission_calls import PATH_TOOLS, Call, Part, is_of_git, normal
from actors.domain.wildcard import Wildcard

_RULE = re.compile(r"\s*([A-Za-z0-9_.*-]+)\s*(?:\((.*)\))?\s*", re.DOTALL)
_ANYTHING = frozenset({"*", "**"})
_WILD = re.compile(r"[*?]")
_SERVER = re.compile(r"(mcp__[a-z0-9-]+(?:_[a-z0-9-]+)*)(?:__)?")
"""A rule that names an MCP server, and none of its tools."""

_OPENED = frozenset({"read", "write"})
"""What a shell line may do to files by itself."""


@dataclass(frozen=True, slots=True)
class ParsedRule:
    """A rule's parts.

    Attributes:
        pattern: None when any arguments fit.
        wildcard: The pattern, compiled, unless it is a prefix.
        folded: The same for names in lower case.
        words: The words of a prefix for bash.
    """

    tool: str
    pattern: str | None
    wildcard: Wildcard | None
    folded: Wildcard | None
    words: tuple[str, ...] | None

    def spells_out(self, call: Call) -> bool:
        """Whether the pattern is, letter by letter, the line that a shell is to run."""
        return call.line is not None and self.pattern == call.line and self._names(call.tool)

    def allows(self, part: Part) -> bool:
        """Whether the rule covers the part beyond doubt. What is git's own it covers only if it says so."""
        if part.changes_git and self.pattern is not None and not is_of_git(self.pattern):
            return False
        if self.pattern is None:
            named = self._names(part.tool) and not part.changes_git
            return named or (bool(part.within) and self._names(part.within))
        if not self._names(part.tool) or not part.firm:
            return False
        if self.words is not None and part.words is not None:
            return part.words[: len(self.words)] == self.words
        return any(self._fits(text, part) for text in part.surely)

    def concerns(self, part: Part) -> bool:
        """Whether the rule covers the part, or one of the things that it may come down to."""
        if self.pattern is None and part.within and self._names(part.within):
            return True
        if not self._names(part.tool):
            return False
        if self.pattern is None or part.overlong:
            return True
        return any(self._fits(text, part) or self._fits_folded(text) for text in part.maybe)

    def might_concern(self, part: Part) -> bool:
        """Whether what is hidden of the part may be something that the rule covers."""
        if part.known is None:
            return False
        if part.anything and any(self._names(tool) for tool in (part.within, *_OPENED)):
            return True
        if not self._names(part.tool):
            return False
        begin = _WILD.split((self.pattern or "").removesuffix(":*"))[0].strip()
        return part.known.startswith(begin) or begin.startswith(part.known)

    def _names(self, tool: str) -> bool:
        if "*" in self.tool:
            return Wildcard(self.tool).matches(tool)
        server = _SERVER.fullmatch(self.tool)
        # A tool may be called as another one and more: only the name of a server stands for all that begin with it.
        return tool == self.tool or (server is not None and tool.startswith(f"{server[1]}__"))

    def _fits(self, text: str, part: Part) -> bool:
        if self.pattern is None:
            return True
        if self.wildcard is not None:
            return self.wildcard.matches(text)
        prefix = self.pattern.removesuffix(":*")
        if not text.startswith(prefix):
            return False
        rest = text[len(prefix) :]
        return part.tool != "bash" or not rest or rest[0].isspace() or not prefix or prefix[-1].isspace()

    def _fits_folded(self, text: str) -> bool:
        """Whether it fits where a file's name may be written in other letters."""
        return self.folded is not None and self.folded.matches(text.casefold())


@lru_cache(maxsize=4096)
def parse(text: str) -> ParsedRule:
    """The parts of a rule.

    Raises:
        ValueError: The text is not ``Tool`` or ``Tool(pattern)``.
    """
    found = _RULE.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not a permission rule; write Tool or Tool(pattern), such as bash(git status:*)")
    tool, pattern = found[1].lower(), found[2]
    if pattern is None or pattern in _ANYTHING:
        return ParsedRule(tool, None, None, None, None)
    if pattern.endswith(":*"):
        return ParsedRule(tool, pattern, None, None, _words(pattern.removesuffix(":*")) if tool == "bash" else None)
    wanted = normal(pattern) if tool in PATH_TOOLS else pattern
    folded = Wildcard(wanted.casefold()) if tool in PATH_TOOLS else None
    return ParsedRule(tool, wanted, Wildcard(wanted), folded, None)


def _words(prefix: str) -> tuple[str, ...]:
    """The words that a command has to begin with; for what are no words, words that no command has."""
    try:
        return tuple(shlex.split(prefix))
    except ValueError:
        return ("",)
