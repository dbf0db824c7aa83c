"""Cancel, pause and resume reach the children that work for a session, and theirs, and nobody else."""

from __future__ import annotations

import asyncio

from actors.domain import records as r
from actors.domain.children import ChildOutcome, ChildSpec, Signal
from actors.domain.commands import SignalChild
from actors.domain.ids import utc_now
from actors.domain.messages import Message
from actors.domain.records import decode_record
from actors.domain.session import SessionConfig, SessionState
from actors.manager import SessionManager
from actors.session.decide import decide
from actors.session.fold import fold
from actors.session.projection import new_session
from actors.session.state import initial
from tests.unit.local.runtimes import config, record_of, records, runtime
from tests.unit.local.test_children import HOLD, MODEL, Held, lines, spawn


async def _held_child(manager: SessionManager, held: Held) -> None:
    """A parent ``p`` with a child ``c`` whose turn is held."""
    await manager.create_session("p", config())
    await manager.spawn_many("p", [ChildSpec(prompt=HOLD, session_id="c")])
    await held.begun.wait()


async def test_a_cancel_reaches_children_that_a_driver_started_and_says_so_to_who_waits() -> None:
    held = Held()
    async with runtime(held.tool, llm=MODEL) as manager:
        await _held_child(manager, held)
        waiting = asyncio.create_task(manager.wait_children("p"))

        assert await manager.cancel_operation("p")

        (result,) = await waiting
        assert (result.outcome, result.code) == (ChildOutcome.cancelled, "cancelled")
        assert not await manager.cancel_operation("p")


async def test_a_cancel_reaches_grandchildren() -> None:
    held = Held()
    async with runtime(held.tool, llm=MODEL) as manager:
        parent = await manager.create_session("p", config())
        await parent.send(lines(spawn(lines(spawn(HOLD), "/say never")), "/say never"))
        await held.begun.wait()
        ids = [row.session_id for row in (await manager.list_sessions()).items if row.session_id != "p"]
        family = [await manager.get_session(name) for name in ids]

        assert await parent.cancel()

        for one in family:
            await record_of(one, r.TurnCancelled)
        assert len(family) == 2
        await record_of(parent, r.TurnCancelled)


async def test_a_child_that_has_not_begun_gives_its_task_up_unread() -> None:
    born = new_session("t", "c", "C", SessionConfig(), now=utc_now(), cause="P:3", task=Message.user("hello"))
    state = fold(initial(), (decode_record(one.body) for one in born.records))

    (draft,) = decide(state, SignalChild(command_id="P:4", signal=Signal.cancel, task="P:3"))

    assert draft.data == r.InputWithdrawn.Data(input_id="P:3")
    assert decide(state, SignalChild(command_id="P:4", signal=Signal.cancel, task="P:9")) == ()


async def test_children_that_have_answered_and_those_without_a_task_are_left_alone() -> None:
    held = Held()
    async with runtime(held.tool, llm=MODEL) as manager:
        await manager.create_session("p", config())
        (done,) = await manager.spawn_many("p", [ChildSpec(prompt="/say one", session_id="done")])
        free = await manager.create_child_session("p", "free")
        await manager.wait_children("p")
        working = asyncio.create_task(done.generate(HOLD))
        await held.begun.wait()

        assert not await manager.cancel_operation("p")
        assert await manager.pause_session("p")

        held.go.release()
        assert (await working).text == "let go"
        assert (await free.info()).state is (await done.info()).state is SessionState.active


async def test_a_message_that_comes_twice_ends_only_the_task_that_it_names() -> None:
    held = Held()
    async with runtime(held.tool, llm=MODEL) as manager:
        await _held_child(manager, held)
        await manager.cancel_operation("p")
        (result,) = await manager.wait_children("p")
        child = await manager.get_session("c")
        (task,) = [one.data.input_id for one in await records(child, r.UserMessage)]
        held.begun.clear()
        working = asyncio.create_task(child.generate(HOLD))
        await held.begun.wait()

        again = SignalChild(command_id="again", signal=Signal.cancel, task=task)
        reply = await manager._runtime.submit(manager.tenant, child.journal_id, again)  # pyright: ignore[reportPrivateUsage] - what delivery does

        held.go.release()
        assert (result.outcome, reply.reply.changed) == (ChildOutcome.cancelled, False)
        assert (await working).text == "let go"


async def test_a_pause_and_a_resume_reach_the_children() -> None:
    held = Held()
    async with runtime(held.tool, llm=MODEL) as manager:
        await _held_child(manager, held)
        child = await manager.get_session("c")

        assert await manager.pause_session("p")
        await record_of(child, r.SessionPaused)
        held.go.release()
        await record_of(child, r.ToolCallCompleted)
        assert (await child.info()).state is SessionState.paused
        assert await manager.resume_session("p")
        (result,) = await manager.wait_children("p")

        assert (result.outcome, result.text) == (ChildOutcome.completed, "let go")


async def test_a_session_that_ends_takes_its_children_along_and_a_resumed_parent_revives_no_failed_child() -> None:
    held = Held()
    async with runtime(held.tool, llm=MODEL) as manager:
        await _held_child(manager, held)
        child = await manager.get_session("c")
        await manager.pause_session("p")
        await record_of(child, r.SessionPaused)
        await child.fail("broken")
        await manager.resume_session("p")
        await (await manager.get_session("p")).complete()

        (result,) = await manager.wait_children("p")
        assert result.outcome is not ChildOutcome.completed
        assert (await child.info()).state is SessionState.error
