"""The embedded model on its real weights: answers, stops, calls tools under its grammar, and bears long histories."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from actors.domain.calls import HostRef, ModelCall, Outcome
from actors.domain.llm import LlmConfig
from actors.domain.messages import Message, StopReason
from actors.domain.outputs import OutputFormat
from actors.domain.tools import ToolDefinition
from actors.errors import ModelRejected, ModelUnavailable
from actors.llm.local import LocalProvider
from actors.llm.local_engine import Engine
from actors.llm.outputs import problem_of

pytestmark = [
    pytest.mark.local_model,
    pytest.mark.skipif(importlib.util.find_spec("xllamacpp") is None, reason="the extra 'local' is not installed"),
]

_ADD = ToolDefinition(
    name="add",
    description="Add two integers",
    parameters={
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "required": ["a", "b"],
    },
)


class _Heard:
    """Collects deltas; ``first`` is set with the first one."""

    def __init__(self) -> None:
        self.pieces: list[tuple[str, str]] = []
        self.first = asyncio.Event()

    def __call__(self, channel: str, text: str) -> None:
        self.pieces.append((channel, text))
        self.first.set()


@pytest.fixture
async def provider() -> AsyncIterator[LocalProvider]:
    # One slot: a call can only begin when the thread of the one before has stopped.
    provider = LocalProvider(slots=1)
    yield provider
    await provider.close()


def _call(model: str = "smollm2-135m-instruct", tools: tuple[ToolDefinition, ...] = (), **settings: Any) -> ModelCall:
    return ModelCall(
        call_id="c",
        tenant="default",
        journal_id="j",
        session_id="s",
        turn_id="t",
        epoch=1,
        host=HostRef(host_id="h", incarnation="i"),
        llm=LlmConfig(provider="local", model=model, **settings),
        tools=tools,
    )


async def _ask(provider: LocalProvider, prompt: str, call: ModelCall) -> tuple[Any, _Heard]:
    heard = _Heard()
    return await provider.run(call, (Message.user(prompt),), heard), heard


async def test_it_answers_in_pieces_that_make_up_the_message_and_counts_tokens(provider: LocalProvider) -> None:
    outcome, heard = await _ask(provider, "Count from one to five in words.", _call(max_tokens=24))

    assert outcome.outcome is Outcome.ok
    assert len(heard.pieces) > 1
    assert outcome.message is not None
    assert "".join(text for _, text in heard.pieces) == outcome.message.text
    assert outcome.stop_reason in {StopReason.end_turn, StopReason.max_tokens}
    assert outcome.usage.prompt_tokens > 0
    assert 1 < outcome.usage.completion_tokens <= 24
    assert outcome.usage.total_tokens == outcome.usage.prompt_tokens + outcome.usage.completion_tokens


async def test_max_tokens_ends_the_answer_and_says_so(provider: LocalProvider) -> None:
    outcome, _ = await _ask(provider, "Write a long story.", _call(max_tokens=5))

    assert outcome.stop_reason is StopReason.max_tokens
    assert outcome.usage.completion_tokens == 5


async def test_a_cancelled_answer_stops_computing_and_makes_room_for_the_next(provider: LocalProvider) -> None:
    heard = _Heard()
    story = asyncio.create_task(
        provider.run(_call(max_tokens=1000), (Message.user("Write a very long story."),), heard)
    )
    await heard.first.wait()
    story.cancel()
    await asyncio.wait([story])
    before = len(heard.pieces)

    async with asyncio.timeout(30):
        outcome, _ = await _ask(provider, "Say hello.", _call(max_tokens=4))

    assert story.cancelled()
    assert outcome.outcome is Outcome.ok
    assert len(heard.pieces) <= before + 1


async def test_a_cancel_while_the_prompt_is_read_stops_it_too(
    provider: LocalProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, reads, chat = asyncio.get_running_loop(), asyncio.Event(), Engine.chat

    def told(engine: Engine, body: dict[str, Any], on_chunk: Callable[[dict[str, Any]], bool]) -> None:
        def first(chunk: dict[str, Any]) -> bool:
            loop.call_soon_threadsafe(reads.set)
            return on_chunk(chunk)

        chat(engine, body, first)

    monkeypatch.setattr(Engine, "chat", told)
    prompt = Message.user("one two three four " * 240)
    reading = asyncio.create_task(provider.run(_call(max_tokens=4), (prompt,), _Heard()))
    await reads.wait()
    reading.cancel()
    await asyncio.wait([reading])

    async with asyncio.timeout(30):
        outcome, _ = await _ask(provider, "Say hello.", _call(max_tokens=4))

    assert reading.cancelled()
    assert outcome.outcome is Outcome.ok


async def test_an_answer_in_a_form_is_held_to_it_by_a_grammar(provider: LocalProvider) -> None:
    schema = {
        "type": "object",
        "properties": {"color": {"enum": ["red", "green"]}, "grams": {"type": "integer"}},
        "required": ["color", "grams"],
        "additionalProperties": False,
    }
    call = _call(max_tokens=100).model_copy(update={"output": OutputFormat(json_schema=schema)})

    outcome, heard = await _ask(provider, "Tell me about apples.", call)

    assert outcome.message is not None
    assert problem_of(OutputFormat(json_schema=schema), outcome.message.text) is None
    assert "".join(text for _, text in heard.pieces) == outcome.message.text


async def test_required_tools_give_a_call_that_is_valid_by_the_tools_schema(provider: LocalProvider) -> None:
    call = _call(tools=(_ADD,), max_tokens=120, temperature=0, options={"tools": "required"})
    outcome, heard = await _ask(provider, "What is 17 plus 25? Use the tool.", call)

    (use,) = outcome.message.tool_calls
    assert (use.name, outcome.stop_reason) == ("add", StopReason.tool_use)
    assert set(use.input) == {"a", "b"}
    assert all(isinstance(value, int) for value in use.input.values())
    assert [channel for channel, _ in heard.pieces] == ["tool_input"]


async def test_auto_tools_give_a_call_or_a_final_text(provider: LocalProvider) -> None:
    call = _call(tools=(_ADD,), max_tokens=120, temperature=0, options={"tools": "auto"})
    outcome, _ = await _ask(provider, "Say hello.", call)

    assert bool(outcome.message.tool_calls) != bool(outcome.message.text)


async def test_a_tool_whose_schema_no_grammar_can_express_is_called_with_any_object(provider: LocalProvider) -> None:
    odd = ToolDefinition(name="odd", parameters={"type": "object", "properties": {"a": {"$ref": "#/nowhere"}}})
    call = _call(tools=(odd,), max_tokens=60, temperature=0, options={"tools": "required"})
    outcome, _ = await _ask(provider, "Use the tool.", call)

    assert [use.name for use in outcome.message.tool_calls] == ["odd"]


async def test_tools_are_not_offered_unless_asked_for(provider: LocalProvider) -> None:
    outcome, _ = await _ask(provider, "What is 2 plus 3?", _call(tools=(_ADD,), max_tokens=12))

    assert outcome.message.tool_calls == ()
    assert outcome.message.text


async def test_a_history_longer_than_the_window_is_cut_and_answered(provider: LocalProvider) -> None:
    # Digits take a token each, so that the estimate is far too low and the model refuses the first cut.
    history = tuple(
        message for _ in range(40) for message in (Message.user("7 3 9 1 " * 60), Message.assistant("8 2 " * 40))
    )
    outcome = await provider.run(_call(max_tokens=1000), (*history, Message.user("Say hello.")), _Heard())

    assert outcome.outcome is Outcome.ok
    assert outcome.usage.prompt_tokens <= 2048


async def test_an_unknown_model_is_refused_and_the_known_one_named(provider: LocalProvider) -> None:
    with pytest.raises(ModelRejected, match="smollm2-135m-instruct"):
        await _ask(provider, "x", _call(model="gpt-9"))


async def test_loading_tells_its_progress_once(provider: LocalProvider) -> None:
    told: list[str] = []

    await asyncio.gather(provider.load(told.append), provider.load(told.append))

    assert len(told) == 2
    assert "loaded" in told[-1]


async def test_no_port_is_opened_and_nothing_stays_in_the_temporary_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = _listening()
    provider = LocalProvider()
    await provider.load()

    assert _listening() <= before
    await provider.close()
    assert _names(tmp_path) == []
    with pytest.raises(ModelUnavailable):
        await provider.load()


def _names(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()]


def _listening() -> set[str]:
    """Inodes of this process's listening TCP sockets."""
    ours = {link.readlink().name for link in Path("/proc/self/fd").iterdir() if link.is_symlink()}
    lines = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()]
    return {fields[9] for fields in lines[1:] if fields[3] == "0A" and f"socket:[{fields[9]}]" in ours}
