"""The embedded model as a provider: between model calls and a small model that runs in this process.

``local/smollm2-135m-instruct`` needs no key and no network. It answers in text; tools are offered to it only with
``options["tools"]`` set to ``auto`` or ``required``, because a model of this size calls tools that it does not need
and rarely gets back to the question. With tools it writes JSON under a grammar, so that its calls are always valid.
"""

from __future__ import annotations

import asyncio
import contextvars
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, cast

from actors.domain.calls import Emit, ModelCall, ModelOutcome, Outcome
from actors.domain.messages import Message, Role, StopReason, TokenUsage
from actors.errors import ContextExceeded, ModelProtocolError, ModelRejected, ModelUnavailable
from actors.llm.answer import count_of, items, obj, text_of
from actors.llm.local_context import ToolMode, fit, grammar, read_choice, with_tools
from actors.llm.local_engine import MODEL_NAME, SLOT_TOKENS, SLOTS, Engine
from actors.llm.metering import Tell, untold

PROVIDER = "local"

DEFAULT_ANSWER_TOKENS = 512
MAX_ANSWER_TOKENS = 1024
"""Half of the window is kept for the prompt."""

MARGIN_TOKENS = 32
"""Kept free between prompt and answer: the template's own tokens."""

MAX_CUTS = 4
"""How often a prompt that is still too long is cut further; each time to what the model's own count allows."""

_SAMPLING = {"temperature": 0.2, "top_p": 0.9, "repeat_penalty": 1.1}
"""What the model's authors recommend; the penalty keeps it from going round in circles."""

_OPTIONS = frozenset({"top_p", "top_k", "min_p", "seed", "repeat_penalty", "stop", "presence_penalty"})
"""Options that are handed on to the library; others are not for it."""

_NO_MORE = object()

_WORD = re.compile(r"\S+\s*|\s+")

Progress = Callable[[str], None]


class LocalProvider:
    """Answers on the embedded weights, which are loaded at the first call: 0.6 s, and about 250 MiB while loaded.

    Args:
        threads: Threads that compute; 2 of them answer some 70 tokens a second.
        slots: Answers at the same time; further calls wait.
    """

    def __init__(self, threads: int = 2, slots: int = SLOTS) -> None:
        self._threads = threads
        self._workers = ThreadPoolExecutor(max_workers=min(slots, SLOTS), thread_name_prefix="greenroom-llm")
        self._engine: Engine | None = None
        self._loading: asyncio.Task[None] | None = None
        self._running: set[threading.Event] = set()
        self._closed = False

    async def load(self, progress: Progress | None = None) -> None:
        """Load the weights unless they are; ``progress`` gets a sentence when that begins and when it has ended.

        Raises:
            ModelUnavailable: the packages are missing, the weights are damaged, or the provider was closed.
        """
        if self._closed:
            raise ModelUnavailable(PROVIDER, "it was closed")
        if self._engine is not None:
            return
        if self._loading is None or self._loading.done():
            # A task of its own, so that a caller who gives up does not leave a half-loaded model behind.
            coroutine = self._load(progress or _silent)
            self._loading = asyncio.get_running_loop().create_task(coroutine, context=contextvars.Context())
        await asyncio.shield(self._loading)

    async def _load(self, tell: Progress) -> None:
        tell(f"Loading the embedded model {MODEL_NAME} ...")
        started = time.monotonic()
        self._engine = await asyncio.get_running_loop().run_in_executor(self._workers, Engine, self._threads)
        tell(f"Embedded model {MODEL_NAME} loaded in {time.monotonic() - started:.1f} s.")

    async def run(
        self, call: ModelCall, messages: tuple[Message, ...], emit: Emit, tell: Tell = untold
    ) -> ModelOutcome:
        """See ``ModelProvider.run``. A cancelled call stops computing within about a second.

        It tells no tokens before the end.

        Raises:
            ModelRejected: there is no such embedded model, or its options are not usable.
            ContextExceeded: the prompt does not fit, however it is cut.
            ModelUnavailable: the packages are missing, or no whole answer came within ``timeout_s``.
            ModelProtocolError: the library gave no whole answer.
        """
        if call.llm.model != MODEL_NAME:
            raise ModelRejected(PROVIDER, 404, f"there is no embedded model {call.llm.model!r}, only {MODEL_NAME!r}")
        del tell
        mode = _tool_mode(call)
        started = time.monotonic()
        try:
            async with asyncio.timeout(call.llm.timeout_s):
                await self.load()
                piece = await self._answer(call, messages, mode, emit)
        except TimeoutError:
            raise ModelUnavailable(PROVIDER, f"no whole answer within {call.llm.timeout_s:g} s") from None
        message = _message(piece.text, mode, messages, emit)
        return ModelOutcome(
            outcome=Outcome.ok,
            message=message,
            stop_reason=StopReason.tool_use if message.tool_calls else piece.stop_reason(),
            usage=piece.usage,
            provider=call.llm.provider,
            model=call.llm.model,
            duration_ms=round((time.monotonic() - started) * 1000),
        )

    async def close(self) -> None:
        """Stop what runs and free the weights; waits for the threads, about a second."""
        self._closed = True
        for stop in self._running:
            stop.set()
        if self._loading is not None:
            await asyncio.wait([self._loading])
        engine, self._engine = self._engine, None
        await asyncio.to_thread(self._workers.shutdown, wait=True, cancel_futures=True)
        if engine is not None:
            await asyncio.to_thread(engine.close)

    async def _answer(self, call: ModelCall, messages: tuple[Message, ...], mode: ToolMode, emit: Emit) -> _Answer:
        longest = min(call.llm.max_tokens or DEFAULT_ANSWER_TOKENS, MAX_ANSWER_TOKENS)
        system = call.system if mode == "off" else with_tools(call.system, call.tools, mode)
        budget = SLOT_TOKENS - longest - MARGIN_TOKENS
        body = _settings(call) | {"max_tokens": longest}
        grammars = _grammars(call, mode)
        body["response_format"] = next(grammars)
        for _ in range(MAX_CUTS):
            body["messages"] = fit(system, messages, budget)
            try:
                answer = await self._stream(body, None if mode != "off" else emit)
            except ValueError as error:
                if (looser := next(grammars, _NO_MORE)) is _NO_MORE:
                    raise ModelRejected(PROVIDER, 400, str(error)[:500]) from None
                body["response_format"] = looser
                continue
            if not answer.too_long:
                return answer.checked()
            budget = answer.smaller(budget)
        raise ContextExceeded(PROVIDER, 400, "the prompt does not fit, however it is cut", SLOT_TOKENS)

    async def _stream(self, body: dict[str, Any], emit: Emit | None) -> _Answer:
        engine = self._engine
        if engine is None:
            raise ModelUnavailable(PROVIDER, "it was closed")
        loop = asyncio.get_running_loop()
        stop = threading.Event()
        answer = _Answer()

        def on_chunk(chunk: dict[str, Any]) -> bool:
            text = answer.add(chunk)
            if text and emit is not None and not stop.is_set():
                try:
                    loop.call_soon_threadsafe(emit, "text", text)
                except RuntimeError:  # The loop has ended: nobody listens any more.
                    return True
            return stop.is_set()

        self._running.add(stop)
        try:
            await loop.run_in_executor(self._workers, engine.chat, body, on_chunk)
        finally:
            stop.set()
            self._running.discard(stop)
        return answer


