"""The Anthropic messages wire: our calls as its requests."""

from __future__ import annotations

import json
import re
from typing import Any, ClassVar

from actors.domain.calls import Emit, ModelCall
from actors.domain.messages import ImageBlock, Message
from actors.domain.tools import ToolDefinition
from actors.llm.answer import Answer, Fault, items, obj
from actors.llm.anthropic_answer import SEALED_BLOCKS, AnthropicReader
from actors.llm.names import ToolNames
from actors.llm.normalise import AssistantTurn, Call, Part, Turn, UserTurn, image_data, normalise
from actors.llm.outputs import held_to
from actors.llm.provider import HttpProvider, StreamReader

API_VERSION = "2023-06-01"
"""Value of the header anthropic-version."""

DEFAULT_MAX_TOKENS = 8192
"""Longest answer when none is configured: the wire wants a number, and every current model allows this one."""

MIN_THINKING_BUDGET = 1024
"""Smallest thinking budget that the provider accepts."""

_ENFORCES_SCHEMAS = re.compile(r"claude-[a-z]+-(4-[5-9]|4-[1-9]\d|[5-9]|[1-9]\d)(?!\d)")
"""Models that can be held to a schema: those from 4.5 on. Older ones refuse the field, and are only told."""

_CACHE = {"type": "ephemeral"}
_THINKING_KINDS = frozenset({"thinking", "redacted_thinking"})


class AnthropicProvider(HttpProvider):
    """Speaks to ``{base}/v1/messages``."""

    official_url: ClassVar[str] = "https://api.anthropic.com"
    key_variable: ClassVar[str] = "ANTHROPIC_API_KEY"
    path: ClassVar[str] = "/v1/messages"

    def body(self, call: ModelCall, messages: tuple[Message, ...], names: ToolNames) -> dict[str, Any]:
        """The request, without options and ``stream``."""
        sent = wire_messages(normalise(messages), names)
        longest = call.llm.max_tokens or DEFAULT_MAX_TOKENS
        body: dict[str, Any] = {
            "model": call.llm.model,
            "max_tokens": longest,
            "messages": sent,
            "system": _system(call.system),
            "tools": _tools(call.tools, names),
            "temperature": call.llm.temperature,
            "output_config": _output_config(call),
        }
        if call.thinking_budget is not None and _may_think(sent):
            budget = max(call.thinking_budget, MIN_THINKING_BUDGET)
            body["thinking"] = {"type": "enabled", "budget_tokens": budget}
            # Thinking counts towards the limit, which must exceed it, and goes with the default temperature only.
            body["max_tokens"] = longest if longest > budget else budget + longest
            body["temperature"] = None
        return body

    def auth(self, key: str | None) -> dict[str, str]:
        """The key and the version."""
        return {"anthropic-version": API_VERSION} | ({"x-api-key": key} if key else {})

    def stream_fields(self) -> dict[str, Any]:
        """A stream."""
        return {"stream": True}

    def reader(self, names: ToolNames, emit: Emit, fault: Fault) -> StreamReader:
        """A reader for one stream."""
        return AnthropicReader(names, emit, fault)

    def read(self, payload: dict[str, Any], names: ToolNames, emit: Emit, fault: Fault) -> Answer:
        """The answer in a body that came whole."""
        return AnthropicReader(names, emit, fault).read(payload)


def _output_config(call: ModelCall) -> dict[str, Any] | None:
    if call.output is None or not _ENFORCES_SCHEMAS.match(call.llm.model):
        return None
    narrow = held_to(call.output.json_schema, all_required=False)
    return {"format": {"type": "json_schema", "schema": narrow}} if narrow else None


def wire_messages(turns: list[Turn], names: ToolNames) -> list[dict[str, Any]]:
    """The messages of a request: user and assistant in turn, an answer's results first in the next user message."""
    sent: list[dict[str, Any]] = []
    for turn in turns:
        if isinstance(turn, UserTurn):
            _append(sent, "user", [_part(part) for part in turn.parts])
        else:
            _append(sent, "assistant", _assistant(turn, names))
            _append(sent, "user", [_result(call) for call in turn.calls])
    _trim_end(sent)
    return sent


def _append(sent: list[dict[str, Any]], role: str, content: list[dict[str, Any]]) -> None:
    if not content:
        return
    if sent and sent[-1]["role"] == role:
        sent[-1]["content"] += content
    else:
        sent.append({"role": role, "content": content})


def _trim_end(sent: list[dict[str, Any]]) -> None:
    """The provider refuses to go on from an answer that ends in blanks."""
    last = sent[-1]["content"][-1]
    if sent[-1]["role"] == "assistant" and last["type"] == "text":
        last["text"] = last["text"].rstrip()


def _assistant(turn: AssistantTurn, names: ToolNames) -> list[dict[str, Any]]:
    texts = [{"type": "text", "text": text} for text in turn.texts]
    calls = [
        {"type": "tool_use", "id": call.id, "name": names.wire(call.name), "input": call.input} for call in turn.calls
    ]
    return [*_thinking(turn), *texts, *calls]


def _thinking(turn: AssistantTurn) -> list[dict[str, Any]]:
    """The thinking goes back only with its seal: without one it is another provider's, and would be refused."""
    if not turn.signature:
        return []
    if not turn.signature.startswith(SEALED_BLOCKS):
        return [{"type": "thinking", "thinking": turn.thinking or "", "signature": turn.signature}]
    try:
        blocks = items(json.loads(turn.signature.removeprefix(SEALED_BLOCKS)))
    except ValueError:
        return []
    return [block for block in map(obj, blocks) if block.get("type") in _THINKING_KINDS]


def _may_think(sent: list[dict[str, Any]]) -> bool:
    """Whether the provider takes the history with thinking on.

    It refuses to go on from an answer's beginning, and wants the answer whose results it gets to begin with thinking.
    """
    if sent[-1]["role"] == "assistant":
        return False
    if sent[-1]["content"][0]["type"] != "tool_result":
        return True
    return sent[-2]["content"][0]["type"] in _THINKING_KINDS


def _result(call: Call) -> dict[str, Any]:
    block: dict[str, Any] = {
        "type": "tool_result",
        "tool_use_id": call.id,
        "content": [_part(part) for part in call.result],
    }
    return block | ({"is_error": True} if call.is_error else {})


def _part(part: Part) -> dict[str, Any]:
    if isinstance(part, ImageBlock):
        media_type, data = image_data(part)
        return {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": data}}
    return {"type": "text", "text": part.text}


def _system(system: str | None) -> list[dict[str, Any]] | None:
    if not system or not system.strip():
        return None
    return [{"type": "text", "text": system, "cache_control": _CACHE}]


def _tools(tools: tuple[ToolDefinition, ...], names: ToolNames) -> list[dict[str, Any]] | None:
    sent: list[dict[str, Any]] = [
        {"name": names.wire(tool.name), "description": tool.description, "input_schema": tool.parameters}
        for tool in tools
    ]
    if sent:
        sent[-1]["cache_control"] = _CACHE
    return sent or None
