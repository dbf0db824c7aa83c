"""Tools as a server lists them, as definitions for models: named, bounded, and classed by what is believed of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Final

from actors.domain.base import is_deep
from actors.domain.mcp import McpServerConfig
from actors.domain.tools import EffectClass, ToolDefinition
from actors.errors import InvalidConfig
from actors.json_schema import validator
from actors.mcp.names import published
from actors.mcp.problems import hidden
from actors.policy.security.offers import SHOWN, orders_in, reworded

if TYPE_CHECKING:
    from mcp_types import Tool, ToolAnnotations

MAX_TOOLS: Final = 256
"""Tools of one server: twice what providers take in a request, and a session may choose among them."""

MAX_SCHEMA_BYTES: Final = 32 * 1024
"""Largest schema of one tool's arguments: it is sent with every model call."""

MAX_LISTED_BYTES: Final = 1024 * 1024
"""Descriptions and schemas of all tools of one server: every session actor holds them."""

MAX_DESCRIPTION_CHARS: Final = 4096

_ANYTHING: Final[dict[str, Any]] = {"type": "object", "properties": {}}


@dataclass(frozen=True, slots=True)
class Published:
    """The tools of a server that can be called.

    Attributes:
        names: The server's own name of each tool, by the published one.
        left_out: How many are not published.
    """

    definitions: tuple[ToolDefinition, ...] = ()
    names: dict[str, str] | None = None
    left_out: int = 0


def publish(config: McpServerConfig, tools: Iterable[Tool], *, more: int = 0, secrets: Sequence[str] = ()) -> Published:
    """What is published of a server's tools; ``more`` were not even listed."""
    found: dict[str, ToolDefinition] = {}
    names: dict[str, str] = {}
    left_out, room = more, MAX_LISTED_BYTES
    for tool in tools:
        definition = _definition(config, tool, secrets)
        size = _size(definition)
        callable_ = bool(tool.name) and not _as_task_only(tool)
        if not callable_ or definition.name in found or len(found) >= MAX_TOOLS or not 0 <= size <= room:
            left_out += 1
            continue
        room -= size
        found[definition.name] = definition
        names[definition.name] = tool.name
    return Published(tuple(found[name] for name in sorted(found)), names, left_out)


def _as_task_only(tool: Tool) -> bool:
    """Whether it runs as a task of the protocol of 2025-11-25 only: an experiment that the next one took back."""
    return tool.execution is not None and tool.execution.task_support == "required"


def _definition(config: McpServerConfig, tool: Tool, secrets: Sequence[str]) -> ToolDefinition:
    schema = tool.input_schema if tool.input_schema.get("type") == "object" else _ANYTHING
    described = hidden(tool.description or tool.title or "", secrets).strip()[:MAX_DESCRIPTION_CHARS]
    definition = ToolDefinition(
        name=published(config.name, tool.name),
        description=described or f"Tool {tool.name[:64]} of the MCP server {config.name}.",
        parameters=schema if is_deep(schema) else reworded(schema, partial(hidden, secrets=secrets), SHOWN),
        effect=_effect(tool.annotations) if config.trust_annotations else EffectClass.unsafe,
        timeout_s=config.tool_timeout_s,
    )
    return definition if is_deep(schema) else definition.model_copy(update={"orders": orders_in(definition)})


def _effect(told: ToolAnnotations | None) -> EffectClass:
    if told is not None and told.read_only_hint:
        return EffectClass.pure
    return EffectClass.idempotent if told is not None and told.idempotent_hint else EffectClass.unsafe


def _size(definition: ToolDefinition) -> int:
    """Bytes of a definition; -1 when its schema is none that can be sent to a model."""
    if is_deep(definition.parameters):
        return -1
    try:
        schema = json.dumps(definition.parameters, allow_nan=False)
    except (ValueError, RecursionError):
        return -1
    if len(schema) > MAX_SCHEMA_BYTES or not _is_schema(schema):
        return -1
    return len(schema) + len(definition.description.encode(errors="replace"))


@lru_cache(maxsize=2 * MAX_TOOLS)
def _is_schema(text: str) -> bool:
    """Whether it is one at all: providers refuse a request with all its tools for one that is not."""
    try:
        validator(json.loads(text), "It is")
    except InvalidConfig:
        return False
    return True
