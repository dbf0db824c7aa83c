"""What a model call cost: between token counts and the offline price table of genai-prices.

The table is a heavy import (about a quarter of a second), so it is loaded at the first question, in a thread.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Final

from actors.domain.llm import LlmConfig
from actors.domain.messages import TokenUsage

SCRIPTED: Final = "scripted"
"""The provider whose prices its models' options say."""

PRICE_OPTION: Final = "price_usd"
"""What each answer of such a model costs; without it the model has no price."""


def cost_usd(provider: str, model: str, usage: TokenUsage) -> str | None:
    """The price in US dollars as a decimal string, or None when the model has no known price.

    Args:
        provider: Name of the provider, such as ``openai``.
        model: The provider's own name of the model.
        usage: Cache reads and writes are parts of ``prompt_tokens`` and have prices of their own.
    """
    from genai_prices import Usage, calc_price

    read = min(usage.cache_read_tokens or 0, usage.prompt_tokens)
    written = min(usage.cache_write_tokens or 0, usage.prompt_tokens - read)
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
    if llm.provider == SCRIPTED:
        return PRICE_OPTION in llm.options
    return await price_call(llm.provider, llm.model, TokenUsage()) is not None


async def price_call(provider: str, model: str, usage: TokenUsage) -> str | None:
    """``cost_usd`` that does not hold up the event loop while the table is loaded."""
    if "genai_prices" in sys.modules:
        return cost_usd(provider, model, usage)
    return await asyncio.to_thread(cost_usd, provider, model, usage)
