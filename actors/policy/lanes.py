"""Which lane a tool's work belongs to. Names count exactly here, while permission rules ignore case."""

from __future__ import annotations

from actors.domain.policies import SessionLane

_QUERY = frozenset({"read", "glob", "ls", "grep", "list_files", "search", "web_fetch", "web_search"})


def lane_of(tool_name: str) -> SessionLane:
    """The lane of a tool: ``query`` for those that only look, ``execute`` for all others, known or not.

    >>> lane_of("grep").value, lane_of("mcp__github__search").value
    ('query', 'execute')
    """
    return SessionLane.query if tool_name in _QUERY else SessionLane.execute
