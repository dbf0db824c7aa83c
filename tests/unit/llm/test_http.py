"""Failures on the way to a provider: what is tried again, how it ends, and what an error may say."""

from __future__ import annotations

import asyncio
import logging
import pickle
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pydantic import SecretStr

from actors.domain.calls import ModelOutcome, Outcome
from actors.domain.llm import RetryConfig
from actors.domain.messages import Message
from actors.errors import (
    GreenroomError,
    ModelAuthFailed,
    ModelProtocolError,
    ModelRejected,
    ModelUnavailable,
    SessionNotFound,
)
from actors.llm.anthropic import AnthropicProvider
from actors.llm.http import Limits
from actors.llm.openai import OpenAIProvider
from actors.llm.provider import ModelProvider, outcome_of_error
from tests.unit.llm.servers import (
    HELLO,
    KEY,
    KEY_SECRET,
    FakeTime,
    Heard,
    Provider,
    Reply,
    drop,
    hang,
    model_call,
    pieces,
    provider,
    sse,
    status,
)

_ANSWER = sse({"choices": [{"delta": {"content": "hi"}, "finish_reason": "stop"}]})
_START = sse({"choices": [{"delta": {"content": "hi"}}]}, done=False)
_OVERLOADED = {"error": {"message": "Overloaded"}}


@asynccontextmanager
async def _openai(server: Provider, **settings: Any) -> AsyncGenerator[OpenAIProvider]:
    wire = OpenAIProvider("openai", server.url, KEY_SECRET, **settings)
    try:
        yield wire
    finally:
        await wire.close()


async def _ask(*replies: Reply, time: FakeTime, retry: RetryConfig | None = None, **llm: Any) -> ModelOutcome:
    async with provider(*replies) as server, _openai(server, retry=retry, pacing=time.pacing()) as wire:
        return await wire.run(model_call(**llm), HELLO, Heard())


