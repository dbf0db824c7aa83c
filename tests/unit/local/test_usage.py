"""Tokens and money: by model, by day, over a session, its tree, and all sessions."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from actors.domain.ids import utc_now
from actors.domain.llm import ModelPrice
from actors.domain.messages import TokenUsage
from actors.domain.session import SessionConfig
from actors.domain.usage import Spent, SpentOn, UsageReport
from actors.errors import InvalidRequest, SessionNotFound
from actors.manager import SessionManager
from tests.unit.local.runtimes import config, runtime, says, script

_STEP = says("Yes.", usage=TokenUsage(prompt_tokens=100, completion_tokens=10, total_tokens=110).model_dump())


def _spent(calls: int = 1, tokens: int = 10, cost: str | None = None) -> Spent:
    usage = TokenUsage(prompt_tokens=tokens, total_tokens=tokens)
    return Spent(calls=calls, unpriced_calls=0 if cost else calls, usage=usage, cost_usd=cost or "0")


def test_a_report_adds_up_exactly_with_the_dearest_model_first_and_the_days_in_order() -> None:
    first, second = date(2026, 3, 1), date(2026, 3, 2)
    rows = [
        SpentOn(day=second, model="openai/a", spent=_spent(cost="0.1")),
        SpentOn(day=first, model="openai/a", spent=_spent(cost="0.2")),
        SpentOn(day=first, model="openai/b", spent=_spent(cost="0.9")),
        SpentOn(day=first, model="vllm/c", spent=_spent(calls=3)),
    ]
    report = UsageReport.of(rows)

    assert Decimal(report.total.cost_usd) == Decimal("1.2")
    assert (report.total.calls, report.total.unpriced_calls, report.total.usage.total_tokens) == (6, 3, 40)
    assert [one.model for one in report.by_model] == ["openai/b", "openai/a", "vllm/c"]
    assert report.by_model[1].spent.cost_usd == "0.3"
    assert [one.day for one in report.by_day] == [first, second]
    assert UsageReport.of([]) == UsageReport()


@pytest.mark.parametrize("stored", [False, True])
async def test_usage_of_a_session_its_tree_and_all_is_by_model_and_day(stored: bool, tmp_path: Path) -> None:
    values: dict[str, Any] = {"store": f"sqlite:///{tmp_path / 'sessions.db'}"} if stored else {}
    manager = await SessionManager.local("scripted/echo", **values)
    try:
        one = await manager.create_session("s", config(_STEP))
        await one.generate("go")
        await one.generate("go")
        child = await manager.create_child_session("s", "child", SessionConfig(model=script(_STEP)))
        await child.generate("go")
        grandchild = await manager.create_child_session("child", "grandchild", SessionConfig(model="scripted/echo"))
        await grandchild.generate("go")
        await (await manager.create_session("other", config(_STEP))).generate("go")

        own, tree, every = await one.usage(), await manager.usage("s", tree=True), await manager.usage()
        assert [report.total.calls for report in (own, tree, every)] == [2, 4, 5]
        assert own.total == Spent(calls=2, unpriced_calls=2, usage=(await one.info()).usage)
        assert {entry.model: entry.spent.calls for entry in tree.by_model} == {"scripted/script": 3, "scripted/echo": 1}
        today = utc_now().date()
        assert [entry.day for entry in every.by_day] in ([today], [today - timedelta(days=1), today])

        assert (await manager.usage("s", tree=True, model="scripted/echo")).total.calls == 1
        assert (await manager.usage(model="nobody/x")).by_model == ()
        assert (await manager.usage(until=today - timedelta(days=2))).total.calls == 0
        assert (await manager.usage("s", since=today - timedelta(days=1), until=today)).total.calls == 2
        with pytest.raises(InvalidRequest, match="last day"):
            await manager.usage(since=today, until=today - timedelta(days=1))
        with pytest.raises(SessionNotFound):
            await manager.usage("nobody")
    finally:
        await manager.close()


async def test_a_model_with_a_price_costs_and_one_without_is_counted_as_such() -> None:
    async with runtime() as manager:
        priced = script(_STEP).model_copy(update={"price": ModelPrice(input=Decimal(3), output=Decimal(15))})
        one = await manager.create_session("s", SessionConfig(model=priced))
        result = await one.generate("go")
        assert result.cost_usd is not None
        assert Decimal(result.cost_usd) == Decimal((await one.info()).cost_usd) == Decimal("0.00045")
        assert (await one.usage()).total.unpriced_calls == 0
        await one.configure(model_config=script(_STEP))
        assert (await one.generate("go")).cost_usd is None
        assert Decimal((await one.info()).cost_usd) == Decimal("0.00045")
        assert ((await one.usage()).total.calls, (await one.usage()).total.unpriced_calls) == (2, 1)


async def test_what_a_source_took_is_counted_once_whatever_forks_there_are() -> None:
    async with runtime() as manager:
        await (await manager.create_session("s", config(_STEP))).generate("go")
        fork = await manager.fork_session("s", "f")
        assert (await fork.usage()).total.calls == 0
        await fork.generate("go")

        assert (await fork.usage()).total.calls == 1
        assert (await manager.usage()).total.calls == 2
