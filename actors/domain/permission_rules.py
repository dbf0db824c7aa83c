"""What a permission rule says: which tools, and which arguments. Pure text work, nothing here looks at a disk.

A rule has two readings. A rule that *allows* must fit strictly: what it does not surely cover, it does not allow. A
rule that *denies* or *asks* fits widely: whatever may be meant, it covers.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from actors.domain.shell_line import plain_command, possible_commands
from actors.domain.wildcard import Wildcard

_RULE = re.compile(r"\s*([A-Za-z0-9_.*-]+)\s*(?:\((.*)\))?\s*", re.DOTALL)
_ANYTHING = frozenset({"*", "**"})

_PATH_TOOLS = {"read": "file_path", "write": "file_path", "edit": "file_path", "patch": "file_path", "ls": "path"}
_TEXT_TOOLS = {"bash": "command", "glob": "pattern", "web_fetch": "url", "git_worktree": "command", "task": "agent"}


@dataclass(frozen=True, slots=True)
class Subject:
    """A call as rules see it.

    Attributes:
        tool: Lower-case name.
        surely: Texts that stand for the call beyond doubt; none when a shell line is more than one plain command.
        maybe: All texts that the call may come down to.
        complete: False when ``maybe`` lacks some, so that any rule for the tool may be about it.
    """

    tool: str
    surely: tuple[str, ...]
    maybe: tuple[str, ...]
    complete: bool = True


@dataclass(frozen=True, slots=True)
class ParsedRule:
    """A rule's parts. ``pattern`` is None when any arguments fit."""

    tool: str
    pattern: str | None
    wildcard: Wildcard | None

    def allows(self, subject: Subject) -> bool:
        """Whether the rule covers the call beyond doubt."""
        return self._names(subject.tool) and (
            self.pattern is None or any(self._fits(text, subject.tool) for text in subject.surely)
        )

    def concerns(self, subject: Subject) -> bool:
        """Whether the rule may cover the call, or a part of it."""
        return self._names(subject.tool) and (
            self.pattern is None
            or not subject.complete
            or any(self._fits(text, subject.tool) for text in subject.maybe)
        )

    def _names(self, tool: str) -> bool:
        if "*" in self.tool:
            return Wildcard(self.tool).matches(tool)
        if self.tool.startswith("mcp__"):
            return tool == self.tool or tool.startswith(f"{self.tool.removesuffix('__')}__")
        return tool == self.tool

    def _fits(self, text: str, tool: str) -> bool:
        if self.pattern is None:
            return True
        if self.wildcard is not None:
            return self.wildcard.matches(text)
        prefix = self.pattern.removesuffix(":*")
        if not text.startswith(prefix):
            return False
        rest = text[len(prefix) :]
        return tool != "bash" or not rest or rest[0].isspace() or not prefix or prefix[-1].isspace()


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
        return ParsedRule(tool, None, None)
    wanted = _normal(pattern) if tool in _PATH_TOOLS and not pattern.endswith(":*") else pattern
    return ParsedRule(tool, wanted, None if wanted.endswith(":*") else Wildcard(wanted))


def subject_of(tool_name: str, args: Mapping[str, Any], workspace: str = "") -> Subject:
    """A call as rules see it: its name, and the one argument that says what it is about."""
    tool = tool_name.lower()
    if tool in _PATH_TOOLS:
        return _path_subject(tool, _text(args.get(_PATH_TOOLS[tool], "." if tool == "ls" else "")), workspace)
    if tool == "grep":
        text = f"{_text(args.get('pattern', ''))} {_text(args.get('path', ''))}".strip()
    elif tool in _TEXT_TOOLS:
        text = _text(args.get(_TEXT_TOOLS[tool], ""))
    else:
        text = json.dumps(dict(args), separators=(",", ":"), ensure_ascii=False, default=str)
    if tool == "bash":
        return Subject(tool, plain_command(text), *possible_commands(text))
    return Subject(tool, (text,), (text,))


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), default=str)


def _normal(path: str) -> str:
    """The path without ``.``, ``..`` and doubled slashes, as far as that is known without looking."""
    if not path:
        return path
    normal = posixpath.normpath(path)
    return normal[1:] if normal.startswith("//") else normal


def _path_subject(tool: str, path: str, workspace: str) -> Subject:
    normal = _normal(path)
    root = _normal(workspace)
    forms = [normal]
    if root and normal.startswith("/"):
        if normal == root or normal.startswith(f"{root.rstrip('/')}/"):
            forms.append(normal[len(root) :].strip("/") or ".")
    elif root:
        forms.append(_normal(posixpath.join(root, normal)))
    return Subject(tool, tuple(forms), tuple(dict.fromkeys([path, *forms, *_tails(normal)])))


def _tails(path: str) -> Iterator[str]:
    """What an absolute path may be below a workspace that nobody has named."""
    if path.startswith("/"):
        parts = path.split("/")
        for start in range(1, len(parts)):
            yield "/".join(parts[start:])
