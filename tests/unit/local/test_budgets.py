"""Budgets in a runtime without Ray: sessions that pause and ask, leases of children, crashes at each place of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from actors import Budget, errors
from actors.domain import records as r
from actors.domain.actions import ActionKind
from actors.domain.budgets import Amounts, Bounds
from actors.domain.children import ChildOutcome, ChildSpec
from actors.domain.llm import LlmConfig, ModelPrice
from actors.domain.messages import TokenUsage
from actors.domain.session import Activity, SessionConfig
from actors.handle import SessionHandle
from actors.manager import SessionManager
from tests.unit.local.runtimes import LIMIT_S, calls, config, record_of, records, result_texts, runtime, says, script
from tests.unit.local.test_children import HOLD, MODEL, Held, lines, spawn


def spends(text: str, tokens: int) -> dict[str, Any]:
    """An answer that takes so many tokens."""
    return says(text, usage=TokenUsage(prompt_tokens=tokens, total_tokens=tokens).model_dump())


async def asked(session: SessionHandle) -> str:
    """The id of the question about the budget, once the session waits for nothing else."""
    await record_of(session, r.ActionRequested)
    (action,) = await session.actions()
    assert action.kind is ActionKind.budget
    return action.action_id


async def returned(session: SessionHandle, tool_calls: int) -> None:
    """Wait until so many tool calls came back to the session, in however many messages."""
    async with aclosing(session.events(follow=True, deltas=False)) as events:  # pyright: ignore[reportArgumentType] - it is an async generator
        async for event in events:
            if isinstance(event, r.LeaseReturned):
                tool_calls -= event.data.amounts.tool_calls
            if not tool_calls:
                return


@asynccontextmanager
async def stored(folder: Path) -> AsyncGenerator[SessionManager]:
    """A runtime on a database."""
    async with asyncio.timeout(LIMIT_S):
        manager = await SessionManager.local(MODEL, store=f"sqlite:///{folder / 'sessions.db'}")
        try:
            yield manager
        finally:
            await manager.close()


# --- asking ----------------------------------------------------------------------------------------------------------


async def test_a_session_whose_budget_is_used_up_waits_without_a_process_and_goes_on_when_more_is_granted() -> None:
    async with runtime() as manager:
        session = await manager.create_session("s", config(spends("One.", 100), budget=Budget(tokens=100)))
        assert (await session.generate("go")).text == "One."
        receipt = await session.send("go on")
        action = await asked(session)

        assert (await session.info()).activity is Activity.requires_action
        while not await session.hibernate():  # noqa: ASYNC110 - no event tells of it
            await asyncio.sleep(0)
        inbox = await manager.actions(None, kind=ActionKind.budget)
        assert [(one.session_id, one.action_id) for one in inbox.items] == [("s", action)]
        await session.resolve_action(action, "approve", args={"tokens": 150})

        assert (await session.wait_turn(receipt)).text == "One."
        found = (await session.usage()).budget
        assert found is not None
        assert (found.budget, found.used.tokens, found.remaining) == (Bounds(tokens=250), 200, Bounds(tokens=50))
        with pytest.raises(errors.ActionSettled):
            await session.resolve_action(action, "reject")


async def test_a_rejected_question_is_an_error_of_its_own() -> None:
    async with runtime() as manager:
        session = await manager.create_session("s", config(says("One."), budget=Budget(tokens=0)))
        turn = asyncio.create_task(session.generate("go"))
        await session.resolve_action(await asked(session), "reject", reason="enough")

        with pytest.raises(errors.BudgetExceeded, match=r"0 of 0 tokens.*enough"):
            await turn
        with pytest.raises(errors.TurnPending):
            await session.generate("again", timeout=0)


async def test_the_question_survives_the_end_of_the_runtime(tmp_path: Path) -> None:
    async with stored(tmp_path) as manager:
        session = await manager.create_session("s", config(budget=Budget(tool_calls=1)))
        await session.send("/tool ls {}\n/tool ls {}\n/say Done.")
        action = await asked(session)
    async with stored(tmp_path) as manager:
        session = await manager.get_session("s")
        assert [one.action_id for one in await session.actions()] == [action]
        await session.resolve_action(action, "approve")
        await record_of(session, r.TurnCompleted)

        assert len({one.data.call_id for one in await records(session, r.ToolCallStarted)}) == 2
        found = (await session.info()).budget
        assert found is not None
        assert (found.budget.tool_calls, found.used.tool_calls, found.raised.tool_calls) == (2, 2, 1)


async def test_a_price_of_many_decimals_leaves_a_session_and_its_store_readable(tmp_path: Path) -> None:
    price = ModelPrice(input=Decimal("0.1234567"), output=Decimal("0.1234567"))
    model = script(says("One.")).model_copy(update={"price": price})
    async with stored(tmp_path) as manager:
        session = await manager.create_session("s", SessionConfig(model=model, budget=Budget(usd=Decimal("0.00001"))))
        await session.generate("go")
        receipt = await session.send("go on")
        action = await asked(session)

        assert [one.session_id for one in (await manager.list_sessions()).items] == ["s"]
        await session.resolve_action(action, "approve")
        assert (await session.wait_turn(receipt)).text == "One."
        assert await manager.destroy_session("s")


async def test_of_two_answers_to_the_question_the_first_one_counts() -> None:
    async with runtime() as manager:
        session = await manager.create_session("s", config(says("One."), budget=Budget(tokens=0)))
        await session.send("go")
        action = await asked(session)
        answers = [session.resolve_action(action, how) for how in ("approve", "reject", "approve")]
        told = await asyncio.gather(*answers, return_exceptions=True)

        assert [type(one) for one in told if one is not None] == [errors.ActionSettled] * 2
        assert len(await records(session, r.ActionResolved)) == 1


async def test_configure_raises_a_budget_and_the_waiting_turn_goes_on() -> None:
    async with runtime() as manager:
        session = await manager.create_session("s", config(says("One."), budget=Budget(tokens=0)))
        turn = asyncio.create_task(session.generate("go"))
        await asked(session)
        await manager.configure("s", budget=Budget())

        assert (await turn).text == "One."
        assert (await session.usage()).budget is None


@pytest.mark.parametrize("bounds", [{"tokens": -1}, {"usd": "NaN"}, {"wall_s": float("inf")}, {"gold": 1}])
async def test_a_budget_that_is_none_is_refused(bounds: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        Budget(**bounds)


async def test_money_and_time_are_exact() -> None:
    budget = Budget(usd=0.1, wall_s=1.5)  # pyright: ignore[reportArgumentType] - pydantic makes the number
    assert Budget.model_validate_json(budget.model_dump_json()) == budget
    assert budget.usd == Decimal("0.1")
    assert Amounts(wall_s=0.1) + Amounts(wall_s=0.2) == Amounts(wall_s=0.3)


async def test_a_model_without_a_price_is_asked_once_somebody_agrees_and_one_with_a_price_is_counted() -> None:
    async with runtime() as manager:
        session = await manager.create_session("s", config(says("One."), budget=Budget(usd=1)))  # pyright: ignore[reportArgumentType] - pydantic makes the number
        turn = asyncio.create_task(session.generate("go"))
        action = await asked(session)
        assert (await session.actions())[0].args == {"unpriced": "scripted/script"}
        await session.resolve_action(action, "approve")
        assert (await turn).text == "One."

        priced = LlmConfig(provider="scripted", model="echo", options={"price_usd": "0.6"})
        await session.configure(model_config=priced)
        await session.generate("a")
        await session.generate("b")
        found = (await session.usage()).budget
        assert found is not None
        assert (found.used.usd, found.remaining.usd, found.unpriced) == (Decimal("1.2"), 0, ("scripted/script",))


# --- leases ----------------------------------------------------------------------------------------------------------


async def test_children_use_their_parents_budget_and_give_back_what_is_left() -> None:
    async with runtime(llm=MODEL) as manager:
        parent = await manager.create_session("p", config(budget=Budget(tool_calls=10)))
        given = ChildSpec(
            prompt="/tool ls {}\n/say one", session_id="a", config=SessionConfig(budget=Budget(tool_calls=4))
        )
        await parent.spawn_many([given, ChildSpec(prompt="/say two", session_id="b")])
        await manager.wait_children("p")
        await record_of(parent, r.LeaseReturned, count=2)

        granted = await records(parent, r.LeaseGranted)
        assert [(one.data.child_id, one.data.amounts.tool_calls) for one in granted] == [("a", 4), ("b", 3)]
        tree = await manager.tree("p")
        top, (a, b) = tree.session.budget, (child.session.budget for child in tree.children)
        assert top is not None
        assert a is not None
        assert b is not None
        assert (top.used.tool_calls, top.leased.tool_calls, top.remaining.tool_calls) == (0, 1, 9)
        assert (a.used.tool_calls, a.returned.tool_calls, a.remaining.tool_calls, a.due) == (1, 3, 0, None)
        assert (b.used.tool_calls, b.returned.tool_calls, b.lease is not None) == (0, 3, True)


async def test_a_child_cannot_have_more_than_its_parent_has_left_and_nothing_is_made_of_it() -> None:
    async with runtime(llm=MODEL) as manager:
        await manager.create_session("p", config(budget=Budget(tokens=100)))
        with pytest.raises(errors.InvalidRequest, match="101 tokens"):
            await manager.create_child_session("p", "c", SessionConfig(budget=Budget(tokens=101)))
        assert await manager.get_child_sessions("p") == []
        await manager.create_child_session("p", "c", SessionConfig(budget=Budget(tokens=60)))
        with pytest.raises(errors.InvalidRequest, match="40 left"):
            await manager.create_child_session("p", "d", SessionConfig(budget=Budget(tokens=60)))


async def test_a_model_that_starts_children_shares_what_its_session_has_with_them() -> None:
    async with runtime(llm=MODEL) as manager:
        parent = await manager.create_session("p", config(budget=Budget(tool_calls=7)))
        await parent.generate(lines(spawn("/tool ls {}\n/say a", "/say b"), "/say over"))
        await record_of(parent, r.LeaseReturned, count=2)

        granted = await records(parent, r.LeaseGranted)
        assert [one.data.amounts.tool_calls for one in granted] == [2, 2], "six are left, for three"
        found = (await parent.info()).budget
        assert found is not None
        assert (found.used.tool_calls, found.remaining.tool_calls) == (1, 5)


async def test_without_anything_left_to_share_a_models_children_are_refused() -> None:
    async with runtime(llm=MODEL) as manager:
        parent = await manager.create_session("p", config(budget=Budget(tokens=1)))
        await parent.send(lines(spawn("/say a"), "/say over"))
        denied = await record_of(parent, r.ToolCallDenied)
        assert "no tokens left" in denied.data.reason


@pytest.mark.parametrize("cascade", [False, True])
async def test_what_a_destroyed_child_and_those_below_it_had_goes_back_level_by_level(cascade: bool) -> None:
    held = Held()
    async with runtime(held.tool, llm=MODEL) as manager:
        parent = await manager.create_session("p", config(budget=Budget(tool_calls=100)))
        await manager.create_child_session("p", "c", SessionConfig(budget=Budget(tool_calls=40)))
        spec = ChildSpec(prompt=HOLD, session_id="g", config=SessionConfig(budget=Budget(tool_calls=10)))
        await manager.spawn_many("c", [spec])
        await held.begun.wait()

        await manager.destroy_session("c", cascade=cascade)
        held.go.release()
        await returned(parent, 39)

        found = (await parent.info()).budget
        assert found is not None
        assert (found.leased.tool_calls, found.remaining.tool_calls) == (1, 99), "the grandchild's call is used"


async def test_a_child_that_asks_and_is_refused_is_an_answer_to_its_parent() -> None:
    async with runtime(llm=MODEL) as manager:
        await manager.create_session("p", config(budget=Budget(tool_calls=5)))
        spec = ChildSpec(
            prompt="/tool ls {}\n/say one", session_id="c", config=SessionConfig(budget=Budget(tool_calls=0))
        )
        (child,) = await manager.spawn_many("p", [spec])
        await child.resolve_action(await asked(child), "reject")

        (result,) = await manager.wait_children("p")
        assert (result.outcome, result.code) == (ChildOutcome.failed, "BudgetExceeded")


async def test_a_fork_has_the_configured_budget_and_has_taken_nothing() -> None:
    async with runtime() as manager:
        session = await manager.create_session("s", config(spends("One.", 100), budget=Budget(tokens=150)))
        await session.generate("go")
        fork = await manager.fork_session("s", "f")
        at_a_place = await manager.fork_session("s", "g", at=(await session.info()).head_seq - 1)

        for one in (fork, at_a_place):
            found = (await one.info()).budget
            assert found is not None
            assert (found.used.tokens, found.remaining) == (0, Bounds(tokens=150))
        await fork.generate("go")
        found = (await fork.info()).budget
        assert found is not None
        assert found.remaining == Bounds(tokens=50)


async def test_tool_results_of_calls_that_were_held_are_those_of_the_calls() -> None:
    async with runtime() as manager:
        steps = (calls(("ls", {}), ("ls", {"path": "."})), says("Done."))
        session = await manager.create_session("s", config(*steps, budget=Budget(tool_calls=1)))
        turn = asyncio.create_task(session.generate("go"))
        await session.resolve_action(await asked(session), "approve")
        assert (await turn).text == "Done."
        assert len(result_texts(await session.history())) == 2
