"""A model provider as the host of model calls sees it, and the run that both HTTP wires share.

Above: the host, which decodes messages, keeps deltas and outcomes, and cancels by cancelling the task. Below: a wire,
which knows one provider's JSON, and ``ApiClient``, which knows HTTP.
"""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol
from urllib.parse import urlsplit

from pydantic import SecretStr

from actors.domain.calls import Emit, ModelCall, ModelOutcome, Outcome
from actors.domain.llm import RetryConfig
from actors.domain.messages import Message, TokenUsage
from actors.errors import GreenroomError, InternalError, ModelAuthFailed, ModelProtocolError, ModelUnavailable
from actors.llm.answer import Answer, Fault, load_object
from actors.llm.http import ApiClient, ApiResponse, Limits, Request
from actors.llm.metering import Tell, untold
from actors.llm.names import ToolNames
from actors.llm.prices import price_call
from actors.llm.retry import Pacing, with_retries
from actors.llm.sse import ServerSentEvent, SseDecoder

_RESERVED_OPTIONS = frozenset({"stream", "messages", "model"})
"""Options that would contradict the call itself; ``stream`` is obeyed, not sent."""


class ModelProvider(Protocol):
    """Answers model calls."""

    async def run(
        self, call: ModelCall, messages: tuple[Message, ...], emit: Emit, tell: Tell = untold
    ) -> ModelOutcome:
        """Ask the model and wait for the whole answer.

        Cancelling the task closes the connection at once; the text so far is what was emitted.

        Args:
            call: The model, its settings, system text and tools; ``call.messages`` and ``call.delay_s`` are the host's.
            messages: The context, decoded and with its blobs put back.
            emit: Takes the pieces of the answer: ``text``, ``thinking``, and ``tool_input`` for the JSON of arguments.
            tell: Takes what is known of the tokens while the answer comes.

        Raises:
            ModelAuthFailed: no key, or one that the provider refuses.
            ModelUnavailable: not reachable or overloaded, after all retries; or no whole answer in time.
            ModelRejected: the provider refuses the request.
            ContextExceeded: the conversation is longer than the model's window.
            ModelProtocolError: the answer was broken or cut off.
        """
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


class StreamReader(Protocol):
    """Makes an answer of a stream's events."""

    @property
    def done(self) -> bool:
        """Whether the stream said that it is complete."""
        ...

    @property
    def usage(self) -> TokenUsage:
        """The tokens as far as the stream has told them."""
        ...

    def feed(self, event: ServerSentEvent) -> None:
        """Take the next event; raises ModelProtocolError for an error event or one that is not JSON."""
        ...

    def finish(self) -> Answer:
        """The answer; raises ModelProtocolError when the stream ended before it was whole."""
        ...


def outcome_of_error(error: BaseException, provider: str, model: str) -> ModelOutcome:
    """The outcome of a call that failed.

    Only a broken answer is worth another attempt of the same call: what else may heal was tried again already.
    """
    known = error if isinstance(error, GreenroomError) else InternalError(type(error).__name__)
    return ModelOutcome(
        outcome=Outcome.error,
        provider=provider,
        model=model,
        error_code=known.code,
        error=known.message,
        retryable=isinstance(known, ModelProtocolError),
    )


