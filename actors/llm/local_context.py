"""What the embedded model is shown: histories of any length cut to a small window, tools as a grammar. Pure.

Between our messages and the chat template of a model that knows text only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

from actors.domain.messages import (
    PARSE_ERROR,
    ImageBlock,
    Message,
    Role,
    TextBlock,
    ToolResultBlock,
    ToolUseBlock,
)
from actors.domain.tools import ToolDefinition
from actors.llm.answer import parse_arguments

ToolMode = Literal["off", "auto", "required"]

MESSAGE_TOKENS = 8
"""What the chat template puts around a message, with some to spare."""

BYTES_PER_TOKEN = 3
"""English has about four bytes a token with this vocabulary, code and other languages fewer; an estimate that is still
too low is caught when the model refuses the prompt."""

MAX_SYSTEM_CHARS = 1200
"""A longer system text drowns the question for a model of this size, and costs seconds to read."""

MAX_TOOLS = 16
"""Tools the model is told of: a line each, so that the prompt stays a part of its window."""

_TOOL_LINE_CHARS = 160
_FINAL_CHARS = 600
_CUT = "\n[...]\n"
_NAME = re.compile(r'"name"\s*:\s*"([^"\\]{1,64})"')


def estimate_tokens(text: str) -> int:
    """Tokens of a text, rather too many than too few for English."""
    return len(text.encode(errors="replace")) // BYTES_PER_TOKEN + 1


def fit(system: str | None, messages: Sequence[Message], budget: int) -> list[dict[str, str]]:
    """Messages for the model within ``budget`` tokens by estimate.

    The system text stays (its beginning), then as many of the newest messages as fit, beginning with one of the user
    where possible. When the newest message alone is too long, its middle is left out.
    """
    head = [{"role": "system", "content": cut(system, MAX_SYSTEM_CHARS)}] if system else []
    room = budget - sum(map(_cost, head))
    kept: list[dict[str, str]] = []
    for message in reversed(messages):
        shown = _show(message)
        if not shown["content"]:
            continue
        if kept and _cost(shown) > room:
            break
        if _cost(shown) > room:
            shown["content"] = _middle_out(shown["content"], max(room - MESSAGE_TOKENS, 1) * BYTES_PER_TOKEN)
        room -= _cost(shown)
        kept.append(shown)
    kept.reverse()
    first_user = next((place for place, shown in enumerate(kept) if shown["role"] == "user"), 0)
    return [*head, *kept[first_user:]]


def cut(text: str, chars: int) -> str:
    """The beginning of a text."""
    return text if len(text) <= chars else text[:chars]


def with_tools(system: str | None, tools: Sequence[ToolDefinition], mode: ToolMode) -> str:
    """The system text that tells of tools, with an example, as the model needs one."""
    lines = [f"- {tool.name}: {cut(tool.description, _TOOL_LINE_CHARS)}" for tool in tools[:MAX_TOOLS]]
    ways = 'Call a tool as JSON: {"name": "the tool", "arguments": {"key": "value"}}.'
    if mode == "auto":
        ways += ' When no tool is needed, answer as JSON: {"final": "your answer"}.'
    # The tools come first, since what is too long is cut at its end.
    return "\n".join(["Tools:", *lines, ways, system or ""]).rstrip()


def grammar(
    tools: Sequence[ToolDefinition], mode: ToolMode, *, loose: bool = False, output: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The ``response_format`` that lets the model write a valid call and nothing else.

    Args:
        tools: What it may call; each is an arm of the schema.
        mode: ``auto`` adds an arm ``{"final": text}``.
        loose: Any object as arguments, for schemas that the grammar cannot express.
        output: The schema of the final answer, when it is not a text.
    """
    final: Mapping[str, Any] = {"type": "string", "maxLength": _FINAL_CHARS}
    definitions: Mapping[str, Any] = {}
    if output is not None:
        final = {key: value for key, value in output.items() if key != "$defs"}
        definitions = {"$defs": output["$defs"]} if "$defs" in output else {}
    if mode == "off":
        return _response_format({**final, **definitions})
    anything = {"type": "object"}
    arms = [
        _object({"name": {"const": tool.name}, "arguments": anything if loose else tool.parameters or anything})
        for tool in tools[:MAX_TOOLS]
    ]
    if mode == "auto":
        arms.append(_object({"final": final}))
    return _response_format({"anyOf": arms, **definitions})


def _response_format(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": schema}}


def read_choice(text: str, number: int) -> str | ToolUseBlock:
    """What the model chose: the text of a final answer, or a call named ``call_<number>``.

    A call that was cut off keeps its name, and its arguments are a parse error.
    """
    choice = parse_arguments(text)
    name, arguments = choice.get("name"), choice.get("arguments")
    if PARSE_ERROR in choice:
        named = _NAME.search(text)
        return ToolUseBlock(id=f"call_{number}", name=named[1], input=choice) if named else text
    if isinstance(name, str):
        found = cast("dict[str, Any]", arguments) if isinstance(arguments, dict) else {}
        return ToolUseBlock(id=f"call_{number}", name=name, input=found)
    final = choice.get("final", text)
    return final if isinstance(final, str) else json.dumps(final, ensure_ascii=False)


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _show(message: Message) -> dict[str, str]:
    parts: list[str] = []
    for block in message.content:
        if isinstance(block, TextBlock):
            parts.append(block.text)
        elif isinstance(block, ToolUseBlock):
            parts.append(json.dumps({"name": block.name, "arguments": block.input}, ensure_ascii=False))
        elif isinstance(block, ToolResultBlock):
            parts.append(f"Result: {_result(block)}")
        else:
            parts.append("[image]" if isinstance(block, ImageBlock) else "[text not available]")
    role = "assistant" if message.role is Role.assistant else "user"
    return {"role": role, "content": "\n".join(part for part in parts if part)}


def _result(block: ToolResultBlock) -> str:
    if isinstance(block.content, str):
        return block.content
    return "".join(part.text if isinstance(part, TextBlock) else "[image]" for part in block.content)


def _cost(shown: dict[str, str]) -> int:
    return estimate_tokens(shown["content"]) + MESSAGE_TOKENS


def _middle_out(text: str, size: int) -> str:
    """The beginning and the end of a text, ``size`` bytes together; characters are never split."""
    half = max((size - len(_CUT)) // 2, 1)
    raw = text.encode(errors="replace")
    return raw[:half].decode(errors="ignore") + _CUT + raw[-half:].decode(errors="ignore")
