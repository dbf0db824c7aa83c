"""Several stores in one runtime: where sessions live, who finds them, what outlives what."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from actors.domain.children import ChildOutcome, ChildSpec
from actors.domain.session import Activity, SessionConfig, StorageType
from actors.errors import (
    CommandConflict,
    InvalidConfig,
    InvalidRequest,
    SessionExists,
    SessionNotFound,
    StoreUnavailable,
)
from actors.manager import SessionManager
from actors.storage.several import member, opening
from actors.storage.verify import Verification
from tests.unit.local.runtimes import LIMIT_S, asking, calls, config, runtime, says
from tests.unit.storage.test_several import Switched

MEMORY, FILE, CUSTOM = StorageType.memory, StorageType.file, StorageType.custom


@asynccontextmanager
async def beside(directory: Path, **values: Any) -> AsyncGenerator[SessionManager]:
    """A runtime whose default store is SQLite, with one in memory and another SQLite beside it."""
    stores = {"scratch": "memory:", "notes": str(directory / "notes")}
    async with runtime(llm="scripted/echo", store=str(directory / "main"), stores=stores, **values) as manager:
        yield manager


async def test_storage_type_or_a_name_chooses_the_store_of_a_session(tmp_path: Path) -> None:
    async with beside(tmp_path) as manager:
        await manager.create_session("plain")
        await manager.create_session("gone", SessionConfig(storage_type=MEMORY))
        await manager.create_session("noted", store="notes")
        for name in ("plain", "gone", "noted"):
            assert (await manager.generate(name, f"I am {name}")).text == f"I am {name}"

        assert (await manager.get_config("noted")).storage_type is FILE
        assert {row.session_id for row in (await manager.list_sessions()).items} == {"plain", "gone", "noted"}
        assert (await manager.session_count(), await manager.load_all_sessions()) == (3, 3)
        assert sum(day.spent.calls for day in (await manager.usage()).by_day) == 3
        assert [(one.name, one.kind, one.ok) for one in await manager.store_health()] == [
            ("default", FILE, True),
            ("notes", FILE, True),
            ("scratch", MEMORY, True),
        ]


async def test_a_command_is_known_to_all_stores(tmp_path: Path) -> None:
    async with beside(tmp_path) as manager:
        for _ in range(2):
            await manager.create_session("a", store="notes", command_id="one")
        await manager.create_session("b")
        with pytest.raises(CommandConflict):
            await manager.create_session("c", command_id="one")
        for _ in range(2):
            assert await manager.destroy_session("a", command_id="two")
        for remove in (manager.destroy_session, manager.purge_session):
            with pytest.raises(CommandConflict):
                await remove("b", command_id="two")
        with pytest.raises(CommandConflict):
            await manager.create_session("a", command_id="one")

        assert [row.session_id for row in (await manager.list_sessions()).items] == ["b"]


async def test_what_is_in_memory_goes_with_its_process_and_what_is_in_databases_is_there_again(tmp_path: Path) -> None:
    async with beside(tmp_path) as manager:
        for name, store in (("plain", None), ("gone", "scratch"), ("noted", "notes")):
            await manager.create_session(name, store=store)
            await manager.generate(name, "hello")
    async with beside(tmp_path) as manager:
        assert await manager.load_all_sessions() == 2
        for name in ("plain", "noted"):
            session = await manager.restore_session_by_id(name)
            assert len(await session.history()) == 2
            assert (await session.generate("again")).text == "again"
        with pytest.raises(SessionNotFound):
            await manager.restore_session_by_id("gone")
        await manager.create_session("gone")
    assert [str(one) for name in ("main", "notes") for one in Verification(str(tmp_path / name))] == []


async def test_a_turn_that_waits_in_a_further_store_goes_on_after_a_restart(tmp_path: Path) -> None:
    async with beside(tmp_path) as manager:
        session = await manager.create_session("s", asking(calls(("ls", {})), says("Done.")), store="notes")
        receipt = await session.send("go")
        async for event in session.events(follow=True):
            if event.type == "action.requested":
                break
    async with beside(tmp_path) as manager:
        (action,) = (await manager.actions()).items
        await manager.resolve_action("s", action.action_id, "approve")
        assert (await manager.wait_turn("s", receipt, timeout=LIMIT_S)).text == "Done."


async def test_a_store_that_there_is_not_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    async with beside(tmp_path) as manager:
        with pytest.raises(InvalidConfig, match="no store of the kind 'custom'"):
            await manager.create_session("s", SessionConfig(storage_type=CUSTOM))
        with pytest.raises(InvalidConfig, match="no store 'nowhere'"):
            await manager.create_session("s", store="nowhere")
        assert await manager.session_count() == 0


async def test_an_id_is_given_once_in_all_stores(tmp_path: Path) -> None:
    async with beside(tmp_path) as manager:
        await manager.create_session("s", store="scratch")
        with pytest.raises(SessionExists):
            await manager.create_session("s")
        with pytest.raises(SessionExists):
            await manager.create_child_session("s", "S")
        await manager.create_session("p")
        with pytest.raises(SessionExists):
            await manager.create_child_session("p", "s")
        assert await manager.destroy_session("s")
        await manager.create_session("s", store="notes")


async def test_a_family_lives_in_one_store(tmp_path: Path) -> None:
    async with beside(tmp_path) as manager:
        parent = await manager.create_session("p", SessionConfig(storage_type=MEMORY))
        children = await manager.spawn_many("p", [ChildSpec(prompt="one"), "two"])
        done = await manager.wait_children("p", timeout=LIMIT_S)
        fork = await manager.fork_session("p", "fork")
        await manager.create_child_session("p", "same", SessionConfig(storage_type=MEMORY))
        await manager.create_session("lasting")
        await manager.create_child_session("lasting", "lasting-child", SessionConfig(storage_type=FILE))

        assert [one.outcome for one in done] == [ChildOutcome.completed] * 2
        assert {(await manager.get_config(one.session_id)).storage_type for one in (*children, fork)} == {MEMORY}
        with pytest.raises(InvalidRequest, match="lives in the store of its parent"):
            await manager.create_child_session("p", "other", SessionConfig(storage_type=FILE))
        assert (await parent.info()).activity is Activity.idle
    async with beside(tmp_path) as manager:
        assert await manager.get_child_sessions("lasting") == ["lasting-child"]
        assert await manager.session_count() == 2


async def test_a_session_goes_into_another_store_as_a_document(tmp_path: Path) -> None:
    async with beside(tmp_path) as manager:
        await manager.create_session("s", SessionConfig(storage_type=MEMORY))
        await manager.generate("s", "hello")
        document = await manager.export_session("s")
    async with runtime(llm="scripted/echo", store=str(tmp_path / "alone")) as manager:
        session = await manager.import_session(document)
        assert [message.text for message in await session.history()] == ["hello", "hello"]


async def test_a_store_that_fails_is_named_and_the_sessions_of_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(member, "PAUSE_S", 0.0)
    broken = Switched()
    real = opening.backend_at
    monkeypatch.setattr(opening, "backend_at", lambda url: broken if url == "memory:" else real(url))
    async with beside(tmp_path) as manager:
        lost = await manager.create_session("lost", config(says("one")), store="scratch")
        fine = await manager.create_session("fine")
        await lost.generate("go")
        broken.works = False
        monkeypatch.setattr(member, "PAUSE_S", 60.0)

        assert (await fine.generate("still")).text == "still"
        assert (await manager.create_session("more")).session_id == "more"
        page = await manager.list_sessions()
        assert ({row.session_id for row in page.items}, page.unavailable) == ({"fine", "more"}, ("scratch",))
        assert (await manager.actions()).unavailable == ("scratch",)
        assert await manager.load_all_sessions() == 2
        for whole in (manager.session_count(), manager.usage()):
            with pytest.raises(StoreUnavailable):
                await whole
        states = {one.name: one for one in await manager.store_health()}
        assert {name for name, one in states.items() if not one.ok} == {"scratch"}
        assert "the switch is off" in (states["scratch"].error or "")
        with pytest.raises(StoreUnavailable):
            await lost.history()
        with pytest.raises(StoreUnavailable):
            await manager.get_session("unknown")

        broken.works = True
        assert (await lost.generate("go")).text == "one"
