"""Forks of sessions: what goes on in them, what stays with their source, and that neither disturbs the other."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.domain import records as r
from actors.domain.calls import Outcome
from actors.domain.session import Activity, SessionConfig, SessionState
from actors.errors import CommandConflict, InvalidRequest, InvalidSessionId, SessionExists, SessionNotFound
from actors.manager import SessionManager
from actors.session.projection import project
from actors.session.state import from_snapshot
from actors.storage.verify import Verification
from tests.unit.local.runtimes import asking, calls, config, record_of, records, runtime, says, types

_TWO = (calls(("ls", {}), text="Looking."), says("Done."))


async def _fits(manager: SessionManager, session_id: str) -> None:
    """The row of a session is the fold of its records."""
    row = await manager.get_info(session_id)
    snapshot = await manager._runtime.store.state(manager.tenant, row.journal_id)  # pyright: ignore[reportPrivateUsage] - readers have no row of a fold
    folded = project(from_snapshot(snapshot.body))
    assert folded.model_copy(update={"epoch": row.epoch}) == row


async def test_a_fork_goes_on_from_the_conversation_of_its_source() -> None:
    async with runtime() as manager:
        source = await manager.create_session("s", config(says("yes"), name="Plan", thinking_enabled=True))
        await source.generate("first")
        fork = await manager.fork_session("s", "f")
        await fork.generate("second")
        await source.generate("third")

        assert [one.text for one in await fork.history()] == ["first", "yes", "second", "yes"]
        assert [one.text for one in await source.history()] == ["first", "yes", "third", "yes"]
        info = await fork.info()
        assert (info.name, info.parent_id, info.parent_journal_id, info.turns) == ("Plan (fork)", "s", None, 2)
        assert (await fork.config()).thinking_enabled
        assert info.created_at >= (await source.info()).created_at
        await _fits(manager, "f")


async def test_usage_is_inherited_and_shown_as_such() -> None:
    async with runtime() as manager:
        source = await manager.create_session("s", config(says("yes")))
        await source.generate("first")
        fork = await manager.fork_session("s", "f", name="Other")

        usage = (await source.info()).usage
        (forked,) = await records(fork, r.SessionForked)
        assert (forked.data.usage, (await fork.info()).usage, (await fork.info()).name) == (usage, usage, "Other")


async def test_a_fork_of_an_earlier_place_has_what_was_there_then() -> None:
    async with runtime() as manager:
        source = await manager.create_session("s", config(says("yes"), system_prompt="Be brief."))
        await source.generate("first")
        then = (await source.info()).head_seq
        await source.set_system_prompt("Be long.")
        await source.generate("second")
        await source.clear()
        fork = await manager.fork_session("s", "f", at=then)

        assert [one.text for one in await fork.history()] == ["first", "yes"]
        assert (await fork.config()).system_prompt == "Be brief."
        assert [one.seq for one in await fork.records()] == list(range(1, then + 2))
        await _fits(manager, "f")


@pytest.mark.parametrize(
    ("kind", "ends"),
    [
        (r.ModelCallStarted, ["session.forked", "model.call.failed", "turn.cancelled"]),
        (r.ModelCallCompleted, ["session.forked", "tool.call.denied", "turn.cancelled"]),
        (r.ToolCallStarted, ["session.forked", "tool.call.completed", "turn.cancelled"]),
        (r.ToolCallCompleted, ["session.forked", "turn.cancelled"]),
    ],
)
async def test_a_turn_that_was_open_there_is_cancelled_in_the_fork(kind: type[r.RecordBase], ends: list[str]) -> None:
    async with runtime() as manager:
        source = await manager.create_session("s", config(*_TWO))
        await source.generate("go")
        (cut, *_) = await records(source, kind)
        fork = await manager.fork_session("s", "f", at=cut.seq)

        assert (await types(fork))[cut.seq :] == ends
        assert [turn.status for turn in await fork.turns()] == ["cancelled"]
        assert (await fork.info()).activity is Activity.idle
        for done in await records(fork, r.ToolCallCompleted):
            assert done.data.outcome is (Outcome.ok if kind is r.ToolCallCompleted else Outcome.unknown)
        await _fits(manager, "f")
        assert (await fork.generate("go on")).text
        assert (await source.generate("again")).text == "Done."


async def test_questions_inputs_and_a_pause_stay_with_the_source() -> None:
    async with runtime() as manager:
        source = await manager.create_session("s", asking(calls(("bash", {"command": "touch x"})), says("Done.")))
        await source.send("go")
        await record_of(source, r.ActionRequested)
        await source.send("next")
        await source.pause()
        fork = await manager.fork_session("s", "f")

        info = await fork.info()
        assert (info.state, info.activity, info.queued) == (SessionState.active, Activity.idle, 0)
        assert (await fork.actions(), await fork.pending_inputs()) == ((), ())
        assert len(await source.actions()) == len(await source.pending_inputs()) == 1
        await _fits(manager, "f")


async def test_children_of_the_source_are_none_of_the_fork() -> None:
    async with runtime() as manager:
        source = await manager.create_session("s", config(says("yes")))
        await source.spawn_many(["go"])
        await source.wait_children()
        fork = await manager.fork_session("s", "f")

        assert (len(await source.child_results()), await fork.child_results()) == (1, ())
        assert await manager.get_child_sessions("f") == []
        assert await manager.get_child_sessions("s") != ["f"]


async def test_a_command_id_of_the_source_is_free_in_the_fork() -> None:
    async with runtime() as manager:
        source = await manager.create_session("s", config(says("yes")))
        await source.generate("first", command_id="c")
        fork = await manager.fork_session("s", "f")

        await fork.generate("something else", command_id="c")

        assert len(await fork.history()) == 4


async def test_the_same_command_forks_once() -> None:
    async with runtime() as manager:
        source = await manager.create_session("s", config(says("yes")))
        first = await manager.fork_session("s", "f", command_id="k")
        await source.generate("meanwhile")

        assert (await manager.fork_session("s", "f", command_id="k")).journal_id == first.journal_id
        with pytest.raises(CommandConflict):
            await manager.fork_session("s", "g", command_id="k")


async def test_what_cannot_be_forked_is_refused_before_anything_happens() -> None:
    async with runtime() as manager:
        await manager.create_session("s", SessionConfig())
        for at in (0, 2):
            with pytest.raises(InvalidRequest, match="1 to 1"):
                await manager.fork_session("s", "f", at=at)
        with pytest.raises(InvalidRequest, match="256"):
            await manager.fork_session("s", "f", name="x" * 257)
        with pytest.raises(InvalidSessionId):
            await manager.fork_session("s", "no id")
        with pytest.raises(SessionNotFound):
            await manager.fork_session("nobody", "f")
        with pytest.raises(SessionExists):
            await manager.fork_session("s", "s")
        assert await manager.session_count() == 1


async def test_a_family_in_a_database_outlives_its_founder_and_verifies(tmp_path: Path) -> None:
    async def family() -> None:
        manager = await SessionManager.local(store=str(tmp_path))
        async with manager:
            source = await manager.create_session("s", config(says("yes")))
            await source.add_message("x" * 100_000)
            await source.generate("first")
            await manager.fork_session("s", "f")
            await manager.fork_session("f", "g", at=3)
            await manager.destroy_session("s")
            await manager.destroy_session("f")

    await family()
    assert [str(finding) for finding in Verification(tmp_path)] == []
    async with await SessionManager.local(store=str(tmp_path)) as manager:
        left = await manager.get_session("g")
        assert (await left.history())[0].text == "x" * 100_000
        assert (await left.generate("again")).text == "yes"
        await _fits(manager, "g")
        await manager.destroy_session("g")
    verification = Verification(tmp_path)
    assert ([str(finding) for finding in verification], verification.blobs) == ([], 0)
