"""Values that make no sense are refused in words before anything happens, and none of any size is taken in."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio
from pydantic import ValidationError

from actors import ConfirmationPolicy, LlmConfig, Message, SessionConfig, SessionHandle, Settings
from actors.checks import MAX_IMAGES, MAX_PROMPT
from actors.domain.messages import Base64Source, ImageBlock, Role
from actors.domain.permissions import PermissionPolicy
from actors.errors import InvalidConfig, InvalidRequest, TurnPending
from tests.unit.local.runtimes import config, runtime, says

Act = Callable[[SessionHandle], Awaitable[Any]]


@pytest_asyncio.fixture
async def session() -> AsyncGenerator[SessionHandle]:
    async with runtime() as manager:
        yield await manager.create_session("s", config(says("fine")))


async def _heads(handle: SessionHandle) -> int:
    return (await handle.info()).head_seq


@pytest.mark.parametrize("timeout", [math.nan, -math.inf, -1.0], ids=str)
async def test_a_time_that_is_none_is_refused_before_the_input_is_taken(session: SessionHandle, timeout: float) -> None:
    before = await _heads(session)
    with pytest.raises(InvalidRequest, match="timeout"):
        await session.generate("hello", timeout=timeout)
    assert await _heads(session) == before
    receipt = await session.send("hello")
    with pytest.raises(InvalidRequest, match="timeout"):
        await session.wait_turn(receipt, timeout=timeout)


async def test_no_time_at_all_gives_a_receipt_to_wait_on_with_and_infinity_waits(session: SessionHandle) -> None:
    with pytest.raises(TurnPending) as pending:
        await session.generate("hello", timeout=0, command_id="once")
    receipt = await session.send("hello", command_id="once")
    assert pending.value.input_id == receipt.input_id
    assert (await session.wait_turn(receipt, timeout=math.inf)).text == "fine"
    assert (await session.generate("again", timeout=math.inf)).text == "fine"


_PAGES: dict[str, Act] = {
    "no records": lambda s: s.records(limit=0),
    "fewer than none": lambda s: s.records(limit=-1),
    "too many records": lambda s: s.records(limit=10**30),
    "half a record": lambda s: s.records(limit=2.5),  # pyright: ignore[reportArgumentType] - the point of the test
    "nan records": lambda s: s.records(limit=math.nan),  # pyright: ignore[reportArgumentType] - the point of the test
    "before the beginning": lambda s: s.records(after=-1),
    "after everything": lambda s: s.records(after=10**30),
    "events before the beginning": lambda s: anext(s.events(after=-1)),
}


@pytest.mark.parametrize("ask", _PAGES.values(), ids=_PAGES)
async def test_a_page_that_cannot_be_is_refused(session: SessionHandle, ask: Act) -> None:
    with pytest.raises(InvalidRequest):
        await ask(session)


async def test_a_listing_that_cannot_be_is_refused() -> None:
    async with runtime() as manager:
        for refused in (
            manager.list_sessions(limit=0),
            manager.list_sessions(state="asleep"),
            manager.list_sessions(activity=""),
            manager.list_sessions(after="\0"),
            manager.actions(limit=0),
            manager.actions(limit=1001),
            manager.actions(after="x"),
        ):
            with pytest.raises(InvalidRequest):
                await refused


_IMAGE = Base64Source(media_type="image/png", data="a" * (MAX_IMAGES // 2 + 1))
_LARGE = PermissionPolicy(allow=[f"tool{number}" for number in range(30_000)])
_COMMANDS: dict[str, Act] = {
    "a prompt of megabytes": lambda s: s.send("x" * (MAX_PROMPT + 1)),
    "a message of megabytes": lambda s: s.add_message("x" * (MAX_PROMPT + 1)),
    "images of megabytes": lambda s: s.send(Message(role=Role.user, content=(ImageBlock(source=_IMAGE),) * 2)),
    "half a character": lambda s: s.send("x\ud800"),
    "half a character in a message": lambda s: s.add_message("x\ud800"),
    "blanks": lambda s: s.send(Message.user(" \n")),
    "half a character in a name": lambda s: s.configure(name="x\ud800"),
    "two lines in a name": lambda s: s.configure(name="x\ny"),
    "an escape sequence in a name": lambda s: s.configure(name="\x1b[31mred"),
    "a long name": lambda s: s.configure(name="x" * 257),
    "a negative budget": lambda s: s.configure(budget=-1),
    "a budget without end": lambda s: s.configure(budget=10**30),
    "a budget that is no number": lambda s: s.configure(budget=math.nan),  # pyright: ignore[reportArgumentType] - the point
    "a long system prompt": lambda s: s.set_system_prompt("x" * 100_001),
    "a long reason": lambda s: s.cancel("x" * 5000),
    "half a character in a reason": lambda s: s.cancel("\ud800"),
    "an unknown resolution": lambda s: s.resolve_action("a", "maybe"),
    "half a character in arguments": lambda s: s.resolve_action("a", "approve", args={"a": "\ud800"}),
    "an unknown way to queue": lambda s: s.send("x", on_busy="never"),
    "a policy of megabytes": lambda s: s.set_permission_policy(_LARGE),
}


@pytest.mark.parametrize("act", _COMMANDS.values(), ids=_COMMANDS)
async def test_a_command_that_makes_no_sense_is_refused_in_a_sentence_and_changes_nothing(
    session: SessionHandle, act: Act
) -> None:
    before = await _heads(session)
    with pytest.raises(InvalidRequest) as refused:
        await act(session)
    assert refused.value.message.endswith(".")
    assert len(refused.value.message) < 300
    assert await _heads(session) == before
    assert (await session.generate("hello")).text == "fine"


_CONFIGS: dict[str, dict[str, Any]] = {
    "two lines": {"name": "a\nb"},
    "an escape": {"name": "\x1b]0;x\x07"},
    "a zero byte": {"workspace": "/tmp/\0"},
    "a long path": {"workspace": "/" + "x" * 4096},
    "large metadata": {"metadata": {"k": "x" * 4097}},
    "many metadata": {"metadata": {str(number): "" for number in range(33)}},
    "a name of two lines": {"metadata": {"a\nb": ""}},
    "context": {"max_context_length": 10**30},
    "thinking": {"thinking_budget": 10**30},
    "retries": {"max_parse_retries": 10**30},
    "attempts": {"circuit_breaker_threshold": 10**30},
    "time": {"max_turn_s": math.inf},
    "no time": {"tool_timeout_s": 0},
    "nan": {"auto_compact_threshold": math.nan},
    "rounds": {"max_rounds": 0},
    "model": {"model": {"provider": "open\nai", "model": "x"}},
}


@pytest.mark.parametrize("values", _CONFIGS.values(), ids=_CONFIGS)
def test_a_configuration_out_of_bounds_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SessionConfig.model_validate(values)


async def test_a_configuration_larger_than_a_record_is_refused_before_anything_is_written() -> None:
    async with runtime() as manager:
        large = SessionConfig(permission_policy=_LARGE)
        with pytest.raises(InvalidConfig, match="larger than"):
            await manager.create_sessions(["a", "b"], large)
        parent = await manager.create_session("parent")
        with pytest.raises(InvalidConfig, match="larger than"):
            await manager.create_child_session(parent.session_id, "child", large)
        assert await manager.session_count() == 1


@pytest.mark.parametrize(
    "make",
    [
        lambda: ConfirmationPolicy(default_timeout_ms=10**30),
        lambda: ConfirmationPolicy(default_timeout_ms=0),
        lambda: LlmConfig(provider="openai", model="x", max_tokens=10**30),
        lambda: LlmConfig(provider="openai", model="x", temperature=math.nan),
        lambda: LlmConfig(provider="openai", model="x", timeout_s=math.inf),
        lambda: Settings(idle_timeout_s=math.inf),
        lambda: Settings(idle_timeout_s=math.nan),
        lambda: Settings(port=0),
    ],
)
def test_a_number_out_of_bounds_is_refused(make: Callable[[], Any]) -> None:
    with pytest.raises(ValidationError):
        make()
