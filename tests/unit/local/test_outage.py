"""A store that cannot be reached, or written, for a while: what readers see, what inputs get, and how it goes on."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from actors import Receipt, SessionHandle, SessionManager, tool
from actors.domain.journal import Appended, AppendPart, Refused, StoredRecord
from actors.errors import StoreUnavailable
from actors.storage.service import StoreService
from actors.storage.sql import SqlBackend
from tests.disks import files_no_larger_than
from tests.unit.local.runtimes import LIMIT_S, calls, config, says

SMALL = 40_000
"""Bytes: room for the index of a log, which readers need, and for no further record."""


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


async def test_a_full_disk_acknowledges_nothing_begins_no_tool_and_heals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.session.committer.ACKNOWLEDGE_WITHIN_S", 0.2)
    begun, go, ran = asyncio.Event(), asyncio.Event(), list[str]()

    @tool(effect="unsafe")
    async def hold() -> str:
        """Wait for the test."""
        ran.append("hold")
        begun.set()
        await go.wait()
        return "held"

    @tool(effect="unsafe")
    async def act() -> str:
        """Do something."""
        ran.append("act")
        return "done"

    chosen = config(calls(("hold", {})), calls(("act", {})), says("Done."))
    store = f"sqlite:///{tmp_path / 'greenroom.db'}"
    async with await SessionManager.local(None, store=store, tools=[hold, act]) as manager, asyncio.timeout(LIMIT_S):
        working, dormant = [await manager.create_session(name, chosen) for name in ("working", "dormant")]
        receipt = await working.send("go")
        told = asyncio.Event()
        watching = asyncio.create_task(_watch(working, told))
        await begun.wait()
        head = (await working.info()).head_seq
        assert (tmp_path / "greenroom.db-wal").stat().st_size > SMALL
        with files_no_larger_than(SMALL):
            go.set()
            await told.wait()
            for refusing in (working.send("more", command_id="more"), dormant.send("x"), manager.create_session("new")):
                with pytest.raises(StoreUnavailable) as refused:
                    await refusing
                assert refused.value.retry_after_s
            assert (await working.info()).head_seq == head
            assert ran == ["hold"]

        assert (await working.wait_turn(receipt)).text == "Done."
        assert ran == ["hold", "act"]
        await working.wait_turn(await _sent(working, "more"))
        seen = await watching
        journal = [one.type for one in await working.records()]
        assert seen.count("session.persistence_failed") == 1
        assert [kind for kind in seen if not kind.endswith(("delta", "_failed"))] == journal
        assert journal.count("user.message") == journal.count("turn.completed") == 2
        await dormant.wait_turn(await _sent(dormant, "x"))


async def test_a_disk_that_hangs_acknowledges_nothing_and_goes_on_when_it_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.session.committer.ANSWER_WITHIN_S", 0.2)
    monkeypatch.setattr("actors.storage.writer.LATE_S", 0.1)
    monkeypatch.setattr("actors.storage.writer.PATIENCE_S", 0.2)
    append, answers = SqlBackend.append, threading.Event()

    def hanging(self: SqlBackend, parts: Sequence[AppendPart]) -> list[Appended | Refused]:
        assert answers.wait(LIMIT_S)
        return append(self, parts)

    store = f"sqlite:///{tmp_path / 'greenroom.db'}"
    async with await SessionManager.local("scripted/echo", store=store) as manager, asyncio.timeout(LIMIT_S):
        session = await manager.create_session("s")
        monkeypatch.setattr(SqlBackend, "append", hanging)
        told = asyncio.Event()
        watching = asyncio.create_task(_watch(session, told))

        for refusing in (session.send("more", command_id="more"), session.pause(), manager.create_session("another")):
            with pytest.raises(StoreUnavailable):
                await refusing
        await told.wait()
        assert [one.type for one in await session.records()] == ["session.created"], "reads go on"
        answers.set()

        await session.wait_turn(await _sent(session, "more"))
        await session.generate("and on")
        await watching
        assert [one.type for one in await session.records()].count("user.message") == 2


async def test_a_commit_whose_reply_is_lost_is_neither_lost_nor_made_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    append, lost, ran = StoreService.append, set[str](), list[str]()

    async def losing(self: StoreService, part: AppendPart) -> Appended:
        got = await append(self, part)
        if part.batch_id not in lost:
            lost.add(part.batch_id)
            raise StoreUnavailable("its process was killed")
        assert got.replayed
        return got

    @tool(effect="unsafe")
    async def act() -> str:
        """Do something."""
        ran.append("act")
        return "done"

    monkeypatch.setattr(StoreService, "append", losing)
    async with await SessionManager.local(None, tools=[act]) as manager, asyncio.timeout(LIMIT_S):
        session = await manager.create_session("s", config(calls(("act", {})), says("Done.")))

        assert (await session.generate("go", command_id="go")).text == "Done."
        assert (await session.send("go", command_id="go")).seq == 2

        records = await session.records()
        assert [one.seq for one in records] == list(range(1, len(records) + 1))
        assert [one.type for one in records].count("user.message") == 1
        assert ran == ["act"]
        assert len(lost) > 2, "every append had to be made again"


async def _watch(session: SessionHandle, told: asyncio.Event) -> list[str]:
    """The types of the session's events up to the end of its second turn; rings when an outage is among them."""
    seen: list[str] = []
    async with aclosing(session.events(follow=True)) as events:
        async for event in events:
            seen.append(event.type)
            if event.type == "session.persistence_failed":
                told.set()
            if seen.count("turn.completed") == 2:
                break
    return seen


async def _sent(session: SessionHandle, command_id: str) -> Receipt:
    """The receipt of a command that is given again until the store takes it."""
    while True:
        try:
            return await session.send("more", command_id=command_id)
        except StoreUnavailable:
            await asyncio.sleep(0.01)
