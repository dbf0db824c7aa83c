"""What a model call cost: between token counts, the offline price table of genai-prices, and prices that were given.

The table is a heavy import (about a quarter of a second), so it is loaded at the first question, in a thread.
"""

from __future__ import annotations

import asyncio
import sys
from decimal import Decimal
from typing import Final

from actors.domain.llm import LlmConfig, ModelPrice
from actors.domain.messages import TokenUsage

SCRIPTED: Final = "scripted"
"""The provider whose prices its models' options say."""

PRICE_OPTION: Final = "price_usd"
"""What each answer of such a model costs; without it the model has no price."""


def price_of(llm: LlmConfig, usage: TokenUsage) -> str | None:
    """The price of a call in US dollars as a decimal string, or None when its model has no known price.

    Args:
        llm: The model; a price of its own goes before the table's.
        usage: Cache reads and writes are parts of ``prompt_tokens`` and have prices of their own.
    """
    if llm.price is None:
        return cost_usd(llm.provider, llm.model, usage)
    return format(_at(llm.price, usage), "f")


def _at(price: ModelPrice, usage: TokenUsage) -> Decimal:
    read, written = _cached(usage)
    dollars = (
        (usage.prompt_tokens - read - written) * price.input
        + read * (price.input if price.cache_read is None else price.cache_read)
        + written * (price.input if price.cache_write is None else price.cache_write)
        + usage.completion_tokens * price.output
    )
    return dollars / 1_000_000


def _cached(usage: TokenUsage) -> tuple[int, int]:
    """Tokens of the prompt that were read from the cache and written to it: parts of it, whatever was said."""
    read = min(usage.cache_read_tokens or 0, usage.prompt_tokens)
    return read, min(usage.cache_write_tokens or 0, usage.prompt_tokens - read)


def cost_usd(provider: str, model: str, usage: TokenUsage) -> str | None:
    """The same by the table alone. ``model`` is the provider's own name of the model."""
    from genai_prices import Usage, calc_price

    read, written = _cached(usage)
    counted = Usage(
        input_tokens=usage.prompt_tokens,
        cache_read_tokens=read or None,
        cache_write_tokens=written or None,
        output_tokens=usage.completion_tokens,
    )
    try:
        price = calc_price(counted, model, provider_id=provider)
    except (LookupError, ValueError):
        return None
    return format(price.total_price, "f")


async def is_priced(llm: LlmConfig) -> bool:
    """Whether a call's price will be known."""
    if llm.price is not None:
        return True
    if llm.provider == SCRIPTED:
        return PRICE_OPTION in llm.options
    return await price_call(llm, TokenUsage()) is not None


async def price_call(llm: LlmConfig, usage: TokenUsage) -> str | None:
    """``price_of`` that does not hold up the event loop while the table is loaded."""
    if llm.price is not None or "genai_prices" in sys.modules:
        return price_of(llm, usage)
    return await asyncio.to_thread(price_of, llm, usage)
