"""The names of MCP tools as models and permission rules see them: ``mcp__SERVER__TOOL``."""

from __future__ import annotations

import hashlib
import re
from typing import Final, NamedTuple

from actors.domain.tools import MAX_TOOL_NAME
from actors.errors import InvalidRequest

PREFIX: Final = "mcp__"
_BETWEEN: Final = "__"
_DIGEST_CHARS: Final = 8
_REFUSED: Final = re.compile(r"[^A-Za-z0-9_-]")


class ToolName(NamedTuple):
    """A published name taken apart."""

    server: str
    tool: str


def published(server: str, tool: str) -> str:
    """The name under which a server's tool is published.

    A name that a provider would refuse is made acceptable: other characters become ``_``, what is too long is cut,
    and a digest of the original name tells it from others that would look the same.

    >>> published("github", "create_issue"), len(published("s", "x" * 200))
    ('mcp__github__create_issue', 64)
    """
    stem = f"{PREFIX}{server}{_BETWEEN}"
    plain = _REFUSED.sub("_", tool)
    room = MAX_TOOL_NAME - len(stem)
    if plain == tool and len(tool) <= room:
        return stem + tool
    digest = hashlib.sha256(tool.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST_CHARS]
    return f"{stem}{plain[: room - _DIGEST_CHARS - 1]}_{digest}"


def parsed(name: str) -> ToolName:
    """Server and tool of a published name; the first double underscore behind the prefix divides them.

    Raises:
        InvalidRequest: no prefix, no divider, or nothing on one side of it.
    """
    server, between, tool = name.removeprefix(PREFIX).partition(_BETWEEN)
    if not name.startswith(PREFIX) or not between or not server or not tool:
        raise InvalidRequest(f"{name!r} is not the name of an MCP tool: those are mcp__SERVER__TOOL.")
    return ToolName(server, tool)