@pytest.mark.parametrize("code", [408, 429, 500, 502, 503, 504, 529])
@pytest.mark.parametrize("stream", [True, False])
async def test_a_retryable_status_is_tried_again_after_a_growing_delay(code: int, stream: bool) -> None:
    time = FakeTime()
    whole = {"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}
    success = pieces(_ANSWER) if stream else status(200, whole)

    outcome = await _ask(status(code), status(code), success, time=time, options={"stream": stream})

    assert outcome.message == Message.assistant("hi")
    assert time.slept == [1.0, 2.0]


@pytest.mark.parametrize("stream", [True, False])
async def test_retry_after_wins_over_the_delay(stream: bool) -> None:
    time = FakeTime()
    limited = status(429, _OVERLOADED, Retry_After=" 7.5 ")

    with pytest.raises(ModelUnavailable) as caught:
        await _ask(limited, limited, time=time, retry=RetryConfig(max_retries=1), options={"stream": stream})

    assert time.slept == [7.5]
    assert caught.value.retry_after_s == 7.5


async def test_a_retry_after_that_makes_no_sense_is_ignored() -> None:
    time = FakeTime()

    await _ask(status(429, None, Retry_After="301"), pieces(_ANSWER), time=time)

    assert time.slept == [1.0]


async def test_exhausted_retries_say_how_many_attempts_and_the_last_status() -> None:
    time = FakeTime()
    replies = [status(500), status(500), status(529, _OVERLOADED)]

    with pytest.raises(ModelUnavailable, match=r"status 529: Overloaded \(gave up after 3 attempts\)"):
        await _ask(*replies, time=time, retry=RetryConfig(max_retries=2))


async def test_a_dropped_connection_is_tried_again() -> None:
    time = FakeTime()

    outcome = await _ask(drop(), pieces(_ANSWER), time=time)

    assert outcome.outcome is Outcome.ok
    assert time.slept == [1.0]


async def test_an_unreachable_server_is_tried_again_and_named() -> None:
    time = FakeTime()
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        wire = OpenAIProvider("openai", f"http://{address}", None, RetryConfig(max_retries=2), pacing=time.pacing())
        with pytest.raises(ModelUnavailable, match=rf"no connection .* at {address} \(gave up after 3 attempts\)"):
            await wire.run(model_call(), HELLO, Heard())
        await wire.close()

    assert time.slept == [1.0, 2.0]


async def test_no_attempt_begins_after_the_time_limit_of_the_call() -> None:
    time = FakeTime()
    replies = [status(503, None, Retry_After="40") for _ in range(3)]

    with pytest.raises(ModelUnavailable, match="gave up after 2 attempts, as the next one would have to wait 40 s"):
        await _ask(*replies, time=time, timeout_s=60)

    assert time.slept == [40.0]


async def test_a_call_that_takes_too_long_ends_at_its_limit() -> None:
    entered, left = asyncio.Event(), asyncio.Event()
    async with provider(hang(entered, left, _START)) as server, _openai(server) as wire:
        with pytest.raises(ModelUnavailable, match=r"no whole answer within 0\.3 s"):
            await wire.run(model_call(timeout_s=0.3), HELLO, Heard())

        async with asyncio.timeout(5):
            await left.wait()


async def test_silence_before_the_answer_is_an_unavailable_provider() -> None:
    entered, left = asyncio.Event(), asyncio.Event()
    settings = {"retry": RetryConfig.disabled(), "limits": Limits(read_s=0.1)}
    async with provider(hang(entered, left)) as server, _openai(server, **settings) as wire:
        with pytest.raises(ModelUnavailable, match="no data in time"):
            await wire.run(model_call(), HELLO, Heard())


async def test_silence_within_the_answer_is_a_broken_answer_and_not_tried_again() -> None:
    entered, left = asyncio.Event(), asyncio.Event()
    async with (
        provider(hang(entered, left, _START)) as server,
        _openai(server, limits=Limits(read_s=0.1)) as wire,
    ):
        with pytest.raises(ModelProtocolError, match="no data in time"):
            await wire.run(model_call(), HELLO, Heard())

    assert len(server.bodies) == 1


async def test_nothing_is_tried_again_once_a_piece_was_emitted() -> None:
    heard = Heard()
    async with provider(pieces(_START, abort=True)) as server, _openai(server) as wire:
        with pytest.raises(ModelProtocolError):
            await wire.run(model_call(), HELLO, heard)

    assert (len(server.bodies), heard.on("text")) == (1, "hi")


@pytest.mark.parametrize("code", [401, 403])
async def test_a_refused_key_is_an_error_at_once_and_is_not_shown(code: int) -> None:
    time = FakeTime()

    with pytest.raises(ModelAuthFailed) as caught:
        await _ask(status(code, {"error": {"message": f"Incorrect API key provided: {KEY}."}}), time=time)

    assert time.slept == []
    assert "Incorrect API key provided: [key]" in caught.value.message
    assert KEY not in str(caught.value) + repr(caught.value) + repr(pickle.loads(pickle.dumps(caught.value)))


@pytest.mark.parametrize("code", [400, 404, 409, 413, 422, 501])
async def test_a_refused_request_is_an_error_at_once(code: int) -> None:
    time = FakeTime()

    with pytest.raises(ModelRejected, match=rf"\({code}\): no such thing"):
        await _ask(status(code, {"error": {"message": "no such thing"}}), time=time)

    assert time.slept == []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"type": "error", "error": {"type": "x", "message": "A"}}, "A"),
        ({"error": "B"}, "B"),
        ({"detail": "C"}, "C"),
        ({"message": "D\n\tE"}, "D E"),
        ({"object": "error"}, "Bad Request"),
        ("plain", "plain"),
        ({"error": {"message": "y" * 10_000}}, "y" * 497 + "..."),
    ],
)
async def test_an_error_carries_what_the_provider_said_and_not_more(body: object, said: str) -> None:
    with pytest.raises(ModelRejected) as caught:
        await _ask(status(400, body), time=FakeTime())

    assert caught.value.detail.strip('"').removeprefix("status 400: ") == said.rstrip(".")


async def test_a_redirect_is_not_followed() -> None:
    async with provider(pieces(_ANSWER)) as elsewhere:
        with pytest.raises(ModelRejected, match="check base_url"):
            await _ask(status(307, None, Location=f"{elsewhere.url}/v1/chat/completions"), time=FakeTime())

    assert elsewhere.bodies == []


async def test_an_answer_without_end_is_given_up() -> None:
    endless = pieces(*[_START] * 50)
    limits = Limits(response_bytes=1000)
    async with provider(endless) as server, _openai(server, limits=limits) as wire:
        with pytest.raises(ModelProtocolError, match="larger"):
            await wire.run(model_call(), HELLO, Heard())


async def test_cancelling_closes_the_connection_in_the_middle_of_an_answer() -> None:
    entered, left = asyncio.Event(), asyncio.Event()
    heard = Heard()
    async with provider(hang(entered, left, _START)) as server, _openai(server) as wire:
        task = asyncio.create_task(wire.run(model_call(), HELLO, heard))
        async with asyncio.timeout(5):
            await heard.first.wait()
            task.cancel()
            await left.wait()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert heard.on("text") == "hi"


