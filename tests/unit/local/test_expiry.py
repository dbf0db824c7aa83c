"""Sessions that nobody uses are destroyed when their time is over, and no others."""

from __future__ import annotations

import asyncio

import pytest

from actors import SessionConfig
from actors.domain.records import ActionRequested
from actors.errors import SessionNotFound
from actors.mcp import roster
from actors.residency import housekeeping
from tests.unit.local.runtimes import LIMIT_S, asking, calls, record_of, runtime, says
from tests.unit.mcp.servers import raw


async def test_an_unused_session_goes_and_its_readers_and_handles_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeping, "EVERY_S", 0.01)
    async with runtime(llm="scripted/echo") as manager, asyncio.timeout(LIMIT_S):
        brief = await manager.create_session("brief", SessionConfig(ttl_s=0.2))
        waiting = await manager.create_session("waiting", asking(calls(("ls", {})), says("Done."), ttl_s=0.2))
        receipt = await waiting.send("go")
        await record_of(waiting, ActionRequested)
        assert (await brief.generate("hello", timeout=LIMIT_S)).text == "hello"
        assert (await brief.info()).expires_at is not None

        with pytest.raises(SessionNotFound):
            async for _ in brief.events(follow=True):
                pass

        with pytest.raises(SessionNotFound):
            await brief.generate("hello?", timeout=LIMIT_S)
        assert await manager.session_count() == 1
        (action,) = await waiting.actions()
        await waiting.resolve_action(action.action_id, "approve")
        assert (await waiting.wait_turn(receipt)).text == "Done."


async def test_the_settings_say_how_long_sessions_are_kept_that_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeping, "EVERY_S", 0.01)
    async with runtime(llm="scripted/echo", session_ttl_s=0.2) as manager, asyncio.timeout(LIMIT_S):
        brief = await manager.create_session("brief")
        await manager.create_session("kept", SessionConfig(ttl_s=3600))

        with pytest.raises(SessionNotFound):
            async for _ in brief.events(follow=True):
                pass

        assert [one.session_id for one in (await manager.list_sessions()).items] == ["kept"]


async def test_a_session_that_goes_takes_the_mcp_server_that_it_had_for_itself_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(housekeeping, "EVERY_S", 0.01)
    monkeypatch.setattr(roster, "SWEEP_S", 0.05)
    async with runtime(llm="scripted/echo") as manager, asyncio.timeout(LIMIT_S):
        brief = await manager.create_session("brief", SessionConfig(ttl_s=0.2))
        await brief.add_mcp_server(raw())
        internals = manager._runtime  # pyright: ignore[reportPrivateUsage] - nobody else sees a private server

        while await internals.mcp_servers(manager.tenant):  # noqa: ASYNC110 - nobody announces it
            await asyncio.sleep(0.01)

        assert not await internals.store.servers()
        with pytest.raises(SessionNotFound):
            await brief.info()
