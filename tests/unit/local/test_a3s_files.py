"""Session files of A3S Code become sessions here."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from actors.domain.policies import SessionLane, TimeoutAction
from actors.domain.session import SessionState
from actors.domain.tasks import TaskStatus
from actors.errors import InvalidRequest
from tests.unit.local.runtimes import runtime

_IMAGE: dict[str, Any] = {
    "id": "old",
    "config": {
        "name": "Port the parser",
        "workspace": "",
        "system_prompt": "Be brief.",
        "max_context_length": 100_000,
        "auto_compact": True,
        "auto_compact_threshold": 0.7,
        "storage_type": "File",
        "confirmation_policy": {
            "enabled": True,
            "default_timeout_ms": 5000,
            "timeout_action": "AutoApprove",
            "yolo_lanes": ["Query"],
        },
        "permission_policy": {"deny": [{"rule": "Bash(rm:*)"}], "allow": ["Read"], "default_decision": "Ask"},
        "planning_enabled": False,
        "goal_tracking": False,
    },
    "state": "Paused",
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "List the files"}]},
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "t1", "name": "ls", "input": {"path": "."}}],
            "reasoning_content": "hm",
        },
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "a.rs", "is_error": None}],
        },
        {"role": "assistant", "content": [{"type": "text", "text": "There is a.rs" + "!" * 50_000}]},
    ],
    "context_usage": {"used_tokens": 900, "max_tokens": 100_000, "percent": 0.009, "turns": 4},
    "total_usage": {"prompt_tokens": 800, "completion_tokens": 100, "total_tokens": 900, "cache_read_tokens": None},
    "total_cost": 0.25,
    "model_name": "gpt-4o",
    "cost_records": [],
    "tool_names": ["ls"],
    "thinking_enabled": True,
    "thinking_budget": 2048,
    "created_at": 1_700_000_000,
    "updated_at": 1_700_000_500,
    "llm_config": {"provider": "openai", "model": "gpt-4o", "base_url": "https://user:secret@llm.example/v1?token=t"},
    "todos": [{"id": "1", "content": "Read", "status": "done"}],
    "parent_id": "elder",
}


async def test_everything_that_the_file_tells_is_taken_over() -> None:
    async with runtime() as manager:
        session = await manager.import_session(_IMAGE)

        info, config = await session.info(), await session.config()
        assert (session.session_id, info.state, info.name) == ("old", SessionState.paused, "Port the parser")
        assert (info.created_at, info.updated_at) == tuple(
            datetime.fromtimestamp(_IMAGE[name], UTC) for name in ("created_at", "updated_at")
        )
        assert (info.usage.prompt_tokens, info.usage.total_tokens, info.cost_usd) == (800, 900, "0.25")
        assert (info.parent_id, info.parent_journal_id) == ("elder", None)
        assert [message.role.value for message in await session.history()] == ["user", "assistant", "user", "assistant"]
        assert (await session.history())[1].reasoning_content == "hm"
        assert (await session.history())[3].text.endswith("!!!")
        usage = await session.context_usage()
        assert (usage.used_tokens, usage.max_tokens, usage.turns) == (900, 100_000, 4)
        assert [(task.content, task.status) for task in await session.tasks()] == [("Read", TaskStatus.completed)]
        assert (config.thinking_enabled, config.thinking_budget, config.system_prompt) == (True, 2048, "Be brief.")
        assert (config.auto_compact, config.auto_compact_threshold) == (True, 0.7)
        assert config.model is not None
        assert (config.model.name, config.model.base_url) == ("openai/gpt-4o", "https://llm.example")
        assert config.confirmation.timeout_action is TimeoutAction.auto_approve
        assert config.confirmation.yolo_lanes == {SessionLane.query}
        assert [rule.text for rule in config.permissions.deny] == ["Bash(rm:*)"]


async def test_it_goes_on_here() -> None:
    async with runtime(llm="scripted/echo") as manager:
        session = await manager.import_session({**_IMAGE, "llm_config": None, "state": "Active"}, "new")

        assert (await session.generate("And now?")).text == "And now?"
        assert len(await session.history()) == 6


async def test_an_older_file_without_the_newer_fields_is_taken() -> None:
    async with runtime() as manager:
        session = await manager.import_session({"id": "s", "messages": [], "created_at": 1, "updated_at": 2})

        assert (await session.info()).state is SessionState.active
        assert await session.history() == ()


@pytest.mark.parametrize(
    "broken",
    [
        {"id": "../etc"},
        {"messages": "none"},
        {"messages": [{"role": "system", "content": []}]},
        {"created_at": -1},
        {"updated_at": 2**40},
        {"total_cost": float("nan")},
        {"config": {"permission_policy": {"deny": ["Bash("]}}},
        {"config": {"auto_compact_threshold": 7}},
        {"llm_config": {"provider": "openai", "model": "m", "base_url": "ftp://x"}},
    ],
)
async def test_files_that_cannot_be_taken_are_refused(broken: dict[str, Any]) -> None:
    async with runtime() as manager:
        with pytest.raises(InvalidRequest):
            await manager.import_session({**_IMAGE, **broken})
        assert await manager.session_count() == 0
