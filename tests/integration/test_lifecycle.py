"""Creating, finding, listing and destroying sessions; the same in one process and over Ray."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from actors import LlmConfig, Message, SessionConfig, SessionManager, SessionState, errors
from actors.domain.records import ToolCallStarted
from tests.integration.processes import alive
from tests.integration.runtimes import NewId
from tests.integration.waiting import LONG_S, event_of, until

GATED = '/tool bash {"command": "echo $$ > pid; echo begun; sleep 300"}'
"""A prompt whose tool call writes its process id and then runs for ever."""


async def test_a_created_session_is_found_with_its_name_and_is_active(manager: SessionManager, new_id: NewId) -> None:
    session_id = new_id()
    created = await manager.create_session(session_id, SessionConfig(name="Ada"))
    found = await manager.get_session(session_id)
    info = await found.info()
    assert found.journal_id == created.journal_id
    assert (info.session_id, info.name, info.state, info.messages) == (session_id, "Ada", SessionState.active, 0)
    assert await found.history() == ()


async def test_an_unknown_session_is_refused_by_every_operation_that_needs_one(manager: SessionManager) -> None:
    for operation in (
        manager.get_session,
        manager.get_info,
        manager.restore_session_by_id,
        manager.is_child_session,
        manager.pause_session,
        manager.resume_session,
        manager.cancel_operation,
        manager.hibernate_session,
        manager.clear,
        manager.history,
        manager.context_usage,
        manager.turns,
        manager.actions,
        manager.pending_inputs,
        manager.get_llm_for_session,
        manager.get_confirmation_policy,
        manager.get_permission_policy,
        manager.configure,
        lambda unknown: manager.generate(unknown, "hello"),
        lambda unknown: manager.generate_streaming(unknown, "hello"),
        lambda unknown: manager.send(unknown, "hello"),
        lambda unknown: manager.add_message(unknown, "hello"),
        lambda unknown: manager.confirm_tool(unknown, "x", True),
        lambda unknown: manager.set_system_prompt(unknown, None),
        lambda unknown: anext(aiter(manager.events(unknown))),
        lambda unknown: manager.create_child_session(unknown, "child"),
        lambda unknown: manager.check_permission(unknown, "bash", {}),
    ):
        with pytest.raises(errors.SessionNotFound, match="'nobody'"):
            await operation("nobody")


async def test_an_id_in_use_is_refused_also_when_only_its_case_differs(manager: SessionManager, new_id: NewId) -> None:
    session_id = new_id()
    await manager.create_session(session_id)
    for taken in (session_id, session_id.upper()):
        with pytest.raises(errors.SessionExists) as refused:
            await manager.create_session(taken)
        assert refused.value.session_ids == (taken,)


async def test_a_bulk_create_with_ids_in_use_lists_them_and_creates_none(
    manager: SessionManager, new_id: NewId
) -> None:
    taken, fresh, other = new_id(), new_id(), new_id()
    await manager.create_sessions([taken, other])
    with pytest.raises(errors.SessionExists) as refused:
        await manager.create_sessions([fresh, taken, other])
    assert sorted(refused.value.session_ids) == sorted([taken, other])
    with pytest.raises(errors.SessionNotFound):
        await manager.get_session(fresh)


@pytest.mark.parametrize("bad", ["", ".hidden", "a..b", "a/b", "naïve", "x" * 129, "a b"])
async def test_an_invalid_id_is_refused_and_nothing_is_created_with_it(
    manager: SessionManager, new_id: NewId, bad: str
) -> None:
    good = new_id()
    with pytest.raises(errors.InvalidSessionId, match="Session ID"):
        await manager.create_sessions([good, bad])
    with pytest.raises(errors.SessionNotFound):
        await manager.get_session(good)


async def test_one_list_may_not_name_an_id_twice_nor_be_empty(manager: SessionManager, new_id: NewId) -> None:
    session_id = new_id()
    for wrong in ([session_id, session_id.upper()], []):
        with pytest.raises(errors.InvalidRequest):
            await manager.create_sessions(wrong)


async def test_a_configuration_that_cannot_work_is_refused_before_anything_is_written(
    manager: SessionManager, new_id: NewId
) -> None:
    session_id = new_id()
    with pytest.raises(errors.UnknownProvider, match="nosuch"):
        await manager.create_session(session_id, SessionConfig(model=LlmConfig.of("nosuch/model")))
    nowhere = SessionConfig(workspace="/no/such/directory")
    for config in (SessionConfig(workspace="relative/path"), nowhere, SessionConfig(parent_id="parent")):
        with pytest.raises(errors.InvalidConfig):
            await manager.create_session(session_id, config)
    with pytest.raises(errors.SessionNotFound):
        await manager.get_session(session_id)


async def test_the_same_create_command_gives_the_same_session_and_another_body_is_a_conflict(
    manager: SessionManager, new_id: NewId
) -> None:
    session_id = new_id()
    first = await manager.create_session(session_id, command_id=f"create-{session_id}")
    again = await manager.create_session(session_id, command_id=f"create-{session_id}")
    assert again.journal_id == first.journal_id
    with pytest.raises(errors.CommandConflict):
        await manager.create_session(session_id, SessionConfig(name="other"), command_id=f"create-{session_id}")


async def test_destroying_an_unknown_session_is_no_error(manager: SessionManager, new_id: NewId) -> None:
    assert await manager.destroy_session(new_id()) is False


async def test_a_destroyed_session_is_gone_at_once(manager: SessionManager, new_id: NewId) -> None:
    session = await manager.create_session(new_id())
    await session.generate("hello")
    assert await manager.destroy_session(session.session_id) is True
    with pytest.raises(errors.SessionNotFound):
        await manager.get_session(session.session_id)
    with pytest.raises(errors.SessionNotFound):
        await session.generate("hello")


async def test_a_repeated_destroy_command_gets_its_first_answer_and_spares_a_later_session_of_that_id(
    manager: SessionManager, new_id: NewId
) -> None:
    session_id = new_id()
    await manager.create_session(session_id)
    command_id = f"destroy-{session_id}"
    assert await manager.destroy_session(session_id, command_id=command_id) is True
    assert await manager.destroy_session(session_id, command_id=command_id) is True
    later = await manager.create_session(session_id)
    assert await manager.destroy_session(session_id, command_id=command_id) is True
    assert (await later.generate("still here")).text == "still here"


async def test_a_handle_to_a_destroyed_session_is_useless_when_its_id_is_used_again(
    manager: SessionManager, new_id: NewId
) -> None:
    old = await manager.create_session(new_id())
    await old.add_message("a secret of the first")
    await manager.destroy_session(old.session_id)
    new = await manager.create_session(old.session_id)
    for operation in (old.info, old.history, old.pause, old.turns, lambda: old.generate("hello")):
        with pytest.raises(errors.SessionNotFound):
            await operation()
    assert await new.history() == ()


async def test_destroying_a_running_session_ends_its_waiters_its_readers_and_its_processes(
    manager: SessionManager, new_id: NewId, tmp_path: Path, permissive: SessionConfig
) -> None:
    session = await manager.create_session(new_id(), permissive.changed(workspace=str(tmp_path)))
    waiter = asyncio.create_task(session.generate(GATED))
    reader = asyncio.create_task(_read_on(session.session_id, manager))
    await event_of(session, ToolCallStarted)
    await until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text() != "", what="the tool runs")
    pid = int((tmp_path / "pid").read_text())
    assert alive(pid)
    async with asyncio.timeout(LONG_S):
        assert await manager.destroy_session(session.session_id)
        for task in (waiter, reader):
            with pytest.raises(errors.SessionNotFound):
                await task
    await until(lambda: not alive(pid), what="the tool's process outlived its session")


async def _read_on(session_id: str, manager: SessionManager) -> None:
    async for _ in manager.events(session_id, follow=True):
        pass


async def test_counts_and_listings_follow_create_and_destroy(manager: SessionManager, new_id: NewId) -> None:
    before = await manager.session_count()
    prefix = new_id()
    ids = [f"{prefix}-{number}" for number in range(5)]
    await manager.create_sessions(ids, SessionConfig(name=prefix))
    assert await manager.session_count() == before + 5
    assert await manager.load_all_sessions() == before + 5
    assert {one.session_id for one in await manager.get_all_sessions()} >= set(ids)
    await manager.destroy_session(ids[0])
    assert await manager.session_count() == before + 4
    found = await manager.list_sessions(name_contains=prefix)
    assert {info.session_id for info in found.items} == set(ids[1:])


async def test_a_listing_is_read_page_by_page_without_gaps_or_repeats(manager: SessionManager, new_id: NewId) -> None:
    prefix = new_id()
    ids = {f"{prefix}-{number}" for number in range(7)}
    await manager.create_sessions(sorted(ids), SessionConfig(name=prefix))
    seen: list[str] = []
    cursor: str | None = None
    for _ in range(3):
        page = await manager.list_sessions(name_contains=prefix, limit=3, after=cursor)
        seen += [info.session_id for info in page.items]
        cursor = page.next
    assert cursor is None
    assert sorted(seen) == sorted(ids)


async def test_a_listing_shows_the_states_that_are_asked_for(manager: SessionManager, new_id: NewId) -> None:
    prefix = new_id()
    await manager.create_sessions([f"{prefix}-a", f"{prefix}-b"], SessionConfig(name=prefix))
    await manager.pause_session(f"{prefix}-a")
    paused = await manager.list_sessions(name_contains=prefix, state="paused")
    idle = await manager.list_sessions(name_contains=prefix, state="active", activity="idle")
    assert [info.session_id for info in paused.items] == [f"{prefix}-a"]
    assert [info.session_id for info in idle.items] == [f"{prefix}-b"]


@pytest.mark.parametrize("limit", [0, 1001])
async def test_a_page_has_one_to_a_thousand_sessions(manager: SessionManager, limit: int) -> None:
    with pytest.raises(errors.InvalidRequest, match="1 to 1000"):
        await manager.list_sessions(limit=limit)


async def test_a_message_that_was_added_is_read_through_any_handle(manager: SessionManager, new_id: NewId) -> None:
    session = await manager.create_session(new_id())
    await session.add_message("one")
    await manager.add_message(session.session_id, Message.assistant("two"))
    other = await manager.restore_session_by_id(session.session_id)
    assert [message.text for message in await other.history()] == ["one", "two"]
    assert (await other.context_usage()).turns == 2
