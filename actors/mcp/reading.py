"""Calls of the tools by which a model lists and reads the resources of a server: what they ask, and what they give."""

from __future__ import annotations

from typing import Any, Final

from actors.domain.calls import ToolOutcome
from actors.domain.mcp_library import McpResource, McpResources, McpResourceTemplate
from actors.errors import InvalidRequest
from actors.mcp import requests
from actors.mcp.connection import McpConnection
from actors.mcp.library import McpLibrary
from actors.mcp.reading_tools import LIST
from actors.mcp.requests import Given
from actors.tools.base import succeeded

_MAX_ABOUT_CHARS: Final = 300
"""Of a description: a list is for choosing."""


async def list_resources(
    connection: McpConnection, args: dict[str, Any], progress: Any, wait_s: float, given: Given
) -> McpResources:
    """A part of the list. Raises as ``McpLibrary.resources``."""
    del progress, wait_s, given
    return await McpLibrary(connection).resources(_argument(args, "after"))


async def read_resource(
    connection: McpConnection, args: dict[str, Any], progress: Any, wait_s: float, given: Given
) -> Any:
    """What the server answers, which may be that it requires input.

    Raises:
        InvalidRequest: no URI is given. Otherwise as ``requests.call_tool``.
    """
    del progress
    uri = _argument(args, "uri")
    if not uri:
        raise InvalidRequest("Give the uri of a resource.")
    line = await connection.line(wait_s)
    return await requests.answered(line, lambda client: requests.read_resource(client, uri, given))


def outcome_of_listing(found: McpResources) -> ToolOutcome:
    """A part of a list, a line for each resource."""
    lines = [_line(one) for one in found.items]
    if found.templates:
        lines += ["Templates of URIs:", *map(_line, found.templates)]
    if found.left_out:
        lines.append(f"[{found.left_out} more cannot be listed]")
    if found.next is not None:
        lines.append(f'[the list goes on: call {LIST} again with "after": {found.next!r}]')
    return succeeded("\n".join(lines) or "The server has no resources now.", resources=len(found.items))


def _line(one: McpResource | McpResourceTemplate) -> str:
    uri = one.uri if isinstance(one, McpResource) else one.uri_template
    size = f"{one.size} bytes" if isinstance(one, McpResource) and one.size is not None else None
    known = ", ".join(part for part in (one.media_type, size) if part)
    about = " ".join((one.description or "").split())[:_MAX_ABOUT_CHARS]
    name = " ".join((one.title or one.name).split())
    return f"{uri}  {name}{f' ({known})' if known else ''}{f': {about}' if about else ''}"


def _argument(args: dict[str, Any], name: str) -> str | None:
    value = args.get(name)
    return value if isinstance(value, str) else None
