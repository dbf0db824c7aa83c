"""Cancel and pause reach a turn that waits without a process, and wake it only to be carried out."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from actors.domain import records as r
from actors.domain.session import Activity, SessionState
from actors.domain.turns import Receipt
from actors.errors import TurnFailed
from actors.handle import SessionHandle
from actors.tools.function import tool
from tests.unit.local.runtimes import asking, calls, config, record_of, records, results, runtime, says
from tests.unit.local.test_children import HOLD, MODEL, Held, lines, spawn
from tests.unit.local.test_external_tasks import DONE, outside


@dataclass
class _Waiting:
    """A turn that waits, its session hibernates; ``come``: what it waits for comes."""

    session: SessionHandle
    receipt: Receipt
    come: Callable[[], Awaitable[object]]


@tool(effect="unsafe")
async def act(what: str = "") -> str:
    """Do something that cannot be undone."""
    return f"did {what}"


_STEPS = (calls(("act", {"what": "a"})), says("Well."))


@asynccontextmanager
async def _waits(kind: str) -> AsyncGenerator[_Waiting]:
    held = Held()
    async with runtime(act, held.tool, llm=MODEL) as manager:
        chosen = {"approval": asking(*_STEPS), "task": outside(*_STEPS)}.get(kind, config())
        one = await manager.create_session("s", chosen)
        prompt = {
            "child": lines(spawn(HOLD), "/say Well."),
            "timer": lines('/tool sleep {"seconds": 0.2}', "/say Well."),
        }
        receipt = await one.send(prompt.get(kind, "go"))
        if kind == "approval":
            await record_of(one, r.ActionRequested)
        elif kind == "child":
            await held.begun.wait()
        else:
            await record_of(one, r.TaskOffered if kind == "task" else r.ToolCallStarted)

        async def come() -> None:
            if kind == "approval":
                await one.resolve_action((await one.actions())[0].action_id, "approve")
            elif kind == "task":
                await one.complete_external_task((await one.pending_external_tasks())[0].task_id, DONE)
            elif kind == "child":
                held.go.release()

        assert await one.hibernate()
        yield _Waiting(one, receipt, come)


each = pytest.mark.parametrize("kind", ["approval", "task", "child", "timer"])


@each
async def test_a_dormant_turn_is_cancelled_with_all_that_it_waits_for(kind: str) -> None:
    async with _waits(kind) as waiting:
        one = waiting.session
        assert await one.cancel("enough")

        with pytest.raises(TurnFailed, match="enough"):
            await one.wait_turn(waiting.receipt)
        assert (await one.info()).activity is Activity.idle
        assert await one.actions() == ()
        assert await one.pending_external_tasks() == []
        assert [block.is_error for block in results(await one.history())] == [True]
        assert not await one.cancel()


@each
async def test_a_dormant_turn_is_paused_takes_what_comes_and_goes_on_when_it_is_resumed(kind: str) -> None:
    async with _waits(kind) as waiting:
        one = waiting.session
        assert await one.pause()
        assert await one.hibernate()
        before = len(await records(one, r.ModelCallStarted))
        await waiting.come()
        assert (await one.info()).state is SessionState.paused
        assert len(await records(one, r.ModelCallStarted)) == before

        assert await one.resume()

        assert (await one.wait_turn(waiting.receipt)).text == "Well."
