"""How servers say that a conversation is too long, and what is not that."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from actors.domain.llm import RetryConfig
from actors.errors import ContextExceeded, GreenroomError, ModelProtocolError, ModelRejected, from_wire, to_wire
from actors.llm.anthropic import AnthropicProvider
from actors.llm.openai import OpenAIProvider
from tests.unit.llm.servers import HELLO, KEY_SECRET, Heard, Reply, model_call, pieces, provider, sse, status

_OPENAI: dict[str, tuple[int, Any, int | None]] = {
    "openai": (
        400,
        {
            "error": {
                "message": "This model's maximum context length is 128000 tokens. However, your messages resulted in "
                "130012 tokens. Please reduce the length of the messages.",
                "type": "invalid_request_error",
                "param": "messages",
                "code": "context_length_exceeded",
            }
        },
        128_000,
    ),
    "openai, newer": (
        400,
        {
            "error": {
                "message": "Input tokens exceed the configured limit of 272,000 tokens. Your messages resulted in "
                "300010 tokens.",
                "code": "context_length_exceeded",
            }
        },
        272_000,
    ),
    "only a code": (400, {"error": {"message": "Bad request", "code": "context_length_exceeded"}}, None),
    "vllm": (
        400,
        {
            "object": "error",
            "message": "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens (4000 "
            "in the messages, 1000 in the completion). Please reduce the length of the messages or completion.",
            "type": "BadRequestError",
            "code": 400,
        },
        4096,
    ),
    "vllm, v1": (
        400,
        {
            "error": {
                "message": "The decoder prompt (length 5000) is longer than the maximum model length of 4096. Make "
                "sure that `max_model_len` is no smaller than the number of text tokens.",
                "type": "BadRequestError",
            }
        },
        4096,
    ),
    "llama.cpp": (
        400,
        {
            "error": {
                "code": 400,
                "message": "request (9412 tokens) exceeds the available context size (8192 tokens), try increasing it",
                "type": "exceed_context_size_error",
                "n_prompt_tokens": 9412,
                "n_ctx": 8192,
            }
        },
        8192,
    ),
    "llama.cpp behind a gateway": (
        400,
        {"detail": '{"error":{"code":400,"type":"exceed_context_size_error","n_ctx":2048}}'},
        2048,
    ),
    "sglang": (
        400,
        {
            "object": "error",
            "message": "The input (5000 tokens) is longer than the model's context length (4096 tokens).",
        },
        4096,
    ),
    "tgi": (
        422,
        {"error": "Input validation error: `inputs` must have less than 4095 tokens. Given: 5000"},
        4095,
    ),
    "tgi, both": (422, {"error": "`inputs` tokens + `max_new_tokens` must be <= 8193. Given: 9000 and 20"}, 8193),
    "lm studio": (
        400,
        {
            "error": "Trying to keep the first 5000 tokens when context the overflows. However, the model is loaded "
            "with context length of only 4096 tokens, which is not enough."
        },
        4096,
    ),
    "mistral": (
        400,
        {
            "message": "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum "
            "context length"
        },
        32_768,
    ),
    "gemini": (
        400,
        {
            "error": {
                "message": "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."
            }
        },
        1_048_576,
    ),
    "xai": (
        400,
        {"error": "This model's maximum prompt length is 131072 but the request contains 140000 tokens."},
        131_072,
    ),
    "groq": (400, {"error": {"message": "Please reduce the length of the messages or completion."}}, None),
    "bedrock": (400, {"message": "Input is too long for requested model."}, None),
    "responses": (400, {"error": {"message": "Your input exceeds the context window of this model."}}, None),
}

_ANTHROPIC: dict[str, tuple[int, Any, int | None]] = {
    "anthropic": (400, "prompt is too long: 208310 tokens > 200000 maximum", 200_000),
    "anthropic, with the answer": (
        400,
        "input length and `max_tokens` exceed context limit: 199759 + 8192 > 200000, decrease input length or "
        "`max_tokens` and try again",
        200_000,
    ),
}

_OTHERS: dict[str, tuple[int, Any]] = {
    "answer": (400, "max_tokens is too large: 100000. This model supports at most 16384 completion tokens"),
    "rate": (413, "Request too large for model `m` on tokens per minute (TPM): Limit 6000, Requested 9000"),
    "tool": (400, "Invalid 'tools[0].function.name': string too long. Expected a string with maximum length 64"),
    "image": (400, "messages.0.content.1.image.source.base64: image exceeds 5 MB maximum"),
    "found": (404, "the prompt is too long"),
}


async def _error(*replies: Reply, wire: type[OpenAIProvider | AnthropicProvider] = OpenAIProvider) -> GreenroomError:
    async with provider(*replies) as server:
        asked = wire("p", server.url, KEY_SECRET, RetryConfig.disabled())
        try:
            with pytest.raises(GreenroomError) as caught:
                await asked.run(model_call(), HELLO, Heard())
        finally:
            await asked.close()
    return caught.value


@pytest.mark.parametrize(("code", "body", "window"), _OPENAI.values(), ids=_OPENAI)
async def test_servers_of_the_openai_wire_say_that_it_is_too_long(code: int, body: Any, window: int | None) -> None:
    error = await _error(status(code, body))

    assert isinstance(error, ContextExceeded), error
    assert (error.http_status, error.window) == (code, window)
    assert "does not fit into the model's window" in error.message


@pytest.mark.parametrize(("code", "said", "window"), _ANTHROPIC.values(), ids=_ANTHROPIC)
async def test_the_anthropic_wire_says_that_it_is_too_long(code: int, said: str, window: int) -> None:
    body = {"type": "error", "error": {"type": "invalid_request_error", "message": said}}
    error = await _error(status(code, body), wire=AnthropicProvider)

    assert isinstance(error, ContextExceeded), error
    assert error.window == window


@pytest.mark.parametrize(("code", "said"), _OTHERS.values(), ids=_OTHERS)
async def test_other_refusals_are_not_taken_for_it(code: int, said: str) -> None:
    error = await _error(status(code, {"error": {"message": said, "type": "invalid_request_error"}}))

    assert type(error) is ModelRejected


async def test_a_stream_that_begins_with_the_refusal_says_the_same() -> None:
    refusal = {"error": {"message": "request (9412 tokens) exceeds the available context size (8192 tokens)"}}
    error = await _error(pieces(sse(refusal)))
    broken = await _error(pieces(sse({"error": {"message": "CUDA error"}})))

    assert isinstance(error, ContextExceeded)
    assert error.window == 8192
    assert isinstance(broken, ModelProtocolError)


def test_the_error_goes_through_processes_with_its_window() -> None:
    error = ContextExceeded("p", 400, "too long", 4096)

    for copy in (pickle.loads(pickle.dumps(error)), from_wire(to_wire(error))):
        assert isinstance(copy, ContextExceeded)
        assert (copy.window, copy.message) == (4096, error.message)
