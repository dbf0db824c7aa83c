"""The two tools by which a model reads what a server offers beside its tools. Published where it offers resources."""

from __future__ import annotations

from typing import Final

from actors.domain.mcp import McpServerConfig
from actors.domain.mcp_library import MAX_CURSOR_CHARS, MAX_URI_CHARS
from actors.domain.tools import EffectClass, ToolDefinition
from actors.mcp.names import published
from actors.tools.base import schema

LIST: Final = "list_resources"
READ: Final = "read_resource"


def reading_tools(config: McpServerConfig) -> tuple[ToolDefinition, ToolDefinition]:
    """The tools of a server with this configuration. They are pure: to act, the protocol has other ways."""
    listing = ToolDefinition(
        name=published(config.name, LIST),
        description=f"List the resources of the MCP server {config.name}: what {READ} of this server can read.",
        parameters=schema(
            {
                "after": {
                    "type": "string",
                    "maxLength": MAX_CURSOR_CHARS,
                    "description": "Where to go on, as the end of the list before says it.",
                }
            }
        ),
        effect=EffectClass.pure,
        timeout_s=config.connect_timeout_s,
    )
    reading = ToolDefinition(
        name=published(config.name, READ),
        description=(
            f"Read a resource of the MCP server {config.name} by its URI: one that {LIST} of this server names, or one "
            "made from a template."
        ),
        parameters=schema(
            {"uri": {"type": "string", "minLength": 1, "maxLength": MAX_URI_CHARS}},
            "uri",
        ),
        effect=EffectClass.pure,
        timeout_s=config.tool_timeout_s,
    )
    return listing, reading
