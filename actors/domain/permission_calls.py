"""Calls as permission rules see them: each comes down to parts, and each part is judged by itself.

A part is what one rule can be about: a file tool's path, one simple command of a shell line, one file that the line
opens by itself. The strictest decision about a part is the decision about the call.
"""

from __future__ import annotations

import json
import posixpath
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from actors.domain.shell.line import Judged, Line, judged
from actors.domain.shell.looking import only_looks
from actors.domain.shell.script import Redirection

PATH_TOOLS = {"read": "file_path", "write": "file_path", "edit": "file_path", "patch": "file_path", "ls": "path"}
EDITORS = frozenset({"write", "edit", "patch"})
"""Tools that change files; what a shell line opens to write is a ``write`` too."""

_TEXT_TOOLS = {"web_fetch": "url", "git_worktree": "command", "task": "agent"}
_LOOKING = frozenset({"read", "ls", "glob", "grep", "read_artifact"})


@dataclass(frozen=True, slots=True)
class Part:
    """What one rule can be about.

    Attributes:
        tool: Lower-case name of the tool that rules about it name.
        surely: Texts that stand for it beyond doubt. A rule that allows may fit one of them.
        maybe: Texts that it may come down to. A rule that denies or asks may fit one of them.
        words: Of a simple command: its words, None where one is not known.
        within: The tool that is called, where the part is not all of the call.
        firm: False when no pattern can cover it, since it may be other than it shows.
        known: A beginning that its text surely has, when the rest is hidden; None when nothing is hidden.
        anything: Whether it may be any call of ``within``, and any file that such a call may open.
        overlong: Whether there is so much of it that not all was looked through: then every rule that denies fits.
    """

    tool: str
    surely: tuple[str, ...] = ()
    maybe: tuple[str, ...] = ()
    words: tuple[str | None, ...] | None = None
    within: str = ""
    firm: bool = True
    known: str | None = None
    anything: bool = False
    overlong: bool = False

    @property
    def changes_git(self) -> bool:
        """Whether it may change what is git's own, which git obeys: hooks and configuration run programs."""
        return self.tool in EDITORS and any(map(is_of_git, (*self.surely, *self.maybe)))


def is_of_git(path: str) -> bool:
    """Whether a path leads to, or through, a directory ``.git``, as file systems understand it that ignore case."""
    return any(part.rstrip(". ").casefold() == ".git" for part in path.split("/"))


@dataclass(frozen=True, slots=True)
class Call:
    """A call taken apart.

    Attributes:
        tool: Lower-case name.
        parts: What it comes down to, at least one.
        line: Of a shell: the line as it stands.
        looks: Whether it surely reads and does nothing else.
    """

    tool: str
    parts: tuple[Part, ...]
    looks: bool
    line: str | None = None


def call_of(tool_name: str, args: Mapping[str, Any], workspace: str = "") -> Call:
    """A call as rules see it: its name, and the one argument that says what it is about."""
    tool = tool_name.lower()
    looks = tool in _LOOKING
    if tool == "bash":
        text = _text(args.get("command", ""))
        line = judged(text)
        return Call(tool, tuple(_line_parts(line, workspace)), only_looks(line), text.strip(" \t"))
    if tool in PATH_TOOLS:
        path = _text(args.get(PATH_TOOLS[tool], "." if tool == "ls" else ""))
        return Call(tool, (_path_part(tool, path, workspace),), looks)
    if tool == "grep":
        return Call(tool, (_grep_part(args, workspace),), looks)
    if tool == "glob":
        text = _text(args.get("pattern", ""))
        forms = (text, normal(text))
        return Call(tool, (Part(tool, (normal(text),), tuple(dict.fromkeys(forms))),), looks)
    if tool in _TEXT_TOOLS:
        text = _text(args.get(_TEXT_TOOLS[tool], ""))
    else:
        text = json.dumps(dict(args), separators=(",", ":"), ensure_ascii=False, default=str)
    return Call(tool, (Part(tool, (text,), (text,)),), looks)


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), default=str)


# --- shell lines ------------------------------------------------------------------------------------------------------


def _line_parts(line: Line, workspace: str) -> Iterator[Part]:
    for each in line.commands:
        yield _command_part(each)
    for redirection in line.redirections:
        yield _redirection_part(redirection, workspace, moved=line.moves)
    if line.certain and not line.commands and not line.redirections:
        # Nothing but assignments and comments.
        yield Part("bash", within="bash", words=())
    if not line.certain:
        yield Part("bash", (), line.texts, within="bash", firm=False, known="", anything=True, overlong=line.overlong)


def _command_part(each: Judged) -> Part:
    words = tuple(word.text for word in each.command.words)
    known = None
    if None in words:
        known = " ".join(word or "" for word in words[: words.index(None)])
    surely = (each.command.source, shlex.join(each.command.texts)) if known is None else ()
    return Part("bash", surely, each.texts, words, within="bash", firm=each.firm, known=known)


def _redirection_part(redirection: Redirection, workspace: str, *, moved: bool) -> Part:
    tool = "write" if redirection.writes else "read"
    path = redirection.target.text
    if path is None:
        return Part(tool, (), (redirection.target.source,), within="bash", firm=False, known="")
    part = _path_part(tool, path, workspace)
    elsewhere = path.startswith("~") or (moved and not path.startswith("/"))
    return Part(
        tool,
        part.surely,
        tuple(dict.fromkeys([*part.maybe, *(_tails("/" + part.maybe[0]) if elsewhere else ())])),
        within="bash",
        firm=not elsewhere or path.startswith("~/"),
        known="" if elsewhere else None,
    )


# --- paths ------------------------------------------------------------------------------------------------------------


def normal(path: str) -> str:
    """The path without ``.``, ``..`` and doubled slashes, as far as that is known without looking."""
    if not path:
        return path
    if path.startswith("~"):
        # Somebody's home: what climbs out of it is no path below it.
        home, _, rest = path.partition("/")
        below = posixpath.normpath(rest) if rest else "."
        return home if below == "." else f"{home}/{below}"
    normal_path = posixpath.normpath(path)
    return normal_path[1:] if normal_path.startswith("//") else normal_path


def _forms(path: str, workspace: str) -> list[str]:
    """The names of one file: as given, and within or without the workspace."""
    path = normal(path)
    root = normal(workspace)
    forms = [path]
    if root and path.startswith("/"):
        if path == root or path.startswith(f"{root.rstrip('/')}/"):
            forms.append(path[len(root) :].strip("/") or ".")
    elif root:
        forms.append(normal(posixpath.join(root, path)))
    return forms


def _path_part(tool: str, path: str, workspace: str) -> Part:
    forms = _forms(path, workspace)
    return Part(tool, tuple(forms), tuple(dict.fromkeys([path, *forms, *_tails(forms[0])])))


def _grep_part(args: Mapping[str, Any], workspace: str) -> Part:
    pattern, path = _text(args.get("pattern", "")), _text(args.get("path", ""))
    texts = [f"{pattern} {form}".strip() for form in (_forms(path, workspace) if path else [""])]
    return Part("grep", tuple(texts), tuple(dict.fromkeys([f"{pattern} {path}".strip(), *texts])))


def _tails(path: str) -> Iterator[str]:
    """What an absolute path may be below a workspace that nobody has named."""
    if path.startswith("/"):
        parts = path.split("/")
        for start in range(1, len(parts)):
            yield "/".join(parts[start:])
