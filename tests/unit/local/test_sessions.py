"""What a session is from its creation on, and that all of it is there in the next runtime."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from actors.domain import records as r
from actors.domain.ids import utc_now
from actors.domain.lanes import SessionQueueConfig
from actors.domain.messages import Message
from actors.domain.permissions import PermissionPolicy
from actors.domain.policies import ConfirmationPolicy, SessionLane, TimeoutAction
from actors.domain.session import ContextUsage, SessionConfig, SessionState
from actors.errors import InvalidConfig, SessionEnded, SessionNotFound, SessionPaused
from actors.manager import SessionManager
from tests.unit.local.runtimes import asking, calls, config, record_of, runtime, says, session

_QUEUE = SessionQueueConfig(
    control_max_concurrency=1, query_max_concurrency=2, execute_max_concurrency=3, generate_max_concurrency=4
)


async def test_a_new_session_is_active_and_empty_and_has_what_it_was_given() -> None:
    before = utc_now()
    async with session(SessionConfig(name="Ada", system_prompt="Speak Greek.", queue_config=_QUEUE)) as one:
        info, chosen = await one.info(), await one.config()
        assert (info.session_id, info.name, info.state) == ("s", "Ada", SessionState.active)
        assert before <= info.created_at == info.updated_at <= utc_now()
        assert (chosen.system_prompt, chosen.queue_config) == ("Speak Greek.", _QUEUE)
        assert (await one.history(), await one.turns(), await one.tasks()) == ((), [], ())
        assert await one.context_usage() == ContextUsage(used_tokens=0, max_tokens=200_000, percent=0.0, turns=0)
        assert (info.usage.total_tokens, info.cost_usd, info.parent_id, info.open_turn) == (0, "0", None, None)


async def test_each_message_counts_and_is_seen_through_every_handle() -> None:
    async with runtime() as manager:
        one = await manager.create_session("s", config(says("x")))
        for count in (1, 2):
            await one.add_message(Message.user(f"message {count}"))
            assert (await manager.context_usage("s")).turns == count
        found = await manager.get_session("s")
        assert [message.text for message in await found.history()] == ["message 1", "message 2"]


async def test_a_session_is_paused_and_resumed_once_each() -> None:
    async with session(config(says("x"))) as one:
        assert not await one.resume()
        assert [await one.pause(), (await one.info()).state, await one.pause()] == [True, SessionState.paused, False]
        with pytest.raises(SessionPaused, match=r"paused. Resume"):
            await one.generate("hello")
        assert [await one.resume(), (await one.info()).state, await one.resume()] == [True, SessionState.active, False]


async def test_a_completed_session_is_neither_paused_nor_resumed_and_one_in_error_can_be_resumed() -> None:
    async with session(config(says("x"), queue_config=_QUEUE)) as one:
        await one.complete()
        assert not await one.pause()
        assert not await one.resume()
        assert (await one.info()).state is SessionState.completed
        with pytest.raises(SessionEnded):
            await one.generate("hello")
        await one.fail("broken")
        assert not await one.pause()
        assert (await one.info()).state is SessionState.error
        assert await one.resume()
        assert (await one.generate("hello")).text == "x"


async def test_a_session_that_is_ended_waits_for_nobody_any_more() -> None:
    async with session(asking(calls(("ls", {})), says("Done."))) as one:
        await one.send("go")
        await record_of(one, r.ActionRequested)
        await one.send("and then")
        await one.complete()
        await record_of(one, r.TurnCancelled)
        assert (await one.actions(), await one.pending_inputs()) == ((), ())
        (settled,) = await one.actions(pending=False)
        assert settled.resolution == "cancelled"


async def test_clearing_empties_the_conversation_and_keeps_the_size_of_its_window() -> None:
    async with session(config(says("x"), max_context_length=5000)) as one:
        await one.generate("hello")
        assert (await one.context_usage()).used_tokens > 0
        await one.clear()
        assert await one.history() == ()
        assert await one.context_usage() == ContextUsage(used_tokens=0, max_tokens=5000, percent=0.0, turns=0)
        assert (await one.info()).usage.total_tokens > 0


async def test_a_workspace_that_is_not_there_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    async with runtime() as manager:
        for path in (tmp_path / "nowhere", tmp_path / "file"):
            with pytest.raises(InvalidConfig, match="not a directory"):
                await manager.create_session("s", SessionConfig(workspace=str(path)))
        await manager.create_session("s", SessionConfig(workspace=str(tmp_path)))
        with pytest.raises(InvalidConfig, match="not a directory"):
            await manager.create_child_session("s", "child", SessionConfig(workspace=str(tmp_path / "nowhere")))
        assert await manager.session_count() == 1


async def test_without_a_model_of_its_own_or_the_runtimes_a_session_has_none() -> None:
    async with runtime() as manager:
        await manager.create_session("s")
        assert await manager.get_llm_for_session("s") is None
        await manager.set_default_llm("scripted/echo")
        assert (await manager.generate("s", "hello")).text == "hello"


async def test_what_was_changed_is_there_in_the_next_runtime(tmp_path: Path) -> None:
    confirming = ConfirmationPolicy(
        default_timeout_ms=5000,
        timeout_action=TimeoutAction.auto_approve,
        yolo_lanes=frozenset({SessionLane.query, SessionLane.execute}),
    )
    async with await SessionManager.local("scripted/echo", store=str(tmp_path)) as first:
        await first.create_sessions(["paused", "resumed", "cleared", "changed", "gone"])
        for name in ("paused", "resumed"):
            await first.pause_session(name)
        await first.resume_session("resumed")
        await first.generate("cleared", "hello")
        await first.clear("cleared")
        await asyncio.gather(
            first.set_confirmation_policy("changed", confirming),
            first.set_permission_policy("changed", PermissionPolicy(deny=["bash(rm:*)"])),
            first.add_permission_rule("changed", "allow", "ls"),
            first.configure("changed", thinking=True, budget=2048, name="Changed"),
            first.set_system_prompt("changed", "Be brief."),
            first.set_tasks("changed", [{"id": "1", "content": "x"}]),
        )
        await first.destroy_session("gone")
    async with await SessionManager.local("scripted/echo", store=str(tmp_path)) as second:
        assert await second.load_all_sessions() == await second.session_count() == 4
        states = [(await second.get_info(name)).state for name in ("paused", "resumed", "cleared", "changed")]
        assert states == [SessionState.paused, *[SessionState.active] * 3]
        assert await second.history("cleared") == ()
        chosen = await second.get_config("changed")
        assert (chosen.thinking_enabled, chosen.thinking_budget, chosen.name) == (True, 2048, "Changed")
        assert (chosen.system_prompt, chosen.confirmation_policy) == ("Be brief.", confirming)
        assert await second.get_confirmation_policy("changed") == confirming
        assert await second.check_permission("changed", "bash", {"command": "rm x"}) == "deny"
        assert [task.content for task in await second.get_tasks("changed")] == ["x"]
        with pytest.raises(SessionNotFound):
            await second.restore_session_by_id("gone")
        assert (await (await second.restore_session_by_id("cleared")).generate("again")).text == "again"
