"""The same command again: its first outcome, and nothing touched that it did not mean; another body is a conflict."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors import errors
from actors.domain import records as r
from actors.domain.budgets import Budget
from actors.domain.children import ChildSpec
from actors.domain.llm import LlmConfig
from actors.domain.session import SessionConfig
from actors.handle_actions import MAX_PAGE
from actors.manager import SessionManager
from tests.unit.local.runtimes import asking, calls, config, record_of, records, result_texts, runtime, says, session

_KEYED = LlmConfig.model_validate(
    {"provider": "openai", "model": "m", "base_url": "http://127.0.0.1:9", "api_key": "sk-canary"}
)


async def _family(manager: SessionManager, child: str) -> None:
    await manager.create_session("p", config(says("One.")))
    await manager.create_child_session("p", child)


async def test_a_family_is_left_whole_by_a_command_that_is_refused() -> None:
    async with runtime() as manager:
        await _family(manager, "c")
        await manager.create_session("other", config(says("One.")), command_id="K")
        await manager.destroy_session("nobody", command_id="D")
        for key, error in (
            ("bad\nid", errors.InvalidRequest),
            ("K", errors.CommandConflict),
            ("D", errors.CommandConflict),
        ):
            with pytest.raises(error):
                await manager.destroy_session("p", cascade=True, command_id=key)
        assert await manager.get_child_sessions("p") == ["c"]

        await manager.destroy_session("c", command_id="C")
        with pytest.raises(errors.CommandConflict):
            await manager.destroy_session("c", cascade=True, command_id="C")


async def test_the_end_of_a_family_again_is_answered_and_touches_nothing_of_a_later_one() -> None:
    async with runtime() as manager:
        await _family(manager, "c")
        assert await manager.destroy_session("p", cascade=True, command_id="D")
        assert await manager.destroy_session("p", cascade=True, command_id="D")
        await _family(manager, "c2")

        assert await manager.destroy_session("p", cascade=True, command_id="D")
        assert await manager.get_child_sessions("p") == ["c2"]
        assert await manager.destroy_session("p", cascade=True, command_id="D2")
        assert not await manager.destroy_session("c2")
        assert not await manager.destroy_session("p", cascade=True)


async def test_the_end_of_a_family_that_was_interrupted_goes_on_with_the_same_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with runtime() as manager:
        await _family(manager, "c")
        with monkeypatch.context() as broken:
            broken.setattr(manager, "_destroy", _interrupted)
            with pytest.raises(errors.StoreUnavailable):
                await manager.destroy_session("p", cascade=True, command_id="D")

        assert await manager.destroy_session("p", cascade=True, command_id="D")
        assert not await manager.destroy_session("c")


async def _interrupted(*_: object, **__: object) -> bool:
    raise errors.StoreUnavailable("it is gone")


async def test_the_same_command_with_a_key_is_the_same_in_the_next_runtime(tmp_path: Path) -> None:
    async def give(manager: SessionManager) -> list[str]:
        handle = await manager.get_session("s")
        await handle.configure(model_config=_KEYED, command_id="CFG")
        spec = ChildSpec(prompt="x", session_id="c1", config=SessionConfig(model=_KEYED))
        born = await handle.spawn_many([spec], command_id="SP")
        made = await handle.create_child("c2", SessionConfig(model=_KEYED), command_id="CH")
        return [one.journal_id for one in (*born, made)]

    store = f"sqlite:///{tmp_path}/g.db"
    async with runtime(store=store) as manager:
        await manager.create_session("s", config(says("One.")))
        first = await give(manager)
        assert await give(manager) == first
    async with runtime(store=store) as manager:
        assert await give(manager) == first
        handle = await manager.get_session("s")
        with pytest.raises(errors.CommandConflict):
            await handle.configure(model_config=_KEYED.model_copy(update={"model": "n"}), command_id="CFG")


async def test_one_child_is_made_once_by_one_command() -> None:
    async with runtime() as manager:
        await manager.create_session("p", config(says("One.")))
        child = await manager.create_child_session("p", "c", command_id="K")
        assert (await manager.create_child_session("p", "c", command_id="K")).journal_id == child.journal_id
        with pytest.raises(errors.CommandConflict):
            await manager.create_child_session("p", "d", command_id="K")
        with pytest.raises(errors.SessionExists):
            await manager.create_child_session("p", "c")


async def test_a_child_is_looked_at_before_it_is_born_and_its_key_is_in_no_record() -> None:
    async with session(config(says("One."), budget=Budget(tokens=1000))) as handle:
        for child_id in ("../../etc/passwd", "a\x00b", ""):
            with pytest.raises(errors.InvalidSessionId):
                await handle.create_child(child_id)
        with pytest.raises(errors.InvalidConfig):
            await handle.create_child("c", SessionConfig(workspace="relative"))
        with pytest.raises(errors.UnknownProvider):
            await handle.create_child("c", SessionConfig(model="nobody/x"))
        assert (await handle.info()).head_seq == 1

        await handle.create_child("c", SessionConfig(model=_KEYED))
        assert all("sk-canary" not in record.model_dump_json() for record in await handle.records(limit=MAX_PAGE))


async def test_how_forks_are_joined_is_looked_at_before_there_are_any() -> None:
    async with runtime() as manager:
        await manager.create_session("s", config(says("One.")))
        with pytest.raises(errors.InvalidRequest, match="join"):
            await manager.fork_many("s", ["x", "y"], join="frist")  # pyright: ignore[reportArgumentType] - as from JSON
        assert [one.session_id for one in (await manager.list_sessions()).items] == ["s"]


async def test_an_action_that_is_settled_says_so_however_many_came_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.handle_actions.MAX_PAGE", 2)
    uses = [("bash", {"command": f"touch {number}"}) for number in range(4)]
    async with session(asking(calls(*uses), says("Done."))) as handle:
        receipt = await handle.send("go")
        await record_of(handle, r.ActionRequested, count=len(uses))
        ids = [one.data.action_id for one in await records(handle, r.ActionRequested)]
        for action_id in ids:
            await handle.resolve_action(action_id, "reject")
        await handle.wait_turn(receipt)

        assert len(result_texts(await handle.history())) == len(uses)
        for action_id in ids:
            with pytest.raises(errors.ActionSettled):
                await handle.resolve_action(action_id, "approve")
        with pytest.raises(errors.ActionNotFound):
            await handle.resolve_action("act_of_nobody", "approve")


@pytest.mark.parametrize("lease_s", [float("inf"), float("nan"), 1e300, 0.0, -1.0])
async def test_a_claim_of_no_length_is_refused(lease_s: float) -> None:
    async with session(config(says("One."))) as handle:
        with pytest.raises(errors.InvalidRequest, match="lease_s"):
            await handle.lease_external_task("task_" + "0" * 20, worker="w", lease_s=lease_s)


async def test_values_that_are_no_json_are_called_so() -> None:
    deep: dict[str, object] = {}
    for _ in range(3000):
        deep = {"a": deep}
    async with session(config(says("One."))) as handle:
        with pytest.raises(errors.InvalidRequest, match="more than 64 levels"):
            await handle.resolve_action("act_1", "approve", args=deep)
        with pytest.raises(errors.InvalidRequest, match="cannot be written as JSON"):
            await handle.resolve_action("act_1", "approve", args={"command": object()})
        with pytest.raises(errors.InvalidRequest, match="surrogate"):
            await handle.resolve_action("act_1", "approve", args={"command": "\ud800"})
