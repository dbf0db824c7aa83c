"""Model calls that are cancelled in the middle, at servers that speak as the providers do and check what comes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from actors.domain import records as r
from actors.domain.events import MessageDelta
from actors.domain.llm import LlmConfig
from actors.domain.messages import TokenUsage
from actors.domain.session import SessionConfig
from actors.errors import TurnFailed
from actors.handle import SessionHandle
from tests.unit.llm.servers import Provider, hang, named_sse, pieces, provider, sse
from tests.unit.local.runtimes import records, runtime

_WORDS = "as far as I can see it "


@dataclass(frozen=True)
class _Wire:
    """A provider: its model, the beginnings of an answer, and a whole one. ``says_prompt``: at the beginning."""

    model: str
    text: bytes
    call: bytes
    whole: bytes
    says_prompt: int | None


def _delta(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def _block(index: int, block: dict[str, Any], delta: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"type": "content_block_start", "index": index, "content_block": block},
        {"type": "content_block_delta", "index": index, "delta": delta},
    ]


_START = {"type": "message_start", "message": {"content": [], "usage": {"input_tokens": 321, "output_tokens": 1}}}
_SAYING = _block(0, {"type": "text", "text": ""}, {"type": "text_delta", "text": _WORDS})
_CALLING = _block(
    1,
    {"type": "tool_use", "id": "t", "name": "ls", "input": {}},
    {"type": "input_json_delta", "partial_json": '{"pa'},
)
_END = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}}
_TOOL: dict[str, Any] = {"tool_calls": [{"index": 0, "id": "t", "function": {"name": "ls", "arguments": '{"pa'}}]}

WIRES = (
    _Wire(
        "openai/gpt-4o-mini",
        sse(_delta(content=_WORDS), done=False),
        sse(_delta(content=_WORDS), _delta(**_TOOL), done=False),
        sse(_delta(content="Well."), _delta("stop") | {"usage": {"prompt_tokens": 40, "completion_tokens": 2}}),
        None,
    ),
    _Wire(
        "anthropic/claude-sonnet-4-20250514",
        named_sse(_START, *_SAYING),
        named_sse(_START, *_SAYING, *_CALLING),
        named_sse(_START, *_SAYING, _END, {"type": "message_stop"}),
        321,
    ),
)

both = pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.model.partition("/")[0])


def _config(wire: _Wire, server: Provider) -> SessionConfig:
    return SessionConfig(model=LlmConfig.of(wire.model, base_url=server.url), max_continuations=0)


async def _cancel_in_the_middle(one: SessionHandle, channel: str) -> None:
    """Cancel the turn as soon as something has come on a channel, and see it end."""
    stream = await one.generate_streaming("go")
    async for event in stream:
        if isinstance(event, MessageDelta) and event.channel == channel:
            break
    assert await one.cancel()
    with pytest.raises(TurnFailed):
        await one.wait_turn(stream.receipt)


@both
@pytest.mark.parametrize("in_call", [False, True], ids=["text", "call"])
async def test_its_text_is_kept_its_tokens_are_counted_and_the_history_is_taken_by_the_provider(
    wire: _Wire, in_call: bool
) -> None:
    entered, left = asyncio.Event(), asyncio.Event()
    beginning = wire.call if in_call else wire.text
    async with provider(hang(entered, left, beginning), pieces(wire.whole)) as server, runtime() as manager:
        one = await manager.create_session("s", _config(wire, server))
        await _cancel_in_the_middle(one, "tool_input" if in_call else "text")
        await left.wait()

        assert [message.text for message in await one.history()] == ["go", _WORDS]
        (failed,) = await records(one, r.ModelCallFailed)
        usage = failed.data.usage
        assert usage.prompt_tokens == wire.says_prompt or (wire.says_prompt is None and usage.prompt_tokens > 100)
        assert usage.completion_tokens >= len(_WORDS) // 4
        assert Decimal(failed.data.cost_usd or "0") > 0
        (turn,) = await one.turns()
        assert (turn.usage, (await one.info()).usage) == (usage, usage)
        (by_model,) = (await manager.usage()).by_model
        assert (by_model.model, by_model.spent.usage) == (wire.model, usage)

        assert (await one.generate("and now?")).text
        assert len(server.bodies) == 2, "nothing was sent twice, and nothing was refused"


@both
async def test_before_the_model_has_begun_there_is_nothing_to_count(wire: _Wire) -> None:
    entered, left = asyncio.Event(), asyncio.Event()
    async with provider(hang(entered, left), pieces(wire.whole)) as server, runtime() as manager:
        one = await manager.create_session("s", _config(wire, server))
        receipt = await one.send("go")
        await entered.wait()
        assert await one.cancel()
        await left.wait()

        with pytest.raises(TurnFailed):
            await one.wait_turn(receipt)
        assert (await one.info()).usage == TokenUsage()
        assert [message.text for message in await one.history()] == ["go"]
        assert (await one.generate("and now?")).text


@both
async def test_an_attempt_that_is_cut_off_counts_beside_the_one_that_succeeds(wire: _Wire) -> None:
    async with provider(pieces(wire.text, abort=True), pieces(wire.whole)) as server, runtime() as manager:
        one = await manager.create_session("s", _config(wire, server))
        result = await one.generate("go")

        (failed,) = await records(one, r.ModelCallFailed)
        (completed,) = await records(one, r.ModelCallCompleted)
        assert failed.data.usage.completion_tokens >= len(_WORDS) // 4
        assert result.usage == failed.data.usage + completed.data.usage
