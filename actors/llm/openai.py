"""The chat-completions wire, spoken by OpenAI and by almost every other server: our calls as its requests."""

from __future__ import annotations

import json
import re
from typing import Any, ClassVar

from actors.domain.calls import Emit, ModelCall
from actors.domain.messages import ImageBlock, Message
from actors.domain.tools import ToolDefinition
from actors.llm.answer import Answer, Fault
from actors.llm.names import ToolNames
from actors.llm.normalise import (
    NO_OUTPUT,
    AssistantTurn,
    Call,
    Turn,
    UserTurn,
    image_data,
    images_in,
    joined_text,
    normalise,
)
from actors.llm.openai_answer import OpenAiReader
from actors.llm.outputs import held_to
from actors.llm.provider import HttpProvider, StreamReader

_REASONING = re.compile(r"o\d|gpt-5")
"""OpenAI's own models that take ``reasoning_effort``; the others refuse the field."""

_EFFORTS = ((4096, "low"), (16_384, "medium"))
"""Thinking budgets in tokens below which an effort is asked for; above the last it is ``high``. OpenAI has no budgets;
the steps follow the effort ratios that gateways use between the two vocabularies."""


class OpenAIProvider(HttpProvider):
    """Speaks to ``{base}/v1/chat/completions``."""

    official_url: ClassVar[str] = "https://api.openai.com"
    key_variable: ClassVar[str] = "OPENAI_API_KEY"
    path: ClassVar[str] = "/v1/chat/completions"

    def body(self, call: ModelCall, messages: tuple[Message, ...], names: ToolNames) -> dict[str, Any]:
        """The request, without options and ``stream``."""
        # Only OpenAI itself knows the newer name of the limit, and it refuses the older one for its newer models.
        limit = "max_completion_tokens" if self._official else "max_tokens"
        return {
            "model": call.llm.model,
            "messages": wire_messages(call.system, normalise(messages), names, reasoning=not self._official),
            "tools": [_tool(tool, names) for tool in call.tools] or None,
            "temperature": call.llm.temperature,
            limit: call.llm.max_tokens,
            "response_format": self._response_format(call),
            "reasoning_effort": _effort(call.llm.model, call.thinking_budget) if self._official else None,
        }

    def _response_format(self, call: ModelCall) -> dict[str, Any] | None:
        """The form of the answer. Other servers hold the whole answer to it, so that a model could call no tool."""
        if call.output is None or (call.tools and not self._official):
            return None
        schema = call.output.json_schema
        narrow = held_to(schema, all_required=True) if self._official else schema
        form = {"name": call.output.name, "schema": narrow or schema, "strict": narrow is not None}
        return {"type": "json_schema", "json_schema": form}

    def auth(self, key: str | None) -> dict[str, str]:
        """A bearer token."""
        return {"Authorization": f"Bearer {key}"} if key else {}

    def stream_fields(self) -> dict[str, Any]:
        """A stream whose last chunk has the usage."""
        return {"stream": True, "stream_options": {"include_usage": True}}

    def reader(self, names: ToolNames, emit: Emit, fault: Fault) -> StreamReader:
        """A reader for one stream."""
        return OpenAiReader(names, emit, fault)

    def read(self, payload: dict[str, Any], names: ToolNames, emit: Emit, fault: Fault) -> Answer:
        """The answer in a body that came whole."""
        return OpenAiReader(names, emit, fault).read(payload)


def wire_messages(system: str | None, turns: list[Turn], names: ToolNames, *, reasoning: bool) -> list[dict[str, Any]]:
    """The messages of a request.

    Args:
        system: Text that comes first.
        turns: The history.
        names: Tool names of the call.
        reasoning: Whether thinking goes back with the calls of the turn that runs. Models that think between calls
            want that; OpenAI itself refuses the field.
    """
    sent: list[dict[str, Any]] = [{"role": "system", "content": system}] if system and system.strip() else []
    last_user = max((at for at, turn in enumerate(turns) if isinstance(turn, UserTurn)), default=0)
    for at, turn in enumerate(turns):
        if isinstance(turn, UserTurn):
            sent.append({"role": "user", "content": _user_content(turn)})
        else:
            sent += _assistant(turn, names, reasoning=reasoning and at > last_user)
    return _merge_users(sent)


def _user_content(turn: UserTurn) -> str | list[dict[str, Any]]:
    # Many servers take plain strings only, so parts are sent where there is an image.
    if not images_in(turn.parts):
        return joined_text(turn.parts)
    return [_image(part) if isinstance(part, ImageBlock) else _text(part.text) for part in turn.parts]


def _assistant(turn: AssistantTurn, names: ToolNames, *, reasoning: bool) -> list[dict[str, Any]]:
    message: dict[str, Any] = {"role": "assistant", "content": "\n\n".join(turn.texts) or None}
    if turn.calls:
        message["tool_calls"] = [_call(call, names) for call in turn.calls]
    if reasoning and turn.calls and turn.thinking:
        message["reasoning_content"] = turn.thinking
    results = [_result(call) for call in turn.calls]
    return [message, *results, *_result_images(turn.calls)]


def _call(call: Call, names: ToolNames) -> dict[str, Any]:
    arguments = json.dumps(call.input, ensure_ascii=False)
    return {"id": call.id, "type": "function", "function": {"name": names.wire(call.name), "arguments": arguments}}


def _result(call: Call) -> dict[str, Any]:
    shown = "(image in the next message)" if images_in(call.result) else NO_OUTPUT
    return {"role": "tool", "tool_call_id": call.id, "content": joined_text(call.result) or shown}


def _result_images(calls: list[Call]) -> list[dict[str, Any]]:
    """The images of results in a user message, as a tool message has text only."""
    content: list[dict[str, Any]] = []
    for call in calls:
        if images := images_in(call.result):
            content += [_text(f"Images from tool call {call.id}:"), *map(_image, images)]
    return [{"role": "user", "content": content}] if content else []


def _merge_users(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One message where images of results meet what the user says next."""
    merged: list[dict[str, Any]] = []
    for message in messages:
        if merged and message["role"] == "user" and merged[-1]["role"] == "user":
            merged[-1] = {"role": "user", "content": [*_parts(merged[-1]), *_parts(message)]}
        else:
            merged.append(message)
    return merged


def _parts(message: dict[str, Any]) -> list[dict[str, Any]]:
    content = message["content"]
    return [_text(content)] if isinstance(content, str) else content


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _image(image: ImageBlock) -> dict[str, Any]:
    media_type, data = image_data(image)
    return {"type": "image_url", "image_url": {"url": f"data:{media_type};base64,{data}"}}


def _tool(tool: ToolDefinition, names: ToolNames) -> dict[str, Any]:
    function = {"name": names.wire(tool.name), "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": function}


def _effort(model: str, budget: int | None) -> str | None:
    if budget is None or not _REASONING.match(model):
        return None
    return next((effort for below, effort in _EFFORTS if budget < below), "high")