async def test_cancelling_closes_the_connection_before_there_is_an_answer() -> None:
    entered, left = asyncio.Event(), asyncio.Event()
    async with provider(hang(entered, left)) as server, _openai(server) as wire:
        task = asyncio.create_task(wire.run(model_call(), HELLO, Heard()))
        async with asyncio.timeout(5):
            await entered.wait()
            task.cancel()
            await left.wait()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_cancelling_ends_the_wait_between_two_attempts() -> None:
    waiting = asyncio.Event()

    async def sleep(seconds: float) -> None:
        waiting.set()
        await asyncio.Event().wait()

    time = FakeTime()
    time.sleep = sleep
    async with provider(status(503)) as server, _openai(server, pacing=time.pacing()) as wire:
        task = asyncio.create_task(wire.run(model_call(), HELLO, Heard()))
        async with asyncio.timeout(5):
            await waiting.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    assert len(server.bodies) == 1


async def test_a_finished_stream_leaves_its_connection_for_the_next_call() -> None:
    async with provider(*[pieces(_ANSWER) for _ in range(3)]) as server, _openai(server) as wire:
        for _ in range(3):
            await wire.run(model_call(), HELLO, Heard())

    assert len(server.ports) == 1


async def test_a_server_that_keeps_a_finished_stream_open_delays_nobody() -> None:
    gate = asyncio.Event()
    async with provider(pieces(_ANSWER, gate=gate)) as server, _openai(server) as wire:
        async with asyncio.timeout(5):
            outcome = await wire.run(model_call(), HELLO, Heard())

    assert outcome.outcome is Outcome.ok


@pytest.mark.parametrize(
    ("kind", "variable"), [(OpenAIProvider, "OPENAI_API_KEY"), (AnthropicProvider, "ANTHROPIC_API_KEY")]
)
@pytest.mark.parametrize("key", [None, SecretStr(" ")])
async def test_the_official_server_is_not_asked_without_a_key(
    kind: type[OpenAIProvider | AnthropicProvider], variable: str, key: SecretStr | None
) -> None:
    wire: ModelProvider = kind("p", None, key)

    with pytest.raises(ModelAuthFailed, match=variable):
        await wire.run(model_call(), HELLO, Heard())


async def test_a_key_that_no_header_can_carry_is_refused_without_showing_it() -> None:
    wire = OpenAIProvider("openai", "http://127.0.0.1:1", SecretStr("sk-ä\nb"))

    with pytest.raises(ModelAuthFailed) as caught:
        await wire.run(model_call(), HELLO, Heard())

    assert "sk-" not in str(caught.value)


async def test_no_key_and_no_prompt_reaches_a_log_or_a_repr(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secret_prompt = (Message.user("prompt-canary"),)
    replies = [status(503, {"error": KEY}), drop(), status(400, {"error": f"{KEY} prompt"})]
    async with provider(*replies) as server, _openai(server, pacing=FakeTime().pacing()) as wire:
        with pytest.raises(ModelRejected) as caught:
            await wire.run(model_call(), secret_prompt, Heard())
        shown = repr(wire) + repr(vars(wire)) + repr(caught.value) + repr(caught.value.__cause__)

    assert "prompt-canary" not in caplog.text
    assert KEY not in caplog.text + shown


@pytest.mark.parametrize(
    ("error", "retryable"),
    [
        (ModelProtocolError("p", "cut off"), True),
        (ModelUnavailable("p", "down"), False),
        (ModelAuthFailed("p", "no key"), False),
        (ModelRejected("p", 400, "bad"), False),
        (SessionNotFound("s"), False),
    ],
)
def test_an_error_becomes_an_outcome_with_its_name_and_sentence(error: GreenroomError, retryable: bool) -> None:
    outcome = outcome_of_error(error, "p", "m")

    assert (outcome.outcome, outcome.error_code, outcome.error) == (Outcome.error, error.code, error.message)
    assert (outcome.provider, outcome.model, outcome.retryable) == ("p", "m", retryable)


def test_a_defect_becomes_an_outcome_that_does_not_show_its_text() -> None:
    outcome = outcome_of_error(ValueError("secret"), "p", "m")

    assert outcome.error_code == "InternalError"
    assert "secret" not in (outcome.error or "")
