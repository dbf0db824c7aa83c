"""What readers see of a store that cannot be reached for a while."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import pytest

from actors import SessionManager
from actors.domain.journal import StoredRecord
from actors.errors import StoreUnavailable
from actors.storage.service import StoreService


async def test_a_reader_is_told_of_an_outage_and_goes_on_where_it_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    outages = iter([True, True, False])
    follow = StoreService.follow

    async def failing(self: StoreService, *args: Any, **kwargs: Any) -> AsyncGenerator[tuple[StoredRecord, ...]]:
        if next(outages, False):
            raise StoreUnavailable("it is being started again")
        async for batch in follow(self, *args, **kwargs):
            yield batch

    async with await SessionManager.local("scripted/echo") as manager:
        session = await manager.create_session("s")
        await session.generate("hello", timeout=10)
        monkeypatch.setattr(StoreService, "follow", failing)

        seen: list[str] = []
        async with asyncio.timeout(10), aclosing(session.events(follow=True)) as events:
            async for event in events:
                seen.append(event.type)
                if event.type == "turn.completed":
                    break

    assert seen == [
        "session.persistence_failed",
        "session.created",
        "user.message",
        "turn.started",
        "model.call.started",
        "model.call.completed",
        "turn.completed",
    ]
