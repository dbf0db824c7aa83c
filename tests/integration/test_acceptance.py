"""What is refused is refused in the same words with a cluster behind the manager, and leaves its actors alone."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from actors import SessionConfig, SessionHandle, SessionManager
from actors.checks import MAX_PROMPT
from actors.errors import InvalidRequest, SessionEnded, SessionNotFound, TurnPending
from tests.integration.runtimes import NewId

_REFUSED: dict[str, Callable[[SessionHandle], Awaitable[Any]]] = {
    "nan": lambda s: s.generate("x", timeout=math.nan),
    "negative": lambda s: s.generate("x", timeout=-1),
    "large": lambda s: s.send("x" * (MAX_PROMPT + 1)),
    "half": lambda s: s.send("\ud800"),
    "halves": lambda s: s.resolve_action("a", "approve", args={"a": "\ud800"}),
    "budget": lambda s: s.configure(budget=10**30),
    "name": lambda s: s.configure(name="a\x1b[0m"),
    "records": lambda s: s.records(limit=10**30),
    "events": lambda s: anext(s.events(after=-1)),
}


@pytest.mark.parametrize("act", _REFUSED.values(), ids=_REFUSED)
async def test_what_makes_no_sense_is_refused_and_the_session_goes_on(
    manager: SessionManager, new_id: NewId, act: Callable[[SessionHandle], Awaitable[Any]]
) -> None:
    session = await manager.create_session(new_id(), SessionConfig(max_continuations=0))
    with pytest.raises(InvalidRequest):
        await act(session)
    assert (await session.info()).head_seq == 1
    assert (await session.generate("hello")).text


async def test_no_time_at_all_gives_a_receipt_to_wait_on_with(manager: SessionManager, new_id: NewId) -> None:
    session = await manager.create_session(new_id())
    with pytest.raises(TurnPending) as pending:
        await session.generate("hello", timeout=0, command_id="once")
    receipt = await session.send("hello", command_id="once")
    assert receipt.input_id == pending.value.input_id
    assert (await session.wait_turn(receipt, timeout=math.inf)).text


async def test_an_ended_session_says_a_way_on_that_exists(manager: SessionManager, new_id: NewId) -> None:
    session = await manager.create_session(new_id())
    await session.fail("broken")
    with pytest.raises(SessionEnded, match="Resume it"):
        await session.generate("hello")
    assert await session.resume()
    assert (await session.generate("hello")).text
    await session.complete()
    with pytest.raises(SessionEnded, match="Create another"):
        await session.generate("hello")


async def test_a_name_that_no_session_can_have_is_a_session_that_is_not_there(manager: SessionManager) -> None:
    for name in ("../etc", "\0", "x" * 100_000):
        with pytest.raises(SessionNotFound) as unknown:
            await manager.get_session(name)
        assert len(unknown.value.message) < 300
        assert await manager.destroy_session(name) is False
        assert await manager.get_child_sessions(name) == []
