"""How many appends a turn takes: the records of one append carry the same time."""

from __future__ import annotations

from itertools import groupby

from actors import PermissionPolicy, SessionConfig, SessionHandle, SessionManager


async def _appends_of(session: SessionHandle, prompt: str) -> list[list[str]]:
    head = (await session.info()).head_seq
    await session.generate(prompt, timeout=10)
    records = await session.records(after=head, limit=1000)
    return [[record.type for record in group] for _, group in groupby(records, key=lambda record: record.at)]


async def test_a_plain_turn_is_two_appends() -> None:
    async with await SessionManager.local("scripted/echo") as manager:
        session = await manager.create_session("s")

        assert await _appends_of(session, "hello") == [
            ["user.message", "turn.started", "model.call.started"],
            ["model.call.completed", "turn.completed"],
        ]


async def test_a_tool_begins_after_its_record_and_its_outcome_shares_an_append_with_what_follows() -> None:
    async with await SessionManager.local("scripted/prompt") as manager:
        config = SessionConfig(permission_policy=PermissionPolicy.permissive())
        session = await manager.create_session("s", config)

        assert await _appends_of(session, "/tool ls {}\n/say done") == [
            ["user.message", "turn.started", "model.call.started"],
            ["model.call.completed", "workspace.bound", "tool.call.started"],
            ["tool.call.completed", "model.call.started"],
            ["model.call.completed", "turn.completed"],
        ]