@dataclass
class _Answer:
    """What the library streamed."""

    parts: list[str] = field(default_factory=list[str])
    finish: str = ""
    usage: TokenUsage = TokenUsage()
    error: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def text(self) -> str:
        return "".join(self.parts)

    @property
    def too_long(self) -> bool:
        return text_of(self.error.get("type")) == "exceed_context_size_error"

    def add(self, chunk: dict[str, Any]) -> str:
        """Take a chunk; returns the text in it."""
        self.error = self.error or obj(chunk.get("error"))
        if usage := obj(chunk.get("usage")):
            self.usage = _usage(usage)
        text = ""
        for choice in items(chunk.get("choices")):
            text += text_of(obj(obj(choice).get("delta")).get("content"))
            self.finish = text_of(obj(choice).get("finish_reason")) or self.finish
        if text:
            self.parts.append(text)
        return text

    def checked(self) -> _Answer:
        """Itself, or ModelProtocolError when it is not whole."""
        if self.error:
            raise ModelProtocolError(PROVIDER, text_of(self.error.get("message"))[:500] or "it failed")
        if not self.finish:
            raise ModelProtocolError(PROVIDER, "the answer ended without a stop reason")
        return self

    def smaller(self, budget: int) -> int:
        """A budget that this prompt would have kept, going by the model's own counts; a tenth less to be sure."""
        counted = count_of(self.error.get("n_prompt_tokens")) or 2 * SLOT_TOKENS
        return max(64, min(int(budget * budget / counted * 0.9), int(budget * 0.9)))

    def stop_reason(self) -> StopReason:
        return StopReason.max_tokens if self.finish == "length" else StopReason.end_turn


def _settings(call: ModelCall) -> dict[str, Any]:
    settings = {"stream": True, "stream_options": {"include_usage": True}, "return_progress": True, **_SAMPLING}
    settings |= {key: value for key, value in call.llm.options.items() if key in _OPTIONS}
    if call.llm.temperature is not None:
        settings["temperature"] = call.llm.temperature
    return settings


def _grammars(call: ModelCall, mode: ToolMode) -> Iterator[dict[str, Any] | None]:
    """What the answer is held to, and then what it is held to when the library cannot make a grammar of that."""
    if mode != "off" or call.output is not None:
        yield grammar(call.tools, mode, output=call.output.json_schema if call.output is not None else None)
    yield grammar(call.tools, mode, loose=True) if mode != "off" else None


def _tool_mode(call: ModelCall) -> ToolMode:
    mode = call.llm.options.get("tools", "off")
    if mode not in {"off", "auto", "required"}:
        raise ModelRejected(PROVIDER, 400, "options['tools'] is 'off', 'auto' or 'required'")
    return cast("ToolMode", mode) if call.tools else "off"


def _message(text: str, mode: ToolMode, messages: tuple[Message, ...], emit: Emit) -> Message:
    if mode == "off":
        return Message.assistant(text)
    chosen = read_choice(text, sum(1 for message in messages if message.role is Role.assistant))
    if not isinstance(chosen, str):
        emit("tool_input", text)
        return Message.assistant("", chosen)
    for word in _WORD.findall(chosen):
        emit("text", word)
    return Message.assistant(chosen)


def _usage(counted: dict[str, Any]) -> TokenUsage:
    prompt, completion = (count_of(counted.get(key)) or 0 for key in ("prompt_tokens", "completion_tokens"))
    cached = count_of(obj(counted.get("prompt_tokens_details")).get("cached_tokens"))
    return TokenUsage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=prompt + completion,
        cache_read_tokens=cached,
    )


def _silent(sentence: str) -> None:
    """Progress that nobody asked for."""
