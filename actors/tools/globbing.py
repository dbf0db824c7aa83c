"""Glob patterns over relative paths, matched segment by segment: ``*``, ``?``, ``[...]``, ``{a,b}`` and ``**``.

Each segment is one regular expression without backtracking between stars (``fnmatch`` makes them atomic), and ``**``
is a walk over the segments; so a match takes time in proportion to path x pattern, whatever the pattern is.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence

from actors.errors import ToolError

MAX_ALTERNATIVES = 64
"""Patterns that one pattern with braces may stand for."""

MAX_PATTERN = 1024
"""Longest pattern in characters."""


class Glob:
    """A compiled pattern. Without a slash it fits names at any depth when ``anywhere`` is set."""

    def __init__(self, pattern: str, *, anywhere: bool = False) -> None:
        if len(pattern) > MAX_PATTERN:
            raise ToolError(f"The pattern is longer than {MAX_PATTERN} characters.")
        self._alternatives = [_compiled(one, anywhere) for one in expand(pattern)]

    def matches(self, path: str) -> bool:
        """Whether the relative path, as a whole, fits."""
        parts = path.split("/")
        return any(_fits(parts, segments) for segments in self._alternatives)


def has_magic(segment: str) -> bool:
    """Whether a segment is a pattern, not a name."""
    return any(char in segment for char in "*?[{")


def expand(pattern: str) -> list[str]:
    """The patterns that a pattern with braces stands for.

    >>> expand("a.{py,pyi}")
    ['a.py', 'a.pyi']
    """
    done: list[str] = []
    todo = [pattern]
    while todo:
        one = todo.pop()
        found = re.search(r"\{([^{}]*,[^{}]*)\}", one)
        if found is None:
            done.append(one)
        else:
            head, tail = one[: found.start()], one[found.end() :]
            todo.extend(f"{head}{choice}{tail}" for choice in reversed(found[1].split(",")))
        if len(done) + len(todo) > MAX_ALTERNATIVES:
            raise ToolError(f"The pattern stands for more than {MAX_ALTERNATIVES} patterns; use fewer braces.")
    return list(dict.fromkeys(done))


def _compiled(pattern: str, anywhere: bool) -> tuple[re.Pattern[str] | None, ...]:
    segments = [segment for segment in pattern.split("/") if segment not in {"", "."}]
    if anywhere and "/" not in pattern:
        segments.insert(0, "**")
    return tuple(None if segment == "**" else _segment(segment) for segment in segments)


def _segment(segment: str) -> re.Pattern[str]:
    try:
        return re.compile(fnmatch.translate(segment))
    except re.error as error:
        raise ToolError(f"The pattern's part {segment!r} is not valid: {error}.") from error


def _fits(parts: Sequence[str], segments: Sequence[re.Pattern[str] | None]) -> bool:
    """Whether all parts are used up by all segments; None takes any number of parts."""
    reached = {0}
    for segment in segments:
        if segment is None:
            reached = set(range(min(reached), len(parts) + 1))
        else:
            reached = {at + 1 for at in reached if at < len(parts) and segment.match(parts[at])}
        if not reached:
            return False
    return len(parts) in reached
