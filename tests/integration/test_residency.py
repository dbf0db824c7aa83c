"""Where sessions live: nowhere until they are used, in few processes, and nowhere again when they are idle."""

from __future__ import annotations

import asyncio

import pytest

from actors import SessionHandle, SessionManager, errors
from actors.cluster.links import actor_names
from actors.domain.commands import Send
from actors.domain.ids import new_ulid
from actors.domain.messages import Message
from tests.integration.runtimes import MakeRuntime, NewId
from tests.integration.waiting import LONG_S, until_told


async def is_dormant(session: SessionHandle) -> bool:
    return (await session.resolve()).residency is None


async def test_five_hundred_sessions_are_created_without_starting_anything(
    runtime: SessionManager, new_id: NewId
) -> None:
    warm = await runtime.create_session(new_id())
    await warm.generate("so that everything that starts by itself has started")

    async def warmed() -> bool:
        return (await runtime.runtime_status())["session_actors"] >= runtime.settings.min_warm

    await until_told(warmed, what="the warm session actors do not come")
    prefix = new_id()
    actors, status = set(actor_names(f"{runtime.settings.runtime}.")), await runtime.runtime_status()
    sessions = await runtime.create_sessions([f"{prefix}-{number}" for number in range(500)])
    assert len(sessions) == 500
    assert set(actor_names(f"{runtime.settings.runtime}.")) == actors
    after = await runtime.runtime_status()
    assert (after["session_actors"], after["resident"]) == (status["session_actors"], status["resident"])
    assert (sessions[-1].actor, sessions[-1].residency) == (None, None)
    assert (await sessions[499].generate("hello", timeout=LONG_S)).text == "hello"


async def test_a_hibernated_session_comes_back_with_its_history(manager: SessionManager, new_id: NewId) -> None:
    session = await manager.create_session(new_id())
    await session.generate("before")
    history, usage = await session.history(), (await session.info()).usage
    assert await manager.hibernate_session(session.session_id) is True
    assert (await session.resolve()).residency is None
    assert await session.history() == history
    assert (await session.generate("after", timeout=LONG_S)).text == "after"
    assert (await session.history())[:2] == history
    info = await session.info()
    assert info.usage.total_tokens > usage.total_tokens
    assert (await session.resolve()).residency is not None


async def test_a_session_at_work_does_not_hibernate(manager: SessionManager, new_id: NewId) -> None:
    session = await manager.create_session(new_id())
    receipt = await session.send("/sleep 300\nlate")
    assert await session.hibernate() is False
    await session.cancel()
    with pytest.raises(errors.TurnFailed):
        await session.wait_turn(receipt, timeout=LONG_S)


async def test_reading_a_dormant_session_does_not_wake_it(manager: SessionManager, new_id: NewId) -> None:
    session = await manager.create_session(new_id())
    await session.generate("hello")
    await session.hibernate()
    await session.history()
    await session.turns()
    await session.context_usage()
    await session.config()
    assert [one async for one in session.events()]
    assert await session.actions() == ()
    assert (await session.resolve()).residency is None


async def test_idle_sessions_hibernate_by_themselves_and_others_get_their_places(
    fresh_runtime: MakeRuntime, new_id: NewId
) -> None:
    manager = await fresh_runtime(idle_timeout_s=0.2, max_resident=2)
    first = await manager.create_session(new_id())
    await first.generate("hello", timeout=LONG_S)
    await until_told(lambda: is_dormant(first), what="an idle session stays resident")
    sessions = await manager.create_sessions([new_id() for _ in range(6)])
    async with asyncio.timeout(2 * LONG_S):
        results = await asyncio.gather(*(one.generate(f"from {one.session_id}") for one in sessions))
    assert [result.text for result in results] == [f"from {one.session_id}" for one in sessions]
    assert (await manager.runtime_status())["session_actors"] <= 2
    assert (await first.generate("again", timeout=LONG_S)).text == "again"
    assert len(await first.history()) == 4


async def test_the_actor_of_a_session_takes_commands_directly(runtime: SessionManager, new_id: NewId) -> None:
    session = await runtime.create_session(new_id())
    await session.generate("so that it is resident")
    found = await runtime.get_session(session.session_id)
    assert found.residency is not None
    command = Send(command_id=new_ulid(), message=Message.user("straight to the actor"))
    submitted = await found.actor.submit.remote(*found.residency, command, LONG_S)
    assert submitted.end.text == "straight to the actor"
    assert [turn.text for turn in await session.turns()] == ["so that it is resident", "straight to the actor"]


async def test_an_actor_answers_only_for_the_sessions_that_live_in_it_now(
    runtime: SessionManager, new_id: NewId
) -> None:
    session = await runtime.create_session(new_id())
    await session.generate("so that it is resident")
    await session.resolve()
    assert session.residency is not None
    journal_id, number = session.residency
    command = Send(command_id=new_ulid(), message=Message.user("too late"))
    for wrong in ((journal_id, number + 1), (new_ulid(), number)):
        with pytest.raises(errors.NotHere):
            await session.actor.submit.remote(*wrong, command, 1.0)
    await session.hibernate()
    with pytest.raises(errors.NotHere):
        await session.actor.submit.remote(journal_id, number, command, 1.0)
    assert len(await session.turns()) == 1
