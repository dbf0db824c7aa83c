"""Request bodies as the providers check them: each function raises Malformed where the real server answers 400.

Written from the providers' documented rules and error messages, and stricter than either: unknown keys are refused.
"""

from __future__ import annotations

import json
import re
from typing import Any

_ID = re.compile(r"[a-zA-Z0-9_-]{1,40}")
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_IMAGE_TYPES = {"image/jpeg", "image/png", "image/gif", "image/webp"}


class Malformed(Exception):
    """The server would refuse this body."""


def _need(holds: bool, why: str) -> None:
    if not holds:
        raise Malformed(why)


def _keys(value: dict[str, Any], required: str, optional: str = "") -> None:
    missing = set(required.split()) - set(value)
    unknown = set(value) - set(required.split()) - set(optional.split())
    _need(not missing, f"missing {sorted(missing)} in {value}")
    _need(not unknown, f"unknown {sorted(unknown)} in {value}")


# --- answers in a form -------------------------------------------------------------------------------------------


def check_held_to(schema: dict[str, Any], *, all_required: bool) -> None:
    """Refuse a schema that a provider cannot hold a model to: outside of the part of JSON Schema that both document."""
    _need(schema.get("type") == "object", "the root is no object")
    _check_part(schema, all_required)


def _check_part(schema: dict[str, Any], all_required: bool) -> None:
    if "$ref" in schema:
        _keys(schema, "$ref")
        return
    _keys(schema, "", "type enum const description anyOf items properties required additionalProperties $defs")
    _need(bool(schema.keys() & {"type", "enum", "const", "anyOf"}), f"anything goes: {schema}")
    if schema.get("type") == "object":
        _need(schema["additionalProperties"] is False, "free keys")
        _need(not all_required or set(schema["required"]) == set(schema["properties"]), "an optional property")
    parts = [*schema.get("anyOf", []), *schema.get("properties", {}).values(), *schema.get("$defs", {}).values()]
    for part in [*parts, *([schema["items"]] if "items" in schema else [])]:
        _check_part(part, all_required)


# --- chat completions --------------------------------------------------------------------------------------------


def check_openai(body: dict[str, Any]) -> None:
    """Refuse what a chat-completions server refuses."""
    optional = (
        "stream stream_options tools temperature max_tokens max_completion_tokens reasoning_effort tool_choice seed "
        "response_format"
    )
    _keys(body, "model messages", optional)
    _need("stream_options" not in body or body.get("stream") is True, "stream_options without stream")
    for tool in body.get("tools", []):
        _keys(tool, "type function")
        _keys(tool["function"], "name description parameters")
        _need(bool(_NAME.fullmatch(tool["function"]["name"])), "tool name")
    _need(body.get("tools") != [], "empty tools")
    if "response_format" in body:
        _keys(body["response_format"], "type json_schema")
        form = body["response_format"]["json_schema"]
        _keys(form, "name schema strict")
        _need(bool(_NAME.fullmatch(form["name"])), "name of the form")
        if form["strict"]:
            check_held_to(form["schema"], all_required=True)
    check_openai_messages(body["messages"])


def check_openai_messages(messages: list[dict[str, Any]]) -> None:
    """Refuse an order or a message that a chat-completions server refuses."""
    _need(bool(messages), "no messages")
    waiting: list[str] = []
    seen: set[str] = set()
    for at, message in enumerate(messages):
        role = message["role"]
        if role == "tool":
            _keys(message, "role tool_call_id content")
            _need(bool(waiting), "a tool message that answers nothing")
            _need(message["tool_call_id"] == waiting.pop(0), "tool results out of order")
            _need(isinstance(message["content"], str) and bool(message["content"]), "tool content")
            continue
        _need(not waiting, f"tool calls without results: {waiting}")
        if role == "system":
            _need(at == 0, "system text that is not first")
            _keys(message, "role content")
        elif role == "user":
            _check_openai_user(message)
        else:
            waiting = _check_openai_assistant(message)
            _need(not seen & set(waiting) and len(set(waiting)) == len(waiting), "tool call ids used twice")
            seen |= set(waiting)
    _need(not waiting, f"tool calls without results: {waiting}")


def _check_openai_user(message: dict[str, Any]) -> None:
    _keys(message, "role content")
    content = message["content"]
    if isinstance(content, str):
        _need(bool(content.strip()), "empty user message")
        return
    _need(bool(content), "no content parts")
    for part in content:
        if part["type"] == "text":
            _keys(part, "type text")
            _need(bool(part["text"].strip()), "empty text part")
        else:
            _need(part["type"] == "image_url", "kind of part")
            kind, _, data = part["image_url"]["url"].partition(";base64,")
            _need(kind.removeprefix("data:") in _IMAGE_TYPES and bool(data), "image")


