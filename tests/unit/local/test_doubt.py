"""Calls that were running when everything ended: a runtime on a copy of the database, made in the middle of them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from actors.domain import records as r
from actors.domain.actions import ActionKind
from actors.domain.calls import Verdict
from actors.manager import SessionManager
from actors.storage.copies import back_up
from actors.tools.base import ToolContext
from actors.tools.function import tool
from tests.unit.local.runtimes import LIMIT_S, calls, config, record_of, records, result_texts, says


@pytest.mark.parametrize(
    ("resolution", "text", "attempts"), [("retry", "acted", 2), ("skip", "unknown", 1), ("answer", "it had acted", 1)]
)
async def test_a_question_about_a_call_outlives_hibernation_and_a_new_start(
    tmp_path: Path, resolution: str, text: str, attempts: int
) -> None:
    begun = asyncio.Event()

    @tool(effect="unsafe")
    async def act() -> str:
        if not begun.is_set():
            begun.set()
            await asyncio.Event().wait()
        return "acted"

    first, second = tmp_path / "first.db", tmp_path / "second.db"
    async with asyncio.timeout(LIMIT_S):
        async with await SessionManager.local(store=f"sqlite:///{first}", tools=[act]) as manager:
            one = await manager.create_session("s", config(calls(("act", {})), says("Done.")))
            receipt = await one.send("go")
            await begun.wait()
            await asyncio.to_thread(back_up, f"sqlite:///{first}", second)
        async with await SessionManager.local(store=f"sqlite:///{second}", tools=[act]) as manager:
            one = await manager.get_session("s")
            await record_of(one, r.ActionRequested)
            assert await one.hibernate()
        async with await SessionManager.local(store=f"sqlite:///{second}", tools=[act]) as manager:
            one = await manager.get_session("s")
            (action,) = await one.actions()
            assert action.kind is ActionKind.in_doubt
            value = "it had acted" if resolution == "answer" else None
            await one.resolve_action(action.action_id, resolution, value=value)
            result = await one.wait_turn(receipt)
            assert result.text == "Done."
            assert text in result_texts(result.messages)[0]
            assert len(await records(one, r.ToolCallStarted)) == attempts


@pytest.mark.parametrize(
    ("policy", "end", "attempts"),
    [("report", "turn.completed", 1), ("retry", "turn.completed", 2), ("fail", "turn.failed", 1)],
)
async def test_a_policy_that_asks_nobody_is_carried_out_at_the_next_start(
    tmp_path: Path, policy: str, end: str, attempts: int
) -> None:
    begun = asyncio.Event()

    @tool(effect="unsafe")
    async def act() -> str:
        if not begun.is_set():
            begun.set()
            await asyncio.Event().wait()
        return "acted"

    first, second = tmp_path / "first.db", tmp_path / "second.db"
    async with asyncio.timeout(LIMIT_S):
        async with await SessionManager.local(store=f"sqlite:///{first}", tools=[act]) as manager:
            steps = config(calls(("act", {})), says("Done."), on_in_doubt=policy)
            one = await manager.create_session("s", steps)
            await one.send("go")
            await begun.wait()
            await asyncio.to_thread(back_up, f"sqlite:///{first}", second)
        async with await SessionManager.local(store=f"sqlite:///{second}", tools=[act]) as manager:
            one = await manager.get_session("s")
            await record_of(one, r.TurnFailed if policy == "fail" else r.TurnCompleted)
            assert (await one.records(limit=1000))[-1].type == end
            assert len(await records(one, r.ToolCallStarted)) == attempts
            assert [effect.status for effect in await one.effects()][-1] == "settled"
            assert await one.actions() == ()


@pytest.mark.parametrize(
    ("verdict", "text", "attempts", "asked"),
    [("acted, says its ledger", "says its ledger", 1, 0), (Verdict.not_done, "acted", 2, 0), (None, "", 1, 1)],
)
async def test_a_tool_that_can_tell_what_became_of_its_call_spares_the_question(
    tmp_path: Path, verdict: str | Verdict | None, text: str, attempts: int, asked: int
) -> None:
    begun = asyncio.Event()
    told: list[tuple[str, dict[str, Any], dict[str, Any]]] = []

    async def look(args: dict[str, Any], ctx: ToolContext) -> str | Verdict | None:
        told.append((ctx.call_id, args, dict(ctx.recorded)))
        return verdict

    @tool(effect="unsafe", reconcile=look)
    async def act(what: str, ctx: ToolContext) -> str:
        if not begun.is_set():
            await ctx.record({"key": ctx.call_id})
            begun.set()
            await asyncio.Event().wait()
        return "acted"

    first, second = tmp_path / "first.db", tmp_path / "second.db"
    async with asyncio.timeout(LIMIT_S):
        async with await SessionManager.local(store=f"sqlite:///{first}", tools=[act]) as manager:
            one = await manager.create_session("s", config(calls(("act", {"what": "it"})), says("Done.")))
            receipt = await one.send("go")
            await begun.wait()
            await asyncio.to_thread(back_up, f"sqlite:///{first}", second)
        async with await SessionManager.local(store=f"sqlite:///{second}", tools=[act]) as manager:
            one = await manager.get_session("s")
            if asked:
                await record_of(one, r.ActionRequested)
            else:
                assert text in result_texts((await one.wait_turn(receipt)).messages)[0]
                assert await manager._runtime.store.results(manager.tenant, one.journal_id) == ()  # pyright: ignore[reportPrivateUsage]
            started = await records(one, r.ToolCallStarted)
            assert len(started) == attempts
            assert len(await one.actions()) == asked
            assert told == [(started[0].data.call_id, {"what": "it"}, {"key": started[0].data.call_id})]
