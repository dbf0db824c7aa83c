"""Calls that a server has open, and whose questions it asks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from mcp_types import ElicitRequestFormParams, ElicitResult, ErrorData

from actors.domain.asking import Answer
from actors.domain.calls import HostRef, ToolCall
from actors.domain.tools import EffectClass
from actors.mcp import open_calls
from actors.mcp.open_calls import OpenCall, OpenCalls

WHO = ElicitRequestFormParams(message="Who?", requested_schema={"type": "object", "properties": {}})
LIMIT_S = 10.0


class Server:
    """Calls of several sessions over one pipe, which does not say what belongs to which."""

    def __init__(self) -> None:
        self.calls = OpenCalls(lambda: ())
        self.answers: dict[str, asyncio.Event] = {}

    def begin(self, call_id: str, journal_id: str) -> OpenCall:
        self.answers[call_id] = asyncio.Event()

        async def work(one: OpenCall) -> Any:
            await self.answers[call_id].wait()

        call = ToolCall(
            call_id=call_id,
            tenant="default",
            journal_id=journal_id,
            session_id=journal_id,
            turn_id="t",
            epoch=1,
            host=HostRef(host_id="h", incarnation="1"),
            tool_use_id="u",
            name="mcp__x__y",
            args={},
            effect=EffectClass.unsafe,
        )
        return self.calls.begin(call, lambda channel, text: None, work)

    async def held(self, call_id: str, journal_id: str) -> tuple[OpenCall, asyncio.Task[Any]]:
        """A call that has asked, and waits for the answer."""
        one = self.begin(call_id, journal_id)
        asked = asyncio.create_task(self.ask())
        (question,) = await one.leg(LIMIT_S)
        assert question.message == "Who?"
        self.calls.hold(call_id, LIMIT_S)
        return one, asked

    async def ask(self) -> ElicitResult | ErrorData:
        """The server asks, in one of its calls."""
        async with asyncio.timeout(LIMIT_S):
            return await self.calls.asked(WHO)

    async def close(self) -> None:
        for call_id in self.answers:
            await self.calls.end(call_id)
        await self.calls.close()


@pytest.fixture
async def server() -> AsyncGenerator[Server]:
    one = Server()
    yield one
    await one.close()


async def test_the_second_question_of_a_call_is_not_shown_to_the_session_of_another(server: Server) -> None:
    await server.held("1", "a")
    other = server.begin("2", "b")
    refused = await server.ask()
    assert isinstance(refused, ErrorData) and "which of the running calls" in refused.message
    assert not other.asks


async def test_what_a_call_asks_after_it_was_cancelled_is_not_shown_to_another_session(server: Server) -> None:
    server.begin("1", "a")
    await server.calls.end("1")
    other = server.begin("2", "b")
    assert isinstance(await server.ask(), ErrorData)
    assert not other.asks


async def test_a_call_that_was_cancelled_long_ago_keeps_nobody_from_being_asked(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_calls, "LEFT_S", 0.0)
    server.begin("1", "a")
    await server.calls.end("1")
    await server.held("2", "b")


async def test_after_a_call_that_was_answered_another_session_can_be_asked(server: Server) -> None:
    first = server.begin("1", "a")
    server.answers["1"].set()
    await first.leg(LIMIT_S)
    await server.calls.end("1")
    _, asked = await server.held("2", "b")
    server.calls.take_up("2").answer((Answer(key="1", action="decline"),))  # pyright: ignore[reportOptionalMemberAccess]
    told = await asked
    assert isinstance(told, ElicitResult) and told.action == "decline"


async def test_of_two_sessions_whose_calls_run_none_is_shown_what_one_asks_twice_at_once(server: Server) -> None:
    both = server.begin("1", "a"), server.begin("2", "b")
    answers = await asyncio.gather(server.ask(), server.ask())
    assert all(isinstance(one, ErrorData) for one in answers)
    assert not any(one.asks for one in both)


async def test_what_a_call_asks_twice_at_once_is_its_own_whoever_begins_meanwhile(server: Server) -> None:
    mine = server.begin("1", "a")
    asking = [asyncio.create_task(server.ask()) for _ in range(2)]
    await asyncio.sleep(0)
    others = server.begin("2", "b")
    assert len(await mine.leg(LIMIT_S)) == 2 and not others.asks
    await server.calls.end("1")
    await asyncio.gather(*asking)


async def test_a_server_is_told_that_nobody_is_asked_any_more_when_the_call_is_over(server: Server) -> None:
    _, asked = await server.held("1", "a")
    await server.calls.leave("a")
    told = await asked
    assert isinstance(told, ErrorData) and "the call is over" in told.message


async def test_calls_that_are_held_for_a_session_end_with_it_and_no_others(server: Server) -> None:
    mine = server.begin("1", "a")
    server.calls.hold("1", LIMIT_S)
    others = server.begin("2", "b")
    server.calls.hold("2", LIMIT_S)
    await server.calls.leave("a")
    assert (mine.is_over, others.is_over) == (True, False)
