"""A model without a model: answers by a script, the same for the same history.

Between the model host, which treats it like any provider, and the scripts of ``scripted_steps``. It ships for
examples, tests and benchmarks. Models:

- ``scripted/echo`` answers with the last user text, word by word.
- ``scripted/script`` follows ``options["steps"]``, one step per answer of a turn; see ``Step`` for what a step may
  hold. After the last step that step repeats, or with ``options["loop"]`` the first one follows.
- ``scripted/prompt`` takes the user's text as the script; see ``prompt_steps`` for its lines.

``options["delay_s"]`` and ``options["token_delay_s"]`` are the defaults of every step, for all three. A prompt longer
than ``options["window_tokens"]`` is refused, as providers do. A summary is ``options["summary"]``, which is a step.
Each answer costs ``options["price_usd"]``, a decimal string; without it the models have no price.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from actors.domain.budgets import dollars
from actors.domain.calls import Emit, ModelCall, ModelOutcome, Outcome
from actors.domain.messages import (
    Message,
    Role,
    StopReason,
    TextBlock,
    TokenUsage,
    ToolResultBlock,
    ToolUseBlock,
)
from actors.errors import (
    ContextExceeded,
    GreenroomError,
    ModelAuthFailed,
    ModelProtocolError,
    ModelRejected,
    ModelUnavailable,
)
from actors.llm.answer import parse_arguments
from actors.llm.metering import Tell, untold
from actors.llm.prices import PRICE_OPTION, SCRIPTED
from actors.llm.scripted_steps import Step, StepCall, plan

PROVIDER = SCRIPTED

_WORD = re.compile(r"\S+\s*|\s+")

_CHARS_PER_TOKEN = 4
"""The usual rule of thumb for English; usage has to be plausible and the same each time, not exact."""

_BREATH = 64
"""Words put out before other tasks get their turn."""


class ScriptedModel:
    """A provider whose answer is a function of the history, but for failures that count attempts and for clocks."""

    async def run(
        self, call: ModelCall, messages: tuple[Message, ...], emit: Emit, tell: Tell = untold
    ) -> ModelOutcome:
        """Perform the step that the history has come to. Like most providers it tells no tokens before the end.

        Raises:
            ModelRejected: unknown model or a script that is not valid, both named; or a scripted failure.
            ContextExceeded: the prompt is longer than ``options["window_tokens"]``.
            ModelUnavailable, ModelProtocolError, ModelAuthFailed: scripted failures, and no end within ``timeout_s``.
        """
        del tell
        started = time.monotonic()
        step, price = plan(call.llm, messages, summary_of=call.summary_of), _price(call.llm.options)
        _check_window(call, messages)
        try:
            async with asyncio.timeout(call.llm.timeout_s):
                message = await _perform(step, call, messages, emit)
        except TimeoutError:
            raise ModelUnavailable(PROVIDER, f"no whole answer within {call.llm.timeout_s:g} s") from None
        return ModelOutcome(
            outcome=Outcome.ok,
            message=message,
            stop_reason=step.stop_reason or (StopReason.tool_use if message.tool_calls else StopReason.end_turn),
            usage=step.usage or _usage(call.system, messages, message),
            cost_usd=price,
            provider=call.llm.provider,
            model=call.llm.model,
            duration_ms=round((time.monotonic() - started) * 1000),
        )

    async def close(self) -> None:
        """Nothing is held."""


def _check_window(call: ModelCall, messages: Sequence[Message]) -> None:
    window = call.llm.options.get("window_tokens")
    if not isinstance(window, int):
        return
    used = _usage(call.system, messages, Message.assistant("")).prompt_tokens
    if used > window:
        raise ContextExceeded(PROVIDER, 400, f"the prompt has {used} tokens, the window {window}", window)


async def _perform(step: Step, call: ModelCall, messages: Sequence[Message], emit: Emit) -> Message:
    await asyncio.sleep(step.delay_s)
    if step.fails_on(call.attempt):
        raise _failure(step.error or "unavailable")
    if step.thinking:
        emit("thinking", step.thinking)
    said: list[str] = []
    for word in _words(step):
        if said and (step.token_delay_s or len(said) % _BREATH == 0):
            await asyncio.sleep(step.token_delay_s)
        said.append(word())
        emit("text", said[-1])
    text = "".join(said)
    answers = sum(1 for message in messages if message.role is Role.assistant)
    uses = [_use(one, f"call_{answers}_{place}", emit) for place, one in enumerate(step.calls)]
    return Message.assistant(text, *uses).model_copy(update={"reasoning_content": step.thinking or None})


def _words(step: Step) -> Iterator[Callable[[], str]]:
    """The words of a step, as they will be when they leave."""
    yield from (functools.partial(str, word) for word in _WORD.findall(step.text))
    yield from itertools.repeat(lambda: f"{time.monotonic():.6f} ", step.clock)


def _use(call: StepCall, identity: str, emit: Emit) -> ToolUseBlock:
    written = call.raw_args if call.raw_args is not None else json.dumps(call.args, ensure_ascii=False)
    emit("tool_input", written)
    return ToolUseBlock(id=identity, name=call.tool, input=parse_arguments(written))


def _failure(kind: str) -> GreenroomError:
    match kind:
        case "auth":
            return ModelAuthFailed(PROVIDER, "the script says so")
        case "rejected":
            return ModelRejected(PROVIDER, 400, "the script says so")
        case "protocol":
            return ModelProtocolError(PROVIDER, "the script says so")
        case _:
            return ModelUnavailable(PROVIDER, "the script says so")


def _price(options: dict[str, Any]) -> str | None:
    """What an answer costs."""
    price = options.get(PRICE_OPTION)
    try:
        return format(dollars(str(price)), "f") if price is not None else None
    except ValueError:
        raise ModelRejected(PROVIDER, 400, f"options['{PRICE_OPTION}'] is not a decimal number") from None


def _usage(system: str | None, messages: Sequence[Message], answer: Message) -> TokenUsage:
    prompt = max(1, (len(system or "") + sum(map(_chars, messages))) // _CHARS_PER_TOKEN)
    completion = max(1, _chars(answer) // _CHARS_PER_TOKEN)
    return TokenUsage(prompt_tokens=prompt, completion_tokens=completion, total_tokens=prompt + completion)


def _chars(message: Message) -> int:
    count = len(message.reasoning_content or "")
    for block in message.content:
        if isinstance(block, TextBlock):
            count += len(block.text)
        elif isinstance(block, ToolUseBlock):
            count += len(block.name) + len(json.dumps(block.input, ensure_ascii=False))
        elif isinstance(block, ToolResultBlock):
            parts = (TextBlock(text=block.content),) if isinstance(block.content, str) else block.content
            count += sum(len(part.text) for part in parts if isinstance(part, TextBlock))
    return count
