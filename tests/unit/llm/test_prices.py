"""What a call cost, from token counts."""

from __future__ import annotations

from decimal import Decimal

import pytest
from pydantic import ValidationError

from actors.domain.llm import LlmConfig, ModelPrice
from actors.domain.messages import TokenUsage
from actors.llm.prices import cost_usd, price_call, price_of

_MILLION = TokenUsage(prompt_tokens=1_000_000, completion_tokens=1_000_000, total_tokens=2_000_000)


@pytest.mark.parametrize(
    ("provider", "model", "dollars"),
    [
        ("anthropic", "claude-sonnet-4-20250514", "18"),
        ("anthropic", "claude-3-5-sonnet-20241022", "18"),
        ("anthropic", "claude-3-haiku-20240307", "1.5"),
        ("anthropic", "claude-3-opus-20240229", "90"),
        ("openai", "gpt-4o", "12.5"),
        ("openai", "gpt-4o-mini", "0.75"),
        ("openai", "gpt-4-turbo", "40"),
    ],
)
def test_known_models_have_a_price(provider: str, model: str, dollars: str) -> None:
    assert Decimal(cost_usd(provider, model, _MILLION) or "-1") == Decimal(dollars)


def test_a_call_costs_its_tokens_at_the_price_of_a_million() -> None:
    usage = TokenUsage(prompt_tokens=1000, completion_tokens=500, total_tokens=1500)
    assert Decimal(cost_usd("anthropic", "claude-sonnet-4-20250514", usage) or "-1") == Decimal("0.0105")
    assert Decimal(cost_usd("anthropic", "claude-sonnet-4-20250514", TokenUsage()) or "-1") == 0


def test_cache_reads_are_cheaper_and_cache_writes_dearer_than_plain_input() -> None:
    def price(**cached: int) -> Decimal:
        usage = TokenUsage(prompt_tokens=1000, total_tokens=1000, **cached)
        return Decimal(cost_usd("anthropic", "claude-sonnet-4-20250514", usage) or "-1")

    assert price(cache_read_tokens=400) < price() < price(cache_write_tokens=400)
    assert price(cache_read_tokens=400, cache_write_tokens=100) == Decimal("0.001995")


@pytest.mark.parametrize(("provider", "model"), [("openai", "no-such-model"), ("local", "smollm2-135m-instruct")])
def test_an_unknown_model_or_provider_is_unpriced(provider: str, model: str) -> None:
    assert cost_usd(provider, model, _MILLION) is None


def test_counts_that_contradict_each_other_are_still_priced() -> None:
    usage = TokenUsage(prompt_tokens=10, cache_read_tokens=400, cache_write_tokens=5)

    assert cost_usd("anthropic", "claude-sonnet-4-20250514", usage) is not None


def test_a_tiny_price_is_written_without_an_exponent() -> None:
    price = cost_usd("openai", "gpt-4o-mini", TokenUsage(prompt_tokens=1))

    assert price is not None and "E" not in price and Decimal(price) > 0


async def test_a_call_is_priced_the_same_off_the_event_loop() -> None:
    assert await price_call(LlmConfig.of("openai/gpt-4o"), _MILLION) == cost_usd("openai", "gpt-4o", _MILLION)


def test_a_price_that_is_given_goes_before_the_table() -> None:
    own = ModelPrice(input=Decimal("0.2"), output=Decimal(1), cache_read=Decimal("0.05"))
    cached = TokenUsage(prompt_tokens=1000, completion_tokens=100, cache_read_tokens=400, cache_write_tokens=100)

    for name in ("vllm/qwen", "openai/gpt-4o"):
        llm = LlmConfig.of(name, price=own)
        assert Decimal(price_of(llm, _MILLION) or "-1") == Decimal("1.2")
        assert Decimal(price_of(llm, cached) or "-1") == Decimal("0.00024")
        assert LlmConfig.model_validate_json(llm.model_dump_json()) == llm
    assert "price" not in LlmConfig.of("vllm/qwen").model_dump()
    with pytest.raises(ValidationError):
        ModelPrice(input=Decimal(-1), output=Decimal(0))
