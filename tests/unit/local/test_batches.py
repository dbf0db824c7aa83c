"""Batches: several calls as one call of the model's, each with a life of its own."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from actors.domain import records as r
from actors.domain.actions import ActionKind
from actors.domain.budgets import Budget
from actors.domain.calls import Outcome
from actors.domain.permissions import PermissionMode, PermissionPolicy
from actors.domain.session import Activity
from actors.errors import TurnFailed
from actors.manager import SessionManager
from actors.storage.copies import back_up
from actors.tools.function import tool
from tests.unit.local.runtimes import (
    LIMIT_S,
    asking,
    calls,
    config,
    record_of,
    records,
    result_texts,
    results,
    runtime,
    says,
    session,
)


@tool(effect="pure")
async def look(what: str) -> str:
    """Look at something."""
    return f"saw {what}"


@tool(effect="unsafe")
async def act(what: str) -> str:
    """Do something that cannot be undone."""
    return f"did {what}"


@tool(effect="pure")
async def fail(what: str) -> str:
    """Break."""
    raise ValueError(what)


def batch(*within: tuple[str, dict[str, Any]], **more: Any) -> tuple[str, dict[str, Any]]:
    """A batch of these calls."""
    return "batch", {"invocations": [{"tool": name, "args": args} for name, args in within], **more}


A, B = ("look", {"what": "a"}), ("act", {"what": "b"})
END = says("Done.")


async def test_the_results_come_together_in_order_and_each_call_has_records_of_its_own() -> None:
    async with session(config(calls(batch(A, B, ("fail", {"what": "c"}))), END), look, act, fail) as one:
        result = await one.generate("go")

        (text,) = result_texts(result.messages)
        assert text.startswith(
            "## Call 1: look\nsaw a\n\n## Call 2: act\ndid b\n\n## Call 3: fail (error)\nTool execution"
        )
        assert result.tool_calls_count == 4
        started = await records(one, r.ToolCallStarted)
        assert [call.data.name for call in started] == ["batch", "look", "act", "fail"]
        assert len({call.data.tool_use_id for call in started}) == 4
        assert started[1].data.args == {"what": "a"}
        effects = {one.tool: one.call_id for one in await one.effects()}
        assert len(set(effects.values())) == 4
        assert await one.history() == result.messages


async def test_calls_of_a_batch_run_side_by_side_whatever_they_do_and_the_round_keeps_its_order() -> None:
    order: list[str] = []
    both = asyncio.Barrier(2)

    @tool(effect="unsafe")
    async def meet(name: str) -> str:
        async with asyncio.timeout(5):
            await both.wait()
        order.append("met")
        return name

    @tool(effect="unsafe")
    async def note(name: str) -> str:
        order.append(name)
        return name

    within = batch(("meet", {"name": "a"}), ("meet", {"name": "b"}))
    steps = config(calls(("note", {"name": "before"}), within, ("note", {"name": "after"})), END)
    async with session(steps, meet, note) as one:
        texts = result_texts((await one.generate("go")).messages)
        assert order == ["before", "met", "met", "after"]
        assert texts == ["before", "## Call 1: meet\na\n\n## Call 2: meet\nb", "after"]


async def test_each_call_is_judged_by_itself_and_the_batch_by_no_more_than_its_name() -> None:
    policy = PermissionPolicy(allow=["look"], deny=["act"])
    async with session(config(calls(batch(A, B)), END, permission_policy=policy), look, act) as one:
        (text,) = result_texts((await one.generate("go")).messages)
        assert "saw a" in text and "## Call 2: act (error)\nPermission denied" in text
    forbidden = PermissionPolicy(deny=["batch"], default_decision="allow")
    async with session(config(calls(batch(A, B)), END, permission_policy=forbidden), look, act) as one:
        assert "Permission denied" in result_texts((await one.generate("go")).messages)[0]
        assert not await records(one, r.ToolCallStarted)


async def test_in_plan_mode_a_batch_looks_and_does_nothing() -> None:
    policy = PermissionPolicy(mode=PermissionMode.plan, allow=["ls", "act"])
    async with session(config(calls(batch(("ls", {}), B)), END, permission_policy=policy), act) as one:
        await one.generate("go")
        assert [call.data.name for call in await records(one, r.ToolCallStarted)] == ["batch", "ls"]


async def test_a_call_that_waits_for_approval_does_not_hold_up_the_others_and_outlives_hibernation() -> None:
    policy = PermissionPolicy(allow=["look"])
    async with session(asking(calls(batch(B, A)), END, permission_policy=policy), look, act) as one:
        receipt = await one.send("go")
        await record_of(one, r.ToolCallCompleted)
        assert (await one.info()).activity is Activity.requires_action
        assert await one.hibernate()
        (action,) = await one.actions()
        assert (action.tool, action.tool_use_id) == ("act", "call_0_0:1")
        await one.resolve_action("call_0_0:1", "approve", args={"what": "x"})
        assert result_texts((await one.wait_turn(receipt)).messages) == [
            "## Call 1: act\ndid x\n\n## Call 2: look\nsaw a"
        ]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (batch(("batch", {"invocations": []})), "cannot stand in a batch"),
        (batch(), "invocations"),
        (batch(*[A] * 17), "invocations"),
        (("batch", {"invocations": [{"args": {}}]}), "tool"),
        (batch(A, more=1), "more"),
    ],
)
async def test_what_is_no_batch_is_refused_as_a_whole(given: tuple[str, dict[str, Any]], why: str) -> None:
    async with session(config(calls(given), END), look) as one:
        (block,) = results((await one.generate("go")).messages)
        assert block.is_error and why in str(block.content)
        assert not await records(one, r.ToolCallStarted)


async def test_an_unknown_tool_and_wrong_arguments_within_are_errors_of_their_calls_alone() -> None:
    within = batch(("nothing", {}), ("look", {"wrong": 1}), A)
    async with session(config(calls(within), END), look) as one:
        (text,) = result_texts((await one.generate("go")).messages)
        assert "Unknown tool: nothing" in text and "Invalid arguments for look" in text and "saw a" in text


async def test_a_batch_in_which_nothing_worked_is_an_error() -> None:
    async with session(config(calls(batch(("fail", {"what": "a"}), ("fail", {"what": "b"}))), END), fail) as one:
        assert [block.is_error for block in results((await one.generate("go")).messages)] == [True]


async def test_a_large_result_within_is_an_artifact_and_its_ends_are_shown() -> None:
    @tool(effect="pure")
    async def flood() -> str:
        return "much\n" * 50_000

    async with session(config(calls(batch(("flood", {}), A)), END), flood, look) as one:
        (text,) = result_texts((await one.generate("go")).messages)
        (artifact,) = await one.artifacts()
        assert artifact.artifact_id in text and text.endswith("saw a") and len(text) < 40_000


async def test_a_budget_counts_each_call_of_a_batch() -> None:
    policy = PermissionPolicy(allow=["look"])
    chosen = asking(calls(batch(A, A, A)), END, permission_policy=policy, budget=Budget(tool_calls=2))
    async with session(chosen, look) as one:
        await one.send("go")
        action = (await record_of(one, r.ActionRequested)).data
        assert action.kind is ActionKind.budget
        assert len(await records(one, r.ToolCallStarted)) == 2


async def test_children_and_sleep_stand_in_a_batch_too() -> None:
    within = batch(("sleep", {"seconds": 0.01}), ("spawn_children", {"tasks": ["/say hello"]}))
    async with runtime(llm="scripted/prompt") as manager:
        one = await manager.create_session("s", config())
        text = (await one.generate(f"/tool batch {json.dumps(within[1])}\n/say Done.")).messages
        assert "Slept for 0.01 s" in result_texts(text)[0] and "hello" in result_texts(text)[0]


async def test_a_cancelled_batch_ends_with_its_calls() -> None:
    begun = asyncio.Event()

    @tool(effect="unsafe")
    async def hold() -> str:
        begun.set()
        await asyncio.Event().wait()
        return ""

    async with session(config(calls(batch(A, ("hold", {}))), END), look, hold) as one:
        receipt = await one.send("go")
        await begun.wait()
        await one.cancel()
        with pytest.raises(TurnFailed):
            await one.wait_turn(receipt)
        done = {call.data.name: call.data.outcome for call in await records(one, r.ToolCallCompleted)}
        assert done == {"look": Outcome.ok, "hold": Outcome.cancelled, "batch": Outcome.ok}
        assert "saw a" in result_texts(await one.history())[0]


async def test_after_a_crash_each_call_of_a_batch_is_in_doubt_or_run_again_by_itself(tmp_path: Path) -> None:
    begun = asyncio.Barrier(3)
    again = asyncio.Event()

    async def first(text: str) -> str:
        if not again.is_set():
            await begun.wait()
            await asyncio.Event().wait()
        return text

    @tool(effect="unsafe")
    async def once() -> str:
        return await first("once")

    @tool(effect="pure")
    async def often() -> str:
        return await first("often")

    source, copy = tmp_path / "first.db", tmp_path / "second.db"
    tools = [once, often]
    async with asyncio.timeout(LIMIT_S):
        async with await SessionManager.local(store=f"sqlite:///{source}", tools=tools) as manager:
            one = await manager.create_session("s", config(calls(batch(("once", {}), ("often", {}))), END))
            receipt = await one.send("go")
            await begun.wait()
            await asyncio.to_thread(back_up, f"sqlite:///{source}", copy)
        again.set()
        async with await SessionManager.local(store=f"sqlite:///{copy}", tools=tools) as manager:
            one = await manager.get_session("s")
            action = (await record_of(one, r.ActionRequested)).data
            assert (action.kind, action.tool) == (ActionKind.in_doubt, "once")
            await one.resolve_action(action.action_id, "answer", value="it was done")
            (text,) = result_texts((await one.wait_turn(receipt)).messages)
            assert text == "## Call 1: once\nit was done\n\n## Call 2: often\noften"
            started = [(call.data.name, call.data.attempt) for call in await records(one, r.ToolCallStarted)]
            assert sorted(started) == [("batch", 1), ("often", 1), ("often", 2), ("once", 1)]


async def test_a_fork_in_the_middle_of_a_batch_closes_it_with_its_calls() -> None:
    begun = asyncio.Event()

    @tool(effect="unsafe")
    async def hold() -> str:
        begun.set()
        await asyncio.Event().wait()
        return ""

    async with runtime(hold, look) as manager:
        one = await manager.create_session("s", config(calls(batch(("hold", {}), A)), END))
        await one.send("go")
        await begun.wait()
        fork = await manager.fork_session("s", "f")
        assert (await fork.info()).open_turn is None
        assert [block.is_error for block in results(await fork.history())] == [True]
        await one.cancel()


async def test_the_same_batch_again_and_again_is_seen_as_a_repetition() -> None:
    steps = config(*[calls(batch(A))] * 3, END, duplicate_call_threshold=2)
    async with session(steps, look) as one:
        texts = result_texts((await one.generate("go")).messages)
        assert "same call" in texts[2]