def _check_openai_assistant(message: dict[str, Any]) -> list[str]:
    _need(message["role"] == "assistant", "role")
    _keys(message, "role content", "tool_calls reasoning_content")
    _need(bool(message["content"]) or "tool_calls" in message, "an assistant message with nothing in it")
    calls = message.get("tool_calls")
    _need(calls is None or bool(calls), "empty tool_calls")
    for call in calls or []:
        _keys(call, "id type function")
        _keys(call["function"], "name arguments")
        _need(bool(_ID.fullmatch(call["id"])), f"tool call id {call['id']!r}")
        _need(bool(_NAME.fullmatch(call["function"]["name"])), "function name")
        _need(isinstance(json.loads(call["function"]["arguments"]), dict), "arguments")
    return [call["id"] for call in calls or []]


# --- Anthropic messages ------------------------------------------------------------------------------------------


def check_anthropic(body: dict[str, Any]) -> None:
    """Refuse what the messages endpoint refuses."""
    _keys(body, "model messages max_tokens", "system tools temperature thinking stream tool_choice top_k output_config")
    if "output_config" in body:
        _keys(body["output_config"], "format")
        _keys(body["output_config"]["format"], "type schema")
        check_held_to(body["output_config"]["format"]["schema"], all_required=False)
    _need(len(json.dumps(body).split('"cache_control"')) <= 5, "more than four cache breakpoints")
    for block in body.get("system", []):
        _keys(block, "type text", "cache_control")
        _need(bool(block["text"].strip()), "empty system text")
    for tool in body.get("tools", []):
        _keys(tool, "name description input_schema", "cache_control")
        _need(bool(_NAME.fullmatch(tool["name"])), "tool name")
    check_anthropic_messages(body["messages"])
    if thinking := body.get("thinking"):
        _keys(thinking, "type budget_tokens")
        _need(1024 <= thinking["budget_tokens"] < body["max_tokens"], "budget_tokens")
        _need("temperature" not in body, "temperature with thinking")
        _check_thinking_history(body["messages"])


def check_anthropic_messages(messages: list[dict[str, Any]]) -> None:
    """Refuse an order or a message that the messages endpoint refuses."""
    _need(bool(messages) and messages[0]["role"] == "user", "the first message must be the user's")
    expected: list[str] = []
    seen: set[str] = set()
    for at, message in enumerate(messages):
        _keys(message, "role content")
        _need(message["role"] == ("user", "assistant")[at % 2], "roles must alternate")
        _need(bool(message["content"]), "no content")
        if message["role"] == "user":
            _check_anthropic_user(message["content"], expected)
            expected = []
        else:
            expected = _check_anthropic_assistant(message["content"])
            _need(not seen & set(expected) and len(set(expected)) == len(expected), "tool_use ids must be unique")
            seen |= set(expected)
    _need(not expected, "tool_use without tool_result in the next message")
    last = messages[-1]["content"][-1]
    _need(messages[-1]["role"] == "user" or last["text"] == last["text"].rstrip(), "final whitespace")


def _check_anthropic_user(content: list[dict[str, Any]], expected: list[str]) -> None:
    results = [block["tool_use_id"] for block in content if block["type"] == "tool_result"]
    _need(results == expected, f"expected results {expected}, got {results}")
    _need(all(block["type"] == "tool_result" for block in content[: len(results)]), "results must come first")
    for block in content:
        if block["type"] == "tool_result":
            _keys(block, "type tool_use_id content", "is_error")
            _need(bool(block["content"]), "an empty result")
            for part in block["content"]:
                _check_anthropic_part(part)
        else:
            _check_anthropic_part(block)


def _check_anthropic_part(part: dict[str, Any]) -> None:
    if part["type"] == "image":
        _keys(part, "type source")
        _keys(part["source"], "type media_type data")
        _need(part["source"]["media_type"] in _IMAGE_TYPES and bool(part["source"]["data"]), "image")
    else:
        _need(part["type"] == "text", f"block of type {part['type']}")
        _keys(part, "type text")
        _need(bool(part["text"].strip()), "text content blocks must contain non-whitespace text")


def _check_anthropic_assistant(content: list[dict[str, Any]]) -> list[str]:
    kinds = [block["type"] for block in content]
    thoughts = [kind for kind in kinds if "thinking" in kind]
    _need(kinds[: len(thoughts)] == thoughts, "thinking must come first")
    _need(len(kinds) > len(thoughts), "an answer of thinking only")
    for block in content:
        match block["type"]:
            case "text":
                _check_anthropic_part(block)
            case "tool_use":
                _keys(block, "type id name input")
                _need(bool(_ID.fullmatch(block["id"])) and bool(_NAME.fullmatch(block["name"])), "id or name")
                _need(isinstance(block["input"], dict), "input")
            case "thinking":
                _keys(block, "type thinking signature")
                _need(bool(block["signature"]), "signature")
            case _:
                _keys(block, "type data")
    return [block["id"] for block in content if block["type"] == "tool_use"]


def _check_thinking_history(messages: list[dict[str, Any]]) -> None:
    _need(messages[-1]["role"] == "user", "thinking goes with no prefilled answer")
    if messages[-1]["content"][0]["type"] == "tool_result":
        _need("thinking" in messages[-2]["content"][0]["type"], "expected thinking, found tool_use")
