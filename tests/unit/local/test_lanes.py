"""Lanes in a whole runtime: limits that the loop keeps, repetitions, dead letters, and what is told of them."""

from __future__ import annotations

import asyncio
from typing import Any

from actors.domain import records as r
from actors.domain.lanes import SessionQueueConfig
from actors.domain.policies import SessionLane
from actors.domain.session import SessionConfig
from actors.errors import ToolError
from actors.tools.function import tool
from tests.unit.local.runtimes import calls, config, record_of, records, result_texts, runtime, says, session, types


def laned(*steps: dict[str, Any], **queue: Any) -> SessionConfig:
    return config(*steps, queue_config=SessionQueueConfig.model_validate(queue))


FAST_RETRY = {"strategy": "exponential", "initial_delay_ms": 1, "max_retries": 2}


async def test_lane_questions_of_a_fresh_session_have_plain_answers() -> None:
    async with runtime() as manager:
        await manager.create_session("s")
        stats = await manager.queue_stats("s")
        assert (stats.total_pending, stats.total_active, stats.external_pending) == (0, 0, 0)
        assert await manager.dead_letters("s") == []
        assert await manager.queue_metrics("s") is None


async def test_no_more_calls_run_at_a_time_than_the_lane_allows() -> None:
    now, most = 0, 0

    @tool(effect="pure")
    async def look(n: int) -> str:
        """Look."""
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1
        return str(n)

    steps = (calls(*(("look", {"n": n}) for n in range(8))), says("Done."))
    async with session(laned(*steps, execute_max_concurrency=3), look) as one:
        result = await one.generate("go")
        assert result_texts(result.messages) == [str(n) for n in range(8)]
        assert most <= 3
        begun = [record.data.index for record in await records(one, r.ToolCallStarted)]
        assert begun == sorted(begun)


async def test_a_call_that_breaks_is_repeated_and_each_attempt_is_in_the_ledger() -> None:
    tried: list[int] = []

    @tool(effect="pure")
    async def look() -> str:
        """Look."""
        tried.append(len(tried))
        if len(tried) < 3:
            raise OSError("connection reset")
        return "seen"

    queue = {"retry_policy": FAST_RETRY, "enable_metrics": True}
    async with session(laned(calls(("look", {})), says("Done."), **queue), look) as one:
        result = await one.generate("go")
        assert result_texts(result.messages) == ["seen"]
        assert [(one.attempt, one.status, one.outcome) for one in await one.effects()] == [
            (1, "settled", "error"),
            (2, "settled", "error"),
            (3, "settled", "ok"),
        ]
        retried = await records(one, r.CommandRetried)
        assert [record.data.delay_ms for record in retried] == [1, 2]
        assert "connection reset" in retried[0].data.error
        counts = await one.queue_metrics()
        assert counts is not None
        assert (counts[SessionLane.execute].started, counts[SessionLane.execute].retried) == (3, 2)


async def test_a_call_that_fails_for_good_is_a_dead_letter_and_a_refusal_is_none() -> None:
    @tool
    async def act(how: str) -> str:
        """Do something that cannot be undone."""
        raise OSError("disk on fire") if how == "break" else ToolError("not today")

    steps = (calls(("act", {"how": "break"}), ("act", {"how": "refuse"})), says("Done."))
    async with session(laned(*steps, enable_dlq=True, retry_policy=FAST_RETRY), act) as one:
        await one.generate("go")
        (letter,) = await one.dead_letters()
        assert (letter.command_type, letter.lane, letter.attempts) == ("act", "execute", 1)
        assert "disk on fire" in letter.error
        assert "command.dead_lettered" in await types(one)


async def test_the_time_limit_of_a_lane_ends_a_call() -> None:
    @tool(timeout=60, effect="pure")
    async def look() -> str:
        """Look."""
        await asyncio.Event().wait()
        return ""

    async with session(laned(calls(("look", {})), says("Done."), lane_timeouts={"execute": 10}), look) as one:
        result = await one.generate("go")
        assert "timed out after 0.01 s" in result_texts(result.messages)[0]


async def test_a_call_beyond_the_rate_waits_while_the_session_hibernates() -> None:
    @tool
    async def act() -> str:
        """Do something that cannot be undone."""
        return "done"

    limit = {"limit_type": "per_second", "max_operations": 1}
    async with session(laned(calls(("act", {}), ("act", {})), rate_limit=limit), act) as one:
        await one.send("go")
        await record_of(one, r.ToolCallCompleted)
        info = await one.info()
        assert (info.activity, info.wake_at is not None) == ("waiting", True)
        assert await one.hibernate()
        second = await record_of(one, r.ToolCallStarted, count=2)
        first = (await records(one, r.ToolCallStarted))[0]
        assert (second.at - first.at).total_seconds() >= 1
        assert second.epoch == 2
        await one.cancel()


async def test_limits_are_replaced_while_the_session_lives_and_seen_as_they_were() -> None:
    async with session(config(says("Hello."))) as one:
        head = (await one.info()).head_seq
        await one.set_queue_config(SessionQueueConfig(query_max_concurrency=9))
        assert (await one.queue_stats()).lanes[SessionLane.query].max_concurrency == 9
        assert (await one.config(at=head)).queue_config is None
        await one.set_queue_config(None)
        assert (await one.config()).queue_config is None
