"""Forks of sessions: what goes on in them, what stays with their source, and that neither disturbs the other."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from actors.domain import records as r
from actors.domain.calls import Outcome
from actors.domain.llm import LlmConfig
from actors.domain.messages import TokenUsage
from actors.domain.session import Activity, SessionConfig, SessionState
from actors.errors import CommandConflict, InvalidRequest, InvalidSessionId, SessionExists, SessionNotFound
from actors.manager import SessionManager
from actors.manager_race import ForkResult
from actors.session.forking import fork_of_row, fork_of_state
from actors.session.projection import project
from actors.session.state import from_snapshot
from actors.storage.verify import Verification
from tests.unit.local.runtimes import asking, calls, config, record_of, records, runtime, says, types

ECHO = LlmConfig(provider="scripted", model="echo")
PROMPT = LlmConfig(provider="scripted", model="prompt")
_TOOK = TokenUsage(prompt_tokens=8, completion_tokens=2, total_tokens=10, cache_read_tokens=3)
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


@pytest.mark.parametrize("stored", [False, True])
async def test_usage_is_inherited_and_shown_as_such_and_counted_once(stored: bool, tmp_path: Path) -> None:
    values: dict[str, Any] = {"store": str(tmp_path)} if stored else {}
    async with await SessionManager.local("scripted/echo", **values) as manager:
        source = await manager.create_session("s", config(says("yes", usage=_TOOK.model_dump())))
        await source.generate("first")
        then = await source.info()
        await source.generate("second")
        fork = await manager.fork_session("s", "f", name="Other")
        early = await manager.fork_session("s", "e", at=then.head_seq)
        assert (await fork.info()).usage == (await fork.info()).inherited_usage == (await source.info()).usage
        await fork.generate("third")
        of_fork = await manager.fork_session("f", "g")
        await of_fork.generate("fourth")

        rows = [await one.info() for one in (source, early, fork, of_fork)]
        assert [row.usage.total_tokens for row in rows] == [20, 10, 30, 40]
        assert [row.inherited_usage.total_tokens for row in rows] == [0, 10, 20, 30]
        assert rows[1].inherited_usage == then.usage
        assert (await records(fork, r.SessionForked))[0].data.usage == rows[2].inherited_usage
        for row in rows:
            await _fits(manager, row.session_id)

        own = [(await manager.tree(row.session_id)).usage for row in rows]
        assert [one.total_tokens for one in own] == [20, 0, 10, 10]
        assert [(await manager.usage(row.session_id, tree=True)).total.usage.total_tokens for row in rows] == [
            20,
            0,
            10,
            10,
        ]
        total = (await manager.usage()).total
        assert (total.calls, total.usage) == (4, sum(own, TokenUsage()))


async def test_money_is_inherited_as_tokens_are() -> None:
    async with runtime() as manager:
        source = await manager.create_session("s", config(says("yes")))
        row = (await source.info()).model_copy(update={"cost_usd": "0.30"})
        store = manager._runtime.store  # pyright: ignore[reportPrivateUsage] - scripted models have no price
        snapshot = await store.state(manager.tenant, row.journal_id)
        state = from_snapshot(snapshot.body).model_copy(update={"cost": Decimal("0.30")})
        data = r.SessionForked.Data(journal_id="J", source_journal_id=row.journal_id, source_session_id="s", name="f")

        by_row = fork_of_row(row, data, "f", row.updated_at, "c").row
        by_state = fork_of_state(state, data, "f", row.updated_at, "c").row

        assert (by_row.cost_usd, by_row.inherited_cost_usd) == ("0.30", "0.30")
        assert by_row.model_copy(update={"epoch": by_state.epoch}) == by_state
        await store.create(manager.tenant, "c", "d", [fork_of_row(row, data, "f", row.updated_at, "c")])
        assert Decimal((await manager.tree("f")).cost_usd) == 0


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


# --- many at once ----------------------------------------------------------------------------------------------------


async def _sessions(manager: SessionManager) -> set[str]:
    return {one.session_id for one in await manager.get_all_sessions()}


async def test_alternatives_answer_side_by_side_and_all_are_kept() -> None:
    async with runtime() as manager:
        source = await manager.create_session("s", SessionConfig(model=ECHO))
        await source.generate("first")

        results = await manager.fork_many("s", ["a", "b", "c"])

        assert [(one.outcome, one.text, one.kept) for one in results] == [("completed", text, True) for text in "abc"]
        assert await _sessions(manager) == {"s", *(one.session_id for one in results)}
        assert len(await source.history()) == 2
        assert len(await manager.history(results[0].session_id)) == 4


async def test_the_first_that_completes_is_kept_and_the_others_are_cancelled_and_gone() -> None:
    async with runtime() as manager:
        await manager.create_session("s", SessionConfig(model=PROMPT))

        results = await manager.fork_many("s", ["/sleep 600", "/fail rejected", "/say here"], join="first")

        assert [one.kept for one in results] == [False, False, True]
        assert (results[0].outcome, results[2].text) == ("lost", "here")
        assert await _sessions(manager) == {"s", results[2].session_id}


async def test_when_nobody_completes_the_reasons_are_told_and_nothing_stays() -> None:
    async with runtime() as manager:
        await manager.create_session("s", SessionConfig(model=LlmConfig(provider="scripted", model="nonsense")))

        results = await manager.fork_many("s", "go", n=2, join="first")

        assert [(one.outcome, one.kept) for one in results] == [("failed", False)] * 2
        assert all(one.code and one.error for one in results)
        assert await _sessions(manager) == {"s"}


@pytest.mark.parametrize(("chosen", "left"), [(1, {"bb"}), (None, set[str]())])
async def test_a_chooser_sees_all_answers_and_keeps_one_or_none(chosen: int | None, left: set[str]) -> None:
    async with runtime() as manager:
        await manager.create_session("s", SessionConfig(model=ECHO))
        seen: list[str] = []

        def choose(results: Sequence[ForkResult]) -> int | None:
            seen.extend(one.text for one in results)
            return chosen

        results = await manager.fork_many("s", ["a", "bb", "c"], join=choose)

        assert seen == ["a", "bb", "c"]
        assert {one.text for one in results if one.kept} == left
        assert await _sessions(manager) == {"s", *(one.session_id for one in results if one.kept)}


async def test_a_call_that_is_given_again_finds_its_forks_and_cleans_up() -> None:
    async with runtime() as manager:
        await manager.create_session("s", SessionConfig(model=ECHO))

        def dies(_: Sequence[ForkResult]) -> int | None:
            raise RuntimeError("the driver died")

        with pytest.raises(RuntimeError):
            await manager.fork_many("s", ["a", "b"], join=dies, command_id="k")
        assert await manager.session_count() == 3

        results = await manager.fork_many("s", ["a", "b"], join=lambda _: 0, command_id="k")
        again = await manager.fork_many("s", ["a", "b"], join=lambda _: 0, command_id="k")

        assert [one.text for one in results] == ["a", "b"]
        assert [one.outcome for one in again] == ["completed", "lost"]
        assert await manager.session_count() == 2
        assert len(await manager.turns(results[0].session_id)) == 1


async def test_a_fork_without_an_answer_in_time_is_pending() -> None:
    async with runtime() as manager:
        await manager.create_session("s", SessionConfig(model=PROMPT))

        (one,) = await manager.fork_many("s", ["/sleep 600"], timeout=0)

        assert (one.outcome, one.kept) == ("pending", True)


async def test_a_race_that_is_not_over_in_time_keeps_all_and_goes_on_by_its_id() -> None:
    async with runtime() as manager:
        await manager.create_session("s", SessionConfig(model=PROMPT))
        prompts = ["/sleep 600", "/sleep 0.3\n/say here"]

        early = await manager.fork_many("s", prompts, join="first", timeout=0, command_id="k")
        assert [(one.outcome, one.kept) for one in early] == [("pending", True)] * 2

        late = await manager.fork_many("s", prompts, join="first", command_id="k")
        assert [(one.outcome, one.kept) for one in late] == [("lost", False), ("completed", True)]
        assert await _sessions(manager) == {"s", late[1].session_id}


@pytest.mark.parametrize(("prompts", "n"), [([], None), ("go", None), (["go"], 2), ("go", 257), ([" "], None)])
async def test_prompts_that_make_no_sense_are_refused(prompts: str | list[str], n: int | None) -> None:
    async with runtime() as manager:
        await manager.create_session("s", SessionConfig())
        with pytest.raises(InvalidRequest):
            await manager.fork_many("s", prompts, n=n)
        assert await manager.session_count() == 1
