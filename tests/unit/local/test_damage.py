"""Sessions of which something in the database cannot be read any more: they can be removed, and trouble nobody else."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from actors.domain.children import ChildOutcome, ChildSpec
from actors.domain.journal import Appended, Refused
from actors.errors import RowCorrupt, SessionNotFound, StoreError
from actors.manager import SessionManager
from actors.storage.open import open_backend
from actors.storage.service import StoreService
from tests.unit.local.runtimes import calls, config, runtime, says
from tests.unit.storage.samples import TENANT, journal, new, part

_JOURNAL = "journal_id = (SELECT journal_id FROM sessions WHERE session_id = 'bad')"
_ROWS = ("state = 'unheard of'", "budget = '{'", "wake_at = 9223372036854775807", "updated_at = 'never'")
_JOURNALS = (
    f"UPDATE records SET body = x'00' WHERE seq = 1 AND {_JOURNAL}",
    f"DELETE FROM records WHERE seq = 2 AND {_JOURNAL}",
)
DAMAGES = (*(f"UPDATE sessions SET {one} WHERE session_id = 'bad'" for one in _ROWS), *_JOURNALS)


def _damage(directory: Path, how: str) -> None:
    with closing(sqlite3.connect(directory / "greenroom.db", isolation_level=None)) as connection:
        assert connection.execute(how).rowcount == 1


async def _family(manager: SessionManager) -> None:
    """A session with a parent and a child, all of them asleep, and one that is none of them."""
    await manager.create_session("top", config(says("Yes.")))
    bad = await manager.create_child_session("top", "bad", config(says("Yes.")))
    await bad.generate("go")
    await manager.create_child_session("bad", "low", config(says("Yes.")))
    await manager.create_session("other", config(says("Yes.")))
    assert await bad.hibernate()


@pytest.mark.parametrize("how", DAMAGES)
async def test_a_session_of_which_something_cannot_be_read_is_removed_like_any_other(tmp_path: Path, how: str) -> None:
    async with runtime(store=str(tmp_path)) as manager:
        await _family(manager)
        _damage(tmp_path, how)

        assert await manager.destroy_session("bad")

        with pytest.raises(SessionNotFound):
            await manager.get_info("bad")
        await manager.create_session("bad", config(says("Anew.")))
        assert (await manager.generate("bad", "go")).text == "Anew."
        assert await manager.purge_session("bad")
        _damage(tmp_path, "UPDATE sessions SET state = 'unheard of' WHERE session_id = 'low'")
        assert await manager.purge_session("low")
        assert sorted(row.session_id for row in await manager.get_all_sessions()) == ["other", "top"]


@pytest.mark.parametrize("how", [DAMAGES[0], DAMAGES[-1]])
async def test_a_cascade_goes_through_what_cannot_be_read(tmp_path: Path, how: str) -> None:
    async with runtime(store=str(tmp_path)) as manager:
        await _family(manager)
        _damage(tmp_path, how)

        assert await manager.destroy_session("top", cascade=True)

        assert [row.session_id for row in await manager.get_all_sessions()] == ["other"]


async def test_a_parent_is_told_that_the_child_which_cannot_be_read_is_gone(tmp_path: Path) -> None:
    async with runtime(store=str(tmp_path)) as manager:
        top = await manager.create_session("top", config())
        asks = config(calls(("bash", {"command": "true"})), permission_policy=None)
        await top.spawn_many([ChildSpec(prompt="do it", session_id="bad", config=asks)])
        bad = await manager.get_session("bad")
        await bad.hibernate()
        _damage(tmp_path, DAMAGES[1])

        assert await manager.destroy_session("bad")

        (answer,) = await top.wait_children()
        assert (answer.child_id, answer.outcome) == ("bad", ChildOutcome.cancelled)


async def test_what_cannot_be_read_of_one_session_is_no_trouble_of_its_store(tmp_path: Path) -> None:
    async with runtime(store="memory:", stores={"notes": str(tmp_path)}) as manager:
        for name in ("bad", "good"):
            await manager.create_session(name, config(says("Yes.")), store="notes")
        _damage(tmp_path, "UPDATE sessions SET state = 'unheard of' WHERE session_id = 'bad'")
        manager._runtime.store._homes._names.clear()  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue] - as after a restart

        for _ in range(2):
            with pytest.raises(RowCorrupt, match="destroy the session"):
                await manager.get_info("bad")
            page = await manager.list_sessions()
            assert ([row.session_id for row in page.items], page.unavailable) == (["good"], ())
        assert (await manager.generate("good", "go")).text == "Yes."
        assert await manager.destroy_session("bad")


async def test_an_append_that_cannot_be_written_takes_none_of_its_commit_with_it(tmp_path: Path) -> None:
    async with StoreService(open_backend(str(tmp_path))) as store:
        for name in ("good", "bad", "fine"):
            await store.create(TENANT, name, "d", [new(name)])
            await store.acquire(TENANT, journal(name), 1, 1)
        await store.append(part("bad", 1))
        _damage(tmp_path, "UPDATE sessions SET head_seq = 1 WHERE session_id = 'bad'")

        first, lost, last = await store.append_all([part("good", 1), part("bad", 1, batch="new"), part("fine", 1)])

        assert first == last == Appended(3)
        assert isinstance(lost, Refused)
        assert len(await store.records(TENANT, journal("good"))) == 3


async def test_a_journal_without_its_end_keeps_nobody_from_reading_another(tmp_path: Path) -> None:
    async with runtime(store=str(tmp_path)) as manager:
        await _family(manager)
        head = (await manager.get_info("bad")).head_seq
    _damage(tmp_path, f"DELETE FROM records WHERE seq = {head} AND {_JOURNAL}")
    async with runtime(store=str(tmp_path)) as manager:
        bad = await manager.get_session("bad")
        for read in (bad.history, bad.tool_metrics, bad.security_report, bad.wait_children, bad.effects, bad.config):
            with pytest.raises(RowCorrupt, match="missing"):
                await read()
        with pytest.raises(RowCorrupt, match="missing"):
            await manager.export_session("bad")
        with pytest.raises(RowCorrupt, match="missing"):
            await bad.generate("go")

        assert await (await manager.get_session("other")).history() == ()
        assert (await manager.generate("other", "go")).text == "Yes."
        assert await manager.destroy_session("bad")


@pytest.mark.parametrize("how", ["body = x'7b'", "body = CAST('[]' AS BLOB)"])
async def test_a_snapshot_that_cannot_be_read_is_made_again_from_the_records(tmp_path: Path, how: str) -> None:
    async with runtime(store=str(tmp_path)) as manager:
        await manager.create_session("bad", config(says("Yes.")))
        await manager.generate("bad", "one")
        await manager.snapshot("bad")
    _damage(tmp_path, f"UPDATE snapshots SET {how}")
    async with runtime(store=str(tmp_path)) as manager:
        assert len(await manager.history("bad")) == 2
        assert (await manager.generate("bad", "two")).text == "Yes."
        assert len(await manager.history("bad")) == 4


async def test_what_was_spent_is_told_without_the_calls_that_cannot_be_read(tmp_path: Path) -> None:
    async with runtime(store=str(tmp_path)) as manager:
        await _family(manager)
        await manager.generate("other", "go")
        _damage(tmp_path, f"UPDATE records SET body = x'00' WHERE type = 'model.call.completed' AND {_JOURNAL}")

        assert (await manager.usage()).total.calls == 1


async def test_sessions_that_name_each_other_as_parents_are_gone_through_once(tmp_path: Path) -> None:
    async with runtime(store=str(tmp_path)) as manager:
        await _family(manager)
        _damage(
            tmp_path,
            "UPDATE sessions SET parent_journal_id = (SELECT journal_id FROM sessions WHERE session_id = 'low') "
            "WHERE session_id = 'bad'",
        )
        assert (await manager.actions("bad")).items == ()

        assert await manager.destroy_session("bad", cascade=True)

        assert sorted(row.session_id for row in await manager.get_all_sessions()) == ["other", "top"]


async def test_a_text_that_is_no_unicode_any_more_is_no_trouble_of_all_others(tmp_path: Path) -> None:
    async with runtime(store=str(tmp_path)) as manager:
        await _family(manager)
        _damage(tmp_path, "UPDATE sessions SET state = CAST(x'61ff' AS TEXT) WHERE session_id = 'bad'")

        assert len(await manager.get_all_sessions()) == 3
        with pytest.raises(StoreError, match="does not have the form"):
            await manager.get_info("bad")
        assert await manager.destroy_session("bad")
