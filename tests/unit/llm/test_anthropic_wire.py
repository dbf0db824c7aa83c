"""Calls and answers of the Anthropic messages wire, against servers that check bodies."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from actors.domain.calls import ModelOutcome
from actors.domain.llm import RetryConfig
from actors.domain.messages import PARSE_ERROR, Message, StopReason, TextBlock, TokenUsage, ToolUseBlock
from actors.errors import ModelProtocolError
from actors.llm.anthropic import AnthropicProvider
from tests.unit.llm.servers import (
    HELLO,
    KEY,
    KEY_SECRET,
    Heard,
    Provider,
    model_call,
    named_sse,
    pieces,
    provider,
    split,
    status,
)

_MODEL = "anthropic/claude-sonnet-4-20250514"


def _start(**usage: int) -> dict[str, Any]:
    return {"type": "message_start", "message": {"content": [], "usage": usage}}


def _block(index: int, block: dict[str, Any], *deltas: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"type": "content_block_start", "index": index, "content_block": block},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def _text(index: int, *texts: str) -> list[dict[str, Any]]:
    return _block(index, {"type": "text", "text": ""}, *({"type": "text_delta", "text": text} for text in texts))


def _tool(index: int, identity: str, name: str, *arguments: str) -> list[dict[str, Any]]:
    deltas = ({"type": "input_json_delta", "partial_json": piece} for piece in arguments)
    return _block(index, {"type": "tool_use", "id": identity, "name": name, "input": {}}, *deltas)


def _thinking(index: int, text: str, seal: str) -> list[dict[str, Any]]:
    deltas = [{"type": "thinking_delta", "thinking": text}, {"type": "signature_delta", "signature": seal}]
    return _block(index, {"type": "thinking", "thinking": "", "signature": ""}, *deltas)


def _end(reason: str | None = "end_turn", **usage: int) -> list[dict[str, Any]]:
    delta = {"stop_reason": reason, "stop_sequence": None}
    return [{"type": "message_delta", "delta": delta, "usage": usage}, {"type": "message_stop"}]


@asynccontextmanager
async def _anthropic(server: Provider) -> AsyncGenerator[AnthropicProvider]:
    wire = AnthropicProvider("anthropic", server.url, KEY_SECRET, RetryConfig.disabled())
    try:
        yield wire
    finally:
        await wire.close()


async def _ask(*chunks: bytes, heard: Heard | None = None) -> ModelOutcome:
    async with provider(pieces(*chunks)) as server, _anthropic(server) as wire:
        return await wire.run(model_call(_MODEL), HELLO, heard or Heard())


_WORK = named_sse(
    _start(input_tokens=10, cache_read_input_tokens=80, cache_creation_input_tokens=5, output_tokens=1),
    {"type": "ping"},
    *_thinking(0, "Hm…", "seal"),
    *_text(1, "Grüße ", "🎭"),
    *_tool(2, "toolu_1", "read", "", '{"pa', 'th": "a"}'),
    *_text(3, "and"),
    *_tool(4, "toolu_2", "fs_list"),
    {"type": "something_new", "value": 1},
    *_end("tool_use", output_tokens=42),
)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 100_000])
async def test_a_stream_gives_all_blocks_in_order_however_it_is_cut(size: int) -> None:
    heard = Heard()

    outcome = await _ask(*split(_WORK, size), heard=heard)

    assert outcome.message == Message(
        role=Message.assistant("").role,
        content=(
            TextBlock(text="Grüße 🎭"),
            ToolUseBlock(id="toolu_1", name="read", input={"path": "a"}),
            TextBlock(text="and"),
            ToolUseBlock(id="toolu_2", name="fs.list", input={}),
        ),
        reasoning_content="Hm…",
        reasoning_signature="seal",
    )
    assert outcome.stop_reason is StopReason.tool_use
    assert [heard.on(channel) for channel in ("thinking", "text", "tool_input")] == [
        "Hm…",
        "Grüße 🎭and",
        '{"path": "a"}',
    ]


async def test_cached_tokens_are_counted_as_parts_of_the_prompt() -> None:
    outcome = await _ask(_WORK)

    assert outcome.usage == TokenUsage(
        prompt_tokens=95, completion_tokens=42, total_tokens=137, cache_read_tokens=80, cache_write_tokens=5
    )
    assert outcome.cost_usd is not None


async def test_the_request_carries_key_version_tools_and_cache_marks() -> None:
    async with provider(pieces(_WORK)) as server, _anthropic(server) as wire:
        await wire.run(model_call(_MODEL, temperature=0.3, options={"top_k": 5}), HELLO, Heard())

    (body,), (headers,) = server.bodies, server.headers
    cached = {"cache_control": {"type": "ephemeral"}}
    assert (headers["x-api-key"], headers["anthropic-version"]) == (KEY, "2023-06-01")
    assert body["system"] == [{"type": "text", "text": "Be brief.", **cached}]
    assert [(tool["name"], "cache_control" in tool) for tool in body["tools"]] == [("read", False), ("fs_list", True)]
    assert body["messages"] == [{"role": "user", "content": [{"type": "text", "text": "hello"}]}]
    assert (body["max_tokens"], body["temperature"], body["top_k"], body["stream"]) == (8192, 0.3, 5, True)


@pytest.mark.parametrize(
    ("budget", "longest", "sent"),
    [(4096, None, 8192), (10_000, None, 18_192), (2048, 1000, 3048), (8192, None, 16_384)],
)
async def test_thinking_leaves_room_for_the_answer_and_no_temperature(
    budget: int, longest: int | None, sent: int
) -> None:
    async with provider(pieces(_WORK)) as server, _anthropic(server) as wire:
        call = model_call(_MODEL, thinking=budget, temperature=0.3, max_tokens=longest)
        await wire.run(call, HELLO, Heard())

    (body,) = server.bodies
    assert body["thinking"] == {"type": "enabled", "budget_tokens": budget}
    assert body["max_tokens"] == sent
    assert "temperature" not in body


async def test_what_a_thinking_model_answered_can_be_sent_back_with_results() -> None:
    stream = named_sse(
        _start(),
        *_thinking(0, "one", "seal1"),
        *_block(1, {"type": "redacted_thinking", "data": "xyz"}),
        *_tool(2, "t1", "read", "{}"),
        *_end("tool_use"),
    )
    async with provider(pieces(stream), pieces(_WORK)) as server, _anthropic(server) as wire:
        call = model_call(_MODEL, thinking=2048)
        first = await wire.run(call, HELLO, Heard())
        assert first.message is not None
        await wire.run(call, (*HELLO, first.message, Message.tool_result("t1", "x")), Heard())

    assert server.bodies[1]["messages"][1]["content"] == [
        {"type": "thinking", "thinking": "one", "signature": "seal1"},
        {"type": "redacted_thinking", "data": "xyz"},
        {"type": "tool_use", "id": "t1", "name": "read", "input": {}},
    ]
    assert "thinking" in server.bodies[1]


async def test_arguments_that_do_not_parse_arrive_as_a_parse_error() -> None:
    outcome = await _ask(named_sse(_start(), *_tool(0, "t", "read", '{"path'), *_end("max_tokens")))

    assert outcome.message is not None
    (call,) = outcome.message.tool_calls
    assert set(call.input) == {PARSE_ERROR, "raw"}
    assert outcome.stop_reason is StopReason.max_tokens


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("end_turn", StopReason.end_turn),
        ("max_tokens", StopReason.max_tokens),
        ("model_context_window_exceeded", StopReason.max_tokens),
        ("stop_sequence", StopReason.stop_sequence),
        ("refusal", StopReason.refusal),
        ("pause_turn", StopReason.end_turn),
    ],
)
async def test_stop_reasons_are_said_in_our_words(said: str, reason: StopReason) -> None:
    assert (await _ask(named_sse(_start(), *_text(0, "x"), *_end(said)))).stop_reason is reason


async def test_an_answer_in_one_piece_is_read_when_no_stream_is_wanted() -> None:
    heard = Heard()
    answer = {
        "type": "message",
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "seal"},
            {"type": "text", "text": "Looking."},
            {"type": "tool_use", "id": "t", "name": "read", "input": {"path": "a"}},
        ],
        "stop_reason": "tool_use",
        "usage": {"input_tokens": 7, "output_tokens": 3},
    }
    async with provider(status(200, answer)) as server, _anthropic(server) as wire:
        outcome = await wire.run(model_call(_MODEL, options={"stream": False}), HELLO, heard)

    assert "stream" not in server.bodies[0]
    assert outcome.message is not None
    assert outcome.message.reasoning_signature == "seal"
    assert outcome.message.tool_calls == (ToolUseBlock(id="t", name="read", input={"path": "a"}),)
    assert outcome.usage == TokenUsage(prompt_tokens=7, completion_tokens=3, total_tokens=10)
    assert heard.pieces == [("thinking", "hm"), ("text", "Looking.")]


_HALF = [_start(), *_text(0, "half")]
_ERROR = {"type": "error", "error": {"type": "overloaded_error", "message": f"Overloaded {KEY}"}}


@pytest.mark.parametrize(
    ("stream", "reason"),
    [
        (named_sse(*_HALF), "ended without message_stop"),
        (named_sse(*_HALF, *_end()[:1]), "ended without message_stop"),
        (named_sse(*_HALF, {"type": "message_stop"}), "ended without a stop_reason"),
        (named_sse(*_HALF, *_end(None)), "ended without a stop_reason"),
        (named_sse(*_HALF, _ERROR), r"overloaded_error: Overloaded \[key\]"),
        (named_sse(*_HALF) + b"event: message_delta\ndata: {oops\n\n", "not JSON"),
        (b"", "ended without message_stop"),
    ],
)
async def test_a_broken_stream_is_an_error_and_never_a_short_answer(stream: bytes, reason: str) -> None:
    with pytest.raises(ModelProtocolError, match=reason) as caught:
        await _ask(stream)

    assert KEY not in str(caught.value)


async def test_a_whole_answer_without_a_stop_reason_is_an_error() -> None:
    answer = {"type": "message", "content": [{"type": "text", "text": "x"}]}
    async with provider(status(200, answer)) as server, _anthropic(server) as wire:
        with pytest.raises(ModelProtocolError, match="stop_reason"):
            await wire.run(model_call(_MODEL, options={"stream": False}), HELLO, Heard())


async def test_the_seal_of_many_thoughts_is_json_of_their_blocks() -> None:
    outcome = await _ask(
        named_sse(_start(), *_thinking(0, "a", "s1"), *_text(1, "x"), *_thinking(2, "b", "s2"), *_end())
    )

    assert outcome.message is not None
    assert outcome.message.reasoning_content == "a\n\nb"
    seal = (outcome.message.reasoning_signature or "").removeprefix("blocks:")
    assert [block["signature"] for block in json.loads(seal)] == ["s1", "s2"]
