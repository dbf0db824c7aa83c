"""Keys are in memory only: after a restart the turn waits in an action until its key is given again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr

from actors.domain import records as r
from actors.domain.actions import Action, ActionKind
from actors.domain.llm import LlmConfig
from actors.domain.records import encode_record
from actors.domain.session import Activity, SessionConfig
from actors.domain.turns import Receipt, TurnStatus
from actors.errors import ActionSettled, CredentialMissing, ModelAuthFailed, SessionNotFound, TurnPending
from actors.handle import SessionHandle
from actors.manager import SessionManager
from tests.unit.local.runtimes import LIMIT_S, config, record_of, records, runtime, says, script

KEY = "sk-CANARY-0xfeed"


def _keyed(*, delay_s: float = 0.0) -> LlmConfig:
    model = script(says("The end.", delay_s=delay_s))
    return model.model_copy(update={"api_key": SecretStr(KEY)})


def _url(folder: Path) -> str:
    return f"sqlite:///{folder / 'greenroom.db'}"


@asynccontextmanager
async def _restarted(folder: Path) -> AsyncGenerator[tuple[SessionManager, SessionHandle, Receipt, Action]]:
    """A runtime that was stopped in the middle of a model call, and started again without the key; the turn waits."""
    async with runtime(store=_url(folder)) as manager:
        one = await manager.create_session("s", config().model_copy(update={"model": _keyed(delay_s=60)}))
        receipt = await one.send("go")
        await record_of(one, r.ModelCallStarted)
    async with runtime(store=_url(folder)) as manager:
        one = await manager.get_session("s")
        await record_of(one, r.ActionRequested)
        (action,) = (await manager.actions()).items
        yield manager, one, receipt, action


async def test_after_a_restart_without_the_key_the_turn_waits_and_goes_on_once_it_is_given(tmp_path: Path) -> None:
    async with _restarted(tmp_path) as (manager, one, receipt, action):
        assert (action.kind, action.session_id, action.turn_id) == (ActionKind.credential, "s", "turn-1")
        assert (await one.info()).activity is Activity.requires_action
        assert [turn.status for turn in await one.turns()] == [TurnStatus.requires_action]
        with pytest.raises(TurnPending):
            await one.wait_turn(receipt, timeout=0)
        assert await manager.hibernate_session("s"), "it waits without a process"

        await one.configure(model_config=_keyed())

        result = await one.wait_turn(receipt)
        assert (result.text, result.turn_id) == ("The end.", "turn-1")
        (resolved,) = await records(one, r.ActionResolved)
        assert (resolved.data.resolution, resolved.data.by) == ("retry", "configuration")
        started = await records(one, r.ModelCallStarted)
        assert len({record.data.call_id for record in started}) == 1
        with pytest.raises(ActionSettled):
            await one.resolve_action(action.action_id, "reject")


def _files(folder: Path) -> list[str]:
    return [path.read_bytes().decode("latin-1") for path in folder.iterdir()]


async def test_the_key_is_in_no_file_no_record_no_event_no_error_and_no_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with _restarted(tmp_path) as (_, one, receipt, action):
        shown = [repr(action), action.model_dump_json()]
        await one.configure(model_config=_keyed())
        await one.wait_turn(receipt)
        shown += [encode_record(record).decode() for record in await one.records(limit=1000)]
        shown += [repr(await one.config()), repr(await one.info())]
    shown += await asyncio.to_thread(_files, tmp_path)
    shown += [str(CredentialMissing("openai/x", "cred_1")), caplog.text]
    assert not [text for text in shown if KEY in text]


async def test_a_retry_without_the_key_is_asked_about_again_and_a_rejected_turn_fails(tmp_path: Path) -> None:
    async with _restarted(tmp_path) as (_, one, receipt, action):
        await one.resolve_action(action.action_id, "retry")
        await record_of(one, r.ActionRequested, count=2)
        (again,) = await one.actions()
        assert again.action_id != action.action_id

        await one.resolve_action(again.action_id, "reject")

        with pytest.raises(CredentialMissing, match="configure") as failed:
            await one.wait_turn(receipt)
        assert isinstance(failed.value, ModelAuthFailed)
        assert failed.value.model == "scripted/script"


async def test_it_waits_through_another_restart_and_can_then_be_cancelled(tmp_path: Path) -> None:
    async with _restarted(tmp_path):
        pass
    async with runtime(store=_url(tmp_path)) as manager:
        (action,) = (await manager.actions(kind="credential")).items
        one = await manager.get_session("s")
        assert await one.cancel("enough")

        await record_of(one, r.TurnCancelled)
        assert (await manager.actions()).items == ()
        (resolved,) = await records(one, r.ActionResolved)
        assert (resolved.data.action_id, resolved.data.resolution) == (action.action_id, "cancelled")


async def test_a_session_that_waits_for_its_key_can_be_destroyed(tmp_path: Path) -> None:
    async with _restarted(tmp_path) as (manager, one, _, action):
        await manager.destroy_session("s")

        assert (await manager.actions()).items == ()
        with pytest.raises(SessionNotFound):
            await one.resolve_action(action.action_id, "retry")


async def test_a_key_for_the_default_model_wakes_those_that_wait_for_it_and_nobody_else(tmp_path: Path) -> None:
    stores = {"notes": str(tmp_path / "notes")}
    async with runtime(store=_url(tmp_path), stores=stores, llm=_keyed()) as manager:
        manager._runtime._keys.clear()  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue] - as when all who had it are gone
        theirs = SessionManager(manager._runtime, manager.settings, "theirs")  # pyright: ignore[reportPrivateUsage] - one runtime, two tenants
        asleep, resident = [await manager.create_session(name, SessionConfig()) for name in ("asleep", "resident")]
        foreign = await theirs.create_session("foreign", SessionConfig(), store="notes")
        own = await manager.create_session("own", SessionConfig(model=await manager.get_llm_for_session("asleep")))
        every = (asleep, foreign, resident, own)
        receipts = [await one.send("go") for one in every]
        for one in every:
            await record_of(one, r.ActionRequested)
        assert await asleep.hibernate()
        assert await foreign.hibernate()

        await manager.set_default_llm(_keyed())

        for one, receipt in zip(every[:3], receipts, strict=False):
            assert (await one.wait_turn(receipt)).text == "The end."
        assert [action.session_id for action in (await manager.actions()).items] == ["own"]


async def test_whoever_waits_for_the_turn_until_it_needs_somebody_is_told(tmp_path: Path) -> None:
    async with _restarted(tmp_path) as (_, one, receipt, _):
        with pytest.raises(TurnPending, match="waits for a decision"):
            async with asyncio.timeout(LIMIT_S):
                await one.wait_turn(receipt, until_action=True)
