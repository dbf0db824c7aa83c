"""Calls and answers of the chat-completions wire, against servers that check bodies."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from actors.domain.calls import ModelOutcome, Outcome
from actors.domain.llm import RetryConfig
from actors.domain.messages import PARSE_ERROR, Message, StopReason, TokenUsage, ToolUseBlock
from actors.errors import ModelProtocolError
from actors.llm.names import ToolNames
from actors.llm.openai import OpenAIProvider
from tests.unit.llm.servers import (
    HELLO,
    KEY,
    KEY_SECRET,
    Heard,
    Provider,
    model_call,
    pieces,
    provider,
    split,
    sse,
    status,
)


def _chunk(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def _call_piece(index: int | None, identity: str | None, name: str | None, arguments: str | None) -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {"index": index, "id": identity, "function": function}


_USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 20,
    "total_tokens": 120,
    "prompt_tokens_details": {"cached_tokens": 64},
}


@asynccontextmanager
async def _openai(server: Provider) -> AsyncGenerator[OpenAIProvider]:
    wire = OpenAIProvider("openai", server.url, KEY_SECRET, RetryConfig.disabled())
    try:
        yield wire
    finally:
        await wire.close()


async def _ask(*chunks: bytes, heard: Heard | None = None, **settings: Any) -> ModelOutcome:
    async with provider(pieces(*chunks)) as server, _openai(server) as wire:
        return await wire.run(model_call(**settings), HELLO, heard or Heard())


def _calls(outcome: ModelOutcome) -> tuple[ToolUseBlock, ...]:
    assert outcome.message is not None
    return outcome.message.tool_calls


_TALK = sse(
    _chunk(role="assistant", content=""),
    _chunk(reasoning_content="Let me "),
    _chunk(reasoning_content="see."),
    _chunk(content="Grüße "),
    _chunk(content="🎭"),
    _chunk("stop"),
    {"choices": [], "usage": _USAGE},
)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 100_000])
async def test_a_stream_gives_text_thinking_and_usage_however_it_is_cut(size: int) -> None:
    heard = Heard()

    outcome = await _ask(*split(_TALK, size), heard=heard)

    assert outcome.message is not None
    assert (outcome.outcome, outcome.stop_reason) == (Outcome.ok, StopReason.end_turn)
    assert outcome.message.text == "Grüße 🎭"
    assert outcome.message.reasoning_content == "Let me see."
    assert outcome.usage == TokenUsage(prompt_tokens=100, completion_tokens=20, total_tokens=120, cache_read_tokens=64)
    assert heard.pieces == [("thinking", "Let me "), ("thinking", "see."), ("text", "Grüße "), ("text", "🎭")]
    assert (outcome.provider, outcome.model) == ("openai", "gpt-4o-mini")
    assert outcome.cost_usd is not None


async def test_the_request_carries_key_tools_and_settings() -> None:
    call = model_call(temperature=0.2, max_tokens=50, options={"seed": 7, "stream_options": None, "model": "other"})
    async with provider(pieces(_TALK)) as server, _openai(server) as wire:
        await wire.run(call, HELLO, Heard())

    (body,), (headers,) = server.bodies, server.headers
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert body["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hello"}]
    assert [tool["function"]["name"] for tool in body["tools"]] == ["read", "fs_list"]
    assert (body["model"], body["stream"], body["temperature"], body["max_tokens"]) == ("gpt-4o-mini", True, 0.2, 50)
    assert body["seed"] == 7
    assert "stream_options" not in body


async def test_a_stream_asks_for_usage() -> None:
    async with provider(pieces(_TALK)) as server, _openai(server) as wire:
        await wire.run(model_call(), HELLO, Heard())

    assert server.bodies[0]["stream_options"] == {"include_usage": True}


async def test_a_custom_server_without_a_key_gets_no_authorization() -> None:
    async with provider(pieces(_TALK)) as server:
        wire = OpenAIProvider("llamacpp", server.url, None)
        await wire.run(model_call(), HELLO, Heard())
        await wire.close()

    assert "Authorization" not in server.headers[0]


async def test_calls_are_put_together_by_index_and_get_their_own_names_back() -> None:
    heard = Heard()
    stream = sse(
        _chunk(content="Looking."),
        _chunk(tool_calls=[_call_piece(0, "c1", "read", "")]),
        _chunk(tool_calls=[_call_piece(1, "c2", "fs_list", '{"dir"')]),
        _chunk(tool_calls=[_call_piece(0, None, None, '{"path": ')]),
        _chunk(tool_calls=[_call_piece(1, None, None, ': "/"}'), _call_piece(0, None, None, '"a"}')]),
        _chunk("tool_calls"),
    )

    outcome = await _ask(stream, heard=heard)

    assert outcome.message == Message.assistant(
        "Looking.",
        ToolUseBlock(id="c1", name="read", input={"path": "a"}),
        ToolUseBlock(id="c2", name="fs.list", input={"dir": "/"}),
    )
    assert outcome.stop_reason is StopReason.tool_use
    assert heard.on("tool_input") == '{"dir"{"path": : "/"}"a"}'


@pytest.mark.parametrize(
    "calls",
    [
        pytest.param([(None, "a", "read", "{}"), (None, "b", "read", "{}")], id="no index"),
        pytest.param([(0, "a", "read", "{}"), (0, "b", "read", "{}")], id="the same index"),
        pytest.param([(0, "a", "read", "{"), (0, "a", "read", "}"), (1, "b", "read", "{}")], id="id in every piece"),
        pytest.param([(0, "a", "read", None), (1, "b", "read", "")], id="no arguments"),
        pytest.param(
            [(None, "a", "read", "{"), (None, None, None, "}"), (None, "b", "read", "{}")], id="pieces follow"
        ),
    ],
)
async def test_calls_of_servers_that_number_them_badly_are_told_apart(calls: Iterable[Any]) -> None:
    stream = sse(*(_chunk(tool_calls=[_call_piece(*piece)]) for piece in calls), _chunk("stop"))

    outcome = await _ask(stream)

    assert [(call.id, call.name, call.input) for call in _calls(outcome)] == [("a", "read", {}), ("b", "read", {})]
    assert outcome.stop_reason is StopReason.tool_use


async def test_missing_and_repeated_ids_are_made_unique() -> None:
    stream = sse(
        _chunk(tool_calls=[_call_piece(0, "x", "read", "{}"), _call_piece(1, "x", "read", "{}")]),
        _chunk(tool_calls=[_call_piece(2, None, "read", "{}"), _call_piece(3, "call_2", "read", "{}")]),
        _chunk("tool_calls"),
    )

    identities = [call.id for call in _calls(await _ask(stream))]

    assert len(set(identities)) == 4
    assert identities[0] == "x" and identities[3] == "call_2"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ('{"path": "a', "Unterminated string"),
        ("[1, 2]", "expected a JSON object, got an array"),
        ("null", "expected a JSON object, got null"),
        ('{"x": NaN}', "NaN is not JSON"),
        ("[" * 100_000, "nested too deeply"),
        ("x" * 5000, "Expecting value"),
    ],
)
async def test_arguments_that_are_no_object_arrive_as_a_parse_error(arguments: str, reason: str) -> None:
    outcome = await _ask(sse(_chunk(tool_calls=[_call_piece(0, "a", "read", arguments)]), _chunk("tool_calls")))

    (call,) = _calls(outcome)
    assert reason in (call.parse_error or "")
    assert call.input == {PARSE_ERROR: call.parse_error, "raw": arguments[:2000]}


@pytest.mark.parametrize(
    ("finish", "reason"),
    [
        ("stop", StopReason.end_turn),
        ("length", StopReason.max_tokens),
        ("content_filter", StopReason.refusal),
        ("tool_calls", StopReason.end_turn),
        ("eos", StopReason.end_turn),
    ],
)
async def test_finish_reasons_are_said_in_our_words(finish: str, reason: StopReason) -> None:
    assert (await _ask(sse(_chunk(content="x"), _chunk(finish)))).stop_reason is reason


async def test_a_refusal_is_text_and_a_stop_reason() -> None:
    outcome = await _ask(sse(_chunk(refusal="I will not."), _chunk("stop")))

    assert outcome.message == Message.assistant("I will not.")
    assert outcome.stop_reason is StopReason.refusal


async def test_missing_usage_is_zero_and_a_missing_done_is_no_error() -> None:
    outcome = await _ask(sse(_chunk(content="x"), _chunk("stop"), done=False))

    assert outcome.usage == TokenUsage()


async def test_halves_of_a_character_are_joined_before_anybody_sees_them() -> None:
    heard = Heard()
    stream = sse(_chunk(content="a\ud83c"), _chunk(content="\udfadb"), _chunk(content="\udc00"), _chunk("stop"))

    outcome = await _ask(stream, heard=heard)

    assert outcome.message == Message.assistant("a🎭b\ufffd")
    assert heard.on("text") == "a🎭b\ufffd"


async def test_a_call_with_half_a_character_can_still_be_journaled() -> None:
    outcome = await _ask(
        sse(_chunk(tool_calls=[_call_piece(0, "a", "read", '{"p": "\\ud83d"}')]), _chunk("tool_calls"))
    )

    assert _calls(outcome)[0].input == {"p": "\ufffd"}
    assert outcome.model_dump_json()


async def test_an_answer_in_one_piece_is_read_when_no_stream_is_wanted() -> None:
    heard = Heard()
    function = {"name": "read", "arguments": '{"path": "a"}'}
    message = {
        "content": "Looking.",
        "reasoning": "hm",
        "tool_calls": [{"id": "c", "type": "function", "function": function}],
    }
    answer = {"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}], "usage": _USAGE}
    async with provider(status(200, answer)) as server, _openai(server) as wire:
        outcome = await wire.run(model_call(options={"stream": False}), HELLO, heard)

    assert not {"stream", "stream_options"} & set(server.bodies[0])
    assert outcome.message is not None
    assert outcome.message.reasoning_content == "hm"
    assert (
        outcome.message.content
        == Message.assistant("Looking.", ToolUseBlock(id="c", name="read", input={"path": "a"})).content
    )
    assert outcome.usage.cache_read_tokens == 64
    assert heard.pieces == [("thinking", "hm"), ("text", "Looking."), ("tool_input", '{"path": "a"}')]


async def test_a_server_that_ignores_the_wish_for_a_stream_is_understood() -> None:
    answer = {"choices": [{"message": {"content": [{"type": "text", "text": "hi"}]}, "finish_reason": "stop"}]}
    async with provider(status(200, answer)) as server, _openai(server) as wire:
        outcome = await wire.run(model_call(), HELLO, Heard())

    assert outcome.message == Message.assistant("hi")


@pytest.mark.parametrize(
    ("stream", "reason"),
    [
        (sse(_chunk(content="half"), done=False), "ended without a finish_reason"),
        (sse(_chunk(content="half")), "ended without a finish_reason"),
        (b"", "ended without a finish_reason"),
        (sse(_chunk(content="half"), {"error": {"message": f"overloaded {KEY}"}}), r"overloaded \[key\]"),
        (sse(_chunk(content="half")).replace(b"[DONE]", b"{half"), "not JSON"),
        (sse(_chunk(content="half"), _chunk("error")), "gave up"),
        (b'event: error\ndata: {"message": "boom"}\n\n', "boom"),
        (b"data: [1]\n\n", "not a JSON object"),
    ],
)
async def test_a_broken_stream_is_an_error_and_never_a_short_answer(stream: bytes, reason: str) -> None:
    with pytest.raises(ModelProtocolError, match=reason) as caught:
        await _ask(stream)

    assert KEY not in str(caught.value)


async def test_a_stream_whose_connection_breaks_is_an_error() -> None:
    async with provider(pieces(sse(_chunk(content="half"), done=False), abort=True)) as server, _openai(server) as wire:
        with pytest.raises(ModelProtocolError, match="cut off"):
            await wire.run(model_call(), HELLO, Heard())


async def test_an_error_in_a_whole_answer_is_an_error_whatever_the_status() -> None:
    async with provider(status(200, {"error": "no capacity"})) as server, _openai(server) as wire:
        with pytest.raises(ModelProtocolError, match="no capacity"):
            await wire.run(model_call(options={"stream": False}), HELLO, Heard())


async def test_the_official_server_gets_the_newer_limit_and_an_effort_for_its_reasoning_models() -> None:
    wire = OpenAIProvider("openai", None, KEY_SECRET)
    call = model_call("openai/o4-mini", thinking=5000, max_tokens=99)

    body = wire.body(call, HELLO, ToolNames())
    plain = wire.body(model_call(thinking=5000), HELLO, ToolNames())

    assert (body["max_completion_tokens"], body["reasoning_effort"]) == (99, "medium")
    assert "max_tokens" not in body
    assert plain["reasoning_effort"] is None
