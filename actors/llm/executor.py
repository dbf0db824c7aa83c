"""Carries model calls out: between the effect host, which knows calls and outcomes, and model providers."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from actors.domain.blobs import blobs_in, inflate
from actors.domain.calls import (
    UNCLEAR,
    CallKey,
    Delta,
    Emit,
    ModelCall,
    ModelOutcome,
    Outcome,
    Reconciled,
    ToolCall,
    ToolOutcome,
)
from actors.domain.messages import Message, TokenUsage
from actors.errors import GreenroomError, ModelUnpriced, StoreCorrupt
from actors.llm import outputs
from actors.llm.decoded import DecodedContexts
from actors.llm.metering import Meter
from actors.llm.prices import is_priced, price_call, price_of
from actors.llm.provider import ModelProvider, outcome_of_error
from actors.policy.summaries import summary_request, title_request

logger = logging.getLogger(__name__)

BACKSTOP_S = 5.0
"""Providers keep a call's ``timeout_s`` themselves and say what they were waiting for; one that does not is stopped
this much later."""

ProviderOf = Callable[[ModelCall], Awaitable[ModelProvider]]
FetchBlobs = Callable[[str, frozenset[str]], Awaitable[Mapping[str, bytes]]]
"""(tenant, digests) -> content of those that exist."""


class ModelExecutor:
    """An ``Executor`` for model calls.

    Args:
        providers: Gives the provider of a call; may raise, which fails the call.
        fetch_blobs: Gets content that the messages only refer to; what is missing is named in its place.
        sleep: Waits so many seconds.
    """

    def __init__(
        self,
        providers: ProviderOf,
        fetch_blobs: FetchBlobs,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._providers = providers
        self._fetch_blobs = fetch_blobs
        self._sleep = sleep
        self._contexts = DecodedContexts()
        self._meters: dict[CallKey, Meter] = {}

    async def execute(self, call: ModelCall | ToolCall, emit: Emit) -> ModelOutcome | ToolOutcome:
        """Ask the model. Every failure is an outcome; only cancellation is raised."""
        if call.kind != "model":
            return ToolOutcome(outcome=Outcome.error, content="This host runs models, not tools.", exit_code=1)
        meter = self._meters[call.key] = Meter(call, emit)
        outcome = await self._outcome(call, meter)
        # What a cancelled call took is asked for afterwards.
        del self._meters[call.key]
        return outcome

    def cancelled(self, call: ModelCall | ToolCall, deltas: Sequence[Delta]) -> ModelOutcome | ToolOutcome:
        """The text that had arrived, as a message when there is any, and what it took."""
        if call.kind != "model":
            return ToolOutcome(outcome=Outcome.cancelled, content="cancelled", exit_code=1)
        text = "".join(delta.text for delta in deltas if delta.channel == "text")
        meter = self._meters.pop(call.key, None)
        usage = meter.usage if meter is not None else TokenUsage()
        return ModelOutcome(
            outcome=Outcome.cancelled,
            message=Message.assistant(text) if text else None,
            # The table of prices is loaded here when the very first call of a process is cancelled, and only then.
            cost_usd=price_of(call.llm, usage) if usage.total_tokens else None,
            usage=usage,
            provider=call.llm.provider,
            model=call.llm.model,
        )

    async def reconcile(self, call: ToolCall, recorded: bytes | None) -> Reconciled:
        """No tool runs here."""
        del call, recorded
        return UNCLEAR

    async def _outcome(self, call: ModelCall, meter: Meter) -> ModelOutcome:
        started = time.monotonic()
        try:
            if call.delay_s > 0:
                await self._sleep(call.delay_s)
            async with asyncio.timeout(call.llm.timeout_s + BACKSTOP_S):
                return outputs.checked(call, await self._ask(call, meter))
        except TimeoutError:
            outcome = _timed_out(call)
        except Exception as error:
            outcome = _failed(call, error)
        changes: dict[str, Any] = {"duration_ms": round((time.monotonic() - started) * 1000)}
        if meter.usage.total_tokens:
            changes |= {"usage": meter.usage, "cost_usd": await price_call(call.llm, meter.usage)}
        return outcome.model_copy(update=changes)

    async def _ask(self, call: ModelCall, meter: Meter) -> ModelOutcome:
        if call.priced_only and not await is_priced(call.llm):
            raise ModelUnpriced(call.llm.name)
        provider = await self._providers(call)
        context = self._contexts.of(call)
        messages, references = context.messages, context.references
        wanted = call.summary_of
        if wanted is not None:
            messages = messages[wanted.start : wanted.end]
            references = blobs_in(messages)
        if references:
            blobs = await self._fetch_blobs(call.tenant, references)
            if len(blobs) < len(references):
                raise StoreCorrupt("of this session", "content that its messages refer to is missing")
            messages = tuple(inflate(message, blobs) for message in messages)
        if wanted is not None:
            messages = (title_request(messages) if wanted.title else summary_request(messages, wanted.prompt_tokens),)
        meter.messages = messages
        outcome = await provider.run(call, messages, meter.emit, meter.tell)
        if call.llm.price is None or outcome.cost_usd is not None:
            return outcome
        # Models of this machine have no price but the one that was given.
        return outcome.model_copy(update={"cost_usd": price_of(call.llm, outcome.usage)})


def _failed(call: ModelCall, error: Exception) -> ModelOutcome:
    if not isinstance(error, GreenroomError):
        logger.error("model provider %s broke", call.llm.provider, exc_info=error)
    outcome = outcome_of_error(error, call.llm.provider, call.llm.model)
    if outcome.error_args or not isinstance(error, GreenroomError):
        return outcome
    return outcome.model_copy(update={"error_args": _plain(error.args)})


def _plain(arguments: tuple[object, ...]) -> tuple[object, ...]:
    """The arguments as they come back from JSON, so that an outcome is the same on both sides of a socket."""
    return tuple(json.loads(json.dumps(arguments, default=str)))


def _timed_out(call: ModelCall) -> ModelOutcome:
    return ModelOutcome(
        outcome=Outcome.timeout,
        provider=call.llm.provider,
        model=call.llm.model,
        error_code="ModelUnavailable",
        error=f"Model {call.llm.name} gave no whole answer within {call.llm.timeout_s:g} s.",
        error_args=(call.llm.provider, f"no whole answer within {call.llm.timeout_s:g} s"),
    )