class HttpProvider(ABC):
    """The run that both wires share: body, request with retries, answer, price.

    Args:
        name: Name for errors and outcomes.
        base_url: Root of the server, without ``/v1``; the official one when None.
        key: The API key; servers other than the official one may need none.
        retry: When a request is made again.
        pacing: Time and chance.
        limits: Bounds of time and size.
    """

    official_url: ClassVar[str]
    key_variable: ClassVar[str]
    path: ClassVar[str]

    def __init__(
        self,
        name: str,
        base_url: str | None,
        key: SecretStr | None,
        retry: RetryConfig | None = None,
        *,
        pacing: Pacing | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.name = name
        self._key = key
        self._retry = retry or RetryConfig()
        self._pacing = pacing or Pacing()
        self._api = ApiClient(name, base_url or self.official_url, key, self._retry, limits, self._pacing.now)
        self._official = urlsplit(self._api.base_url).hostname == urlsplit(self.official_url).hostname

    async def run(
        self, call: ModelCall, messages: tuple[Message, ...], emit: Emit, tell: Tell = untold
    ) -> ModelOutcome:
        """See ``ModelProvider.run``."""
        started = self._pacing.clock()
        headers = {"Content-Type": "application/json", **self._key_headers()}
        names = ToolNames(tool.name for tool in call.tools)
        stream = call.llm.options.get("stream") is not False
        body = self._encode(call, messages, names, stream)
        # An answer in one piece sends nothing until it is whole.
        request = Request(self.path, headers, body, stream, read_s=None if stream else call.llm.timeout_s)
        deadline = started + call.llm.timeout_s
        try:
            async with asyncio.timeout(call.llm.timeout_s):
                answer = await with_retries(
                    lambda: self._attempt(request, names, emit, tell), self._retry, deadline, self._pacing
                )
        except TimeoutError:
            raise ModelUnavailable(self.name, f"no whole answer within {call.llm.timeout_s:g} s") from None
        return ModelOutcome(
            outcome=Outcome.ok,
            message=answer.message,
            stop_reason=answer.stop_reason,
            usage=answer.usage,
            cost_usd=await price_call(call.llm, answer.usage),
            provider=call.llm.provider,
            model=call.llm.model,
            duration_ms=round((self._pacing.clock() - started) * 1000),
        )

    async def close(self) -> None:
        """Close the connections; calls that run fail, later ones open new connections."""
        await self._api.close()

    @abstractmethod
    def body(self, call: ModelCall, messages: tuple[Message, ...], names: ToolNames) -> dict[str, Any]:
        """The request as JSON values, without the caller's options and ``stream``."""

    @abstractmethod
    def auth(self, key: str | None) -> dict[str, str]:
        """The headers that carry the key, if there is one, and name the protocol's version."""

    @abstractmethod
    def stream_fields(self) -> dict[str, Any]:
        """What a request for a stream adds to the body."""

    @abstractmethod
    def reader(self, names: ToolNames, emit: Emit, fault: Fault) -> StreamReader:
        """A reader for one stream."""

    @abstractmethod
    def read(self, payload: dict[str, Any], names: ToolNames, emit: Emit, fault: Fault) -> Answer:
        """The answer in a body that came whole."""

    def _encode(self, call: ModelCall, messages: tuple[Message, ...], names: ToolNames, stream: bool) -> bytes:
        body = self.body(call, messages, names)
        if stream:
            body |= self.stream_fields()
        body |= {key: value for key, value in call.llm.options.items() if key not in _RESERVED_OPTIONS}
        # None leaves a field out, also one that an option sets to None.
        sent = {key: value for key, value in body.items() if value is not None}
        return json.dumps(sent, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")

    def _key_headers(self) -> Mapping[str, str]:
        key = self._key.get_secret_value().strip() if self._key else ""
        if not key and self._official:
            raise ModelAuthFailed(self.name, f"no API key is configured; set {self.key_variable}")
        if not (key.isascii() and (key.isprintable() or not key)):
            raise ModelAuthFailed(self.name, "the API key has characters that no key has")
        return self.auth(key or None)

    async def _attempt(self, request: Request, names: ToolNames, emit: Emit, tell: Tell) -> Answer:
        async with self._api.post(request) as response:
            if response.is_event_stream:
                return await self._listen(response, self.reader(names, emit, self._api.fault), tell)
            payload = load_object(await response.read(), self._api.fault)
            return self.read(payload, names, emit, self._api.fault)

    async def _listen(self, response: ApiResponse, reader: StreamReader, tell: Tell) -> Answer:
        decoder = SseDecoder(self.name)
        tell(reader.usage)
        while not reader.done:
            chunk = await response.next_chunk()
            for event in decoder.feed(chunk) if chunk else decoder.flush():
                reader.feed(event)
            tell(reader.usage)
            if not chunk:
                break
        else:
            await response.drain()
        return reader.finish()
