"""Snapshots by hand, and sessions of which nothing stays."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from pathlib import Path

import pytest

from actors import SessionManager
from actors.domain.journal import StoredResult
from actors.domain.records import ModelCallStarted
from actors.domain.session import SessionConfig
from actors.errors import CommandConflict, SessionNotFound
from actors.session.state import from_snapshot
from actors.storage import sql_retention
from actors.storage.open import open_backend
from actors.storage.verify import Verification
from tests.unit.local.runtimes import config, record_of, runtime, says, script
from tests.unit.local.test_children import MODEL, Held

SECRET = "nobody may know this"
LARGE = f"{SECRET} {'x' * 100_000}"


def _files(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in directory.iterdir())


async def test_nothing_of_a_purged_session_is_left_in_any_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sql_retention, "AT_ONCE", 1)
    async with await SessionManager.local(store=str(tmp_path)) as manager:
        session = await manager.create_session("s", config(says(SECRET), system_prompt=SECRET))
        kept = await manager.create_session("t")
        await kept.add_message("this stays")
        for text in (SECRET, LARGE):
            await session.generate(text)
        await session.snapshot()
        await manager._runtime.store.put_result(  # pyright: ignore[reportPrivateUsage] - none of its calls overflows
            manager.tenant, session.journal_id, StoredResult("call", 1, SECRET.encode())
        )
        assert SECRET.encode() in _files(tmp_path)

        assert await manager.purge_session("s")

        assert SECRET.encode() not in _files(tmp_path)
        assert b"this stays" in _files(tmp_path)
        with pytest.raises(SessionNotFound):
            await session.history()
    verification = Verification(tmp_path)
    assert ([str(finding) for finding in verification], verification.blobs) == ([], 0)


async def test_what_forks_have_of_a_purged_session_goes_with_the_last_of_them(tmp_path: Path) -> None:
    async with await SessionManager.local(store=str(tmp_path)) as manager:
        session = await manager.create_session("s", config(says("yes")))
        await session.generate(LARGE)
        fork = await manager.fork_session("s", "f")
        await session.generate("of the source only")

        assert await manager.purge_session("s")

        assert b"of the source only" not in _files(tmp_path)
        assert (await fork.history())[0].text == LARGE
        assert (await fork.generate("again")).text == "yes"

        assert await manager.purge_session("f")
        assert SECRET.encode() not in _files(tmp_path)
    verification = Verification(tmp_path)
    assert ([str(finding) for finding in verification], verification.blobs) == ([], 0)


async def test_a_purged_fork_takes_nothing_from_its_family() -> None:
    async with runtime() as manager:
        session = await manager.create_session("s", config(says("yes")))
        await session.generate(LARGE)
        await manager.fork_session("s", "f")
        grandchild = await manager.fork_session("f", "g")

        assert await manager.purge_session("f")

        for left in (session, grandchild):
            assert (await left.history())[0].text == LARGE
            assert (await left.generate("again")).text == "yes"


async def test_a_purge_is_one_command_and_a_session_that_is_gone_stays_gone() -> None:
    async with runtime() as manager:
        await manager.create_session("s", command_id="born")

        assert await manager.purge_session("s", command_id="end")
        assert await manager.purge_session("s", command_id="end")
        assert not await manager.purge_session("s")
        with pytest.raises(CommandConflict):
            await manager.destroy_session("s", command_id="end")
        with pytest.raises(SessionNotFound):
            await manager.create_session("s", command_id="born")

        await manager.create_session("s")
        assert await manager.purge_session("s", command_id="end")
        assert await manager.session_count() == 1


async def test_whoever_waits_for_a_session_that_is_purged_learns_of_it() -> None:
    async with runtime() as manager:
        session = await manager.create_session("s", SessionConfig(model=script(says("never"), delay_s=600)))
        waiting = asyncio.ensure_future(session.generate("go"))
        await record_of(session, ModelCallStarted)

        assert await manager.purge_session("s")

        with pytest.raises(SessionNotFound):
            await waiting


async def test_a_snapshot_is_the_state_as_of_now_and_wakes_nobody(tmp_path: Path) -> None:
    async with await SessionManager.local(store=str(tmp_path)) as manager:
        session = await manager.create_session("s", config(says("yes")))
        await session.generate("hello")
        await session.hibernate()

        taken = await session.snapshot()

        assert taken.seq == (await session.info()).head_seq
        assert await session.snapshot() == taken
        assert (await session.resolve()).residency is None
        tenant, journal_id = manager.tenant, session.journal_id
        await manager.generate("s", "and again")
    backend = open_backend(str(tmp_path))
    kept = backend.snapshot(tenant, journal_id)
    backend.close()
    assert kept is not None
    assert (kept.seq, len(kept.body), sha256(kept.body).hexdigest()) == (taken.seq, taken.size, taken.digest)
    assert [entry.seq for entry in from_snapshot(kept.body).context] == [2, 5]


async def test_a_session_in_the_middle_of_a_turn_goes_on_from_a_snapshot_of_it(tmp_path: Path) -> None:
    held = Held()
    async with await SessionManager.local(MODEL, store=str(tmp_path), tools=[held.tool]) as manager:
        session = await manager.create_session("s", config())
        receipt = await session.send("/tool hold {}\n/say yes")
        await held.begun.wait()
        taken = await manager.snapshot("s")

        held.go.release()
        assert (await session.wait_turn(receipt)).text == "yes"
        assert (await session.snapshot()).seq > taken.seq


async def test_a_snapshot_of_nobody_is_refused() -> None:
    async with runtime() as manager:
        with pytest.raises(SessionNotFound):
            await manager.snapshot("nobody")
        session = await manager.create_session("s")
        await manager.destroy_session("s")
        with pytest.raises(SessionNotFound):
            await session.snapshot()
