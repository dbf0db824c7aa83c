"""Sessions as documents: out of a store and into another, with everything that is not under way."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import Any

import pytest

from actors.domain import records as r
from actors.domain.archive import SessionArchive
from actors.domain.calls import Outcome
from actors.domain.llm import LlmConfig
from actors.domain.session import Activity, SessionConfig, SessionState
from actors.errors import (
    CommandConflict,
    InvalidConfig,
    InvalidRequest,
    InvalidSessionId,
    SessionExists,
    SessionNotFound,
    UnknownProvider,
)
from actors.manager import SessionManager
from actors.session.projection import project
from actors.session.state import from_snapshot
from actors.tools.function import tool
from tests.unit.local.runtimes import asking, calls, config, record_of, records, runtime, says


async def _moved(manager: SessionManager, session_id: str = "s") -> SessionArchive:
    """The document of a session that is gone from here."""
    document = await manager.export_session(session_id)
    await manager.destroy_session(session_id)
    return document


async def _fits(manager: SessionManager, session_id: str) -> None:
    """The row of a session is the fold of its records."""
    row = await manager.get_info(session_id)
    snapshot = await manager._runtime.store.state(manager.tenant, row.journal_id)  # pyright: ignore[reportPrivateUsage] - readers have no row of a fold
    assert project(from_snapshot(snapshot.body)).model_copy(update={"epoch": row.epoch}) == row


async def test_a_session_comes_back_as_it_was_and_is_exported_as_the_same_document() -> None:
    async with runtime() as manager:
        steps = (calls(("ls", {}), text="Looking."), says("x" * 100_000))
        before = await manager.create_session("s", config(*steps, name="Plan", metadata={"k": "v"}))
        await before.generate("first")
        await before.set_tasks([{"id": "1", "content": "Read"}])
        info, history = await before.info(), await before.history()

        document = await _moved(manager)
        after = await manager.import_session(document.model_dump_json())

        assert await after.history() == history
        assert await after.config() == await manager.get_config("s")
        assert [task.id for task in await after.tasks()] == ["1"]
        same = {"usage", "cost_usd", "turns", "messages", "created_at", "updated_at", "head_seq", "name"}
        assert (await after.info()).model_dump(include=same) == info.model_dump(include=same)
        assert (await after.info()).journal_id != info.journal_id
        assert await manager.export_session("s") == document
        await _fits(manager, "s")
        assert (await after.generate("second")).text == "x" * 100_000


async def test_a_copy_has_its_own_id_and_life() -> None:
    async with runtime() as manager:
        source = await manager.create_session("s", config(says("yes")))
        await source.generate("first")
        copy = await manager.import_session(await manager.export_session("s"), "copy")
        await copy.generate("second")

        assert len(await source.history()) == 2
        assert {one.session_id for one in await copy.records()} == {"copy"}
        await manager.destroy_session("s")
        assert len(await copy.history()) == 4


async def test_what_was_under_way_stays_where_it_was() -> None:
    async with runtime() as manager:
        steps = (calls(("ls", {}), ("write", {"file_path": "a", "content": "x"})), says("done"))
        source = await manager.create_session("s", asking(*steps))
        await source.send("go")
        await source.send("and then")
        await record_of(source, r.ActionRequested)
        copy = await manager.import_session(await manager.export_session("s"), "copy")

        info = await copy.info()
        assert (info.activity, info.open_turn, info.queued, info.state) == (Activity.idle, None, 0, SessionState.active)
        assert await copy.actions() == ()
        (imported,) = await records(copy, r.SessionImported)
        assert imported.data.origin == "greenroom.session"
        assert [one.data.code for one in await records(copy, r.ToolCallDenied)] == ["cancelled", "cancelled"]
        assert len(await records(copy, r.TurnCancelled)) == 1
        assert (await source.info()).activity is Activity.requires_action
        await _fits(manager, "copy")


async def test_a_call_that_had_begun_is_unknown_in_the_copy_and_runs_once() -> None:
    began, go = asyncio.Event(), asyncio.Event()
    runs: list[str] = []

    @tool(effect="unsafe")
    async def act(what: str) -> str:
        """Act."""
        runs.append(what)
        began.set()
        await go.wait()
        return what

    async with runtime(act) as manager:
        source = await manager.create_session("s", config(calls(("act", {"what": "once"})), says("done")))
        receipt = await source.send("go")
        await began.wait()
        copy = await manager.import_session(await manager.export_session("s"), "copy")
        (closed,) = await records(copy, r.ToolCallCompleted)
        go.set()
        await source.wait_turn(receipt)

        assert (closed.data.outcome, runs) == (Outcome.unknown, ["once"])


async def test_a_fork_and_a_child_are_taken_out_of_their_families() -> None:
    async with runtime() as manager:
        parent = await manager.create_session("p", config(says("yes")))
        await parent.generate("first")
        await manager.fork_session("p", "f")
        await manager.create_child_session("p", "c", config(says("yes")))
        fork = await manager.import_session(await _moved(manager, "f"))
        child = await manager.import_session(await _moved(manager, "c"))
        await manager.destroy_session("p")

        assert [one.text for one in await fork.history()] == ["first", "yes"]
        assert (await fork.info()).parent_id == "p"
        assert (await child.info()).parent_journal_id is None
        assert (await child.generate("hello")).text == "yes"
        assert (await manager.import_session(await manager.export_session("f"), "g")).session_id == "g"


async def test_the_same_command_imports_once_and_an_id_in_use_is_refused() -> None:
    async with runtime() as manager:
        await manager.create_session("s", config(says("yes")))
        document = await manager.export_session("s")

        first = await manager.import_session(document, "copy", command_id="k")
        again = await manager.import_session(document, "copy", command_id="k")

        assert first.journal_id == again.journal_id
        with pytest.raises(CommandConflict):
            await manager.import_session(document, "other", command_id="k")
        with pytest.raises(SessionExists):
            await manager.import_session(document)
        with pytest.raises(SessionNotFound):
            await manager.export_session("nobody")


async def test_no_key_and_no_name_of_one_is_in_a_document() -> None:
    async with runtime() as manager:
        model = LlmConfig(provider="openai", model="m", base_url="http://127.0.0.1:9", api_key="sk-canary")  # pyright: ignore[reportArgumentType] - pydantic makes the secret
        await manager.create_session("s", SessionConfig(model=model))
        await manager.configure("s", model_config=model.model_copy(update={"model": "n"}))
        named = await manager.get_config("s")
        document = await manager.export_session("s")
        forged = json.loads(document.model_dump_json())
        assert named.model is not None and named.model.credential_id is not None
        forged["records"][0]["data"]["config"]["model"]["credential_id"] = named.model.credential_id
        taken = await manager.import_session(forged, "t")

        assert "sk-canary" not in document.model_dump_json()
        assert named.model.credential_id not in document.model_dump_json()
        assert named.model.credential_id not in str([one.data for one in await taken.records()])


def _changed(document: SessionArchive, change: Any) -> dict[str, Any]:
    values = json.loads(document.model_dump_json())
    change(values)
    return values


def _costing(cost: str, document: Any) -> None:
    for record in document["records"]:
        if record["type"] == "model.call.completed":
            record["data"]["cost_usd"] = cost


async def test_damaged_documents_are_refused_and_nothing_is_written() -> None:
    async with runtime() as manager:
        source = await manager.create_session("s", config(says("y" * 100_000)))
        await source.generate("first")
        document = await _moved(manager)
        damages: list[Any] = [
            lambda v: v.update(format="other"),
            lambda v: v.update(version=2),
            lambda v: v.update(records=[]),
            lambda v: v["records"].pop(0),
            lambda v: v["records"].pop(1),
            lambda v: v["records"].reverse(),
            lambda v: v["records"][1].update(epoch=-1),
            lambda v: v["records"][-1].update(at="2001-01-01T00:00:00Z"),
            lambda v: v["records"][-1].update(at="9999-12-31T23:59:59Z"),
            lambda v: v["records"][-1].update(epoch=2**63 - 1),
            lambda v: v["records"][-1].update(seq=99),
            lambda v: v["records"][-1].update(type="nothing.known"),
            lambda v: v["records"][0]["data"].update(extra=1),
            lambda v: v.update(blobs={}),
            lambda v: v.update(blobs=dict.fromkeys(v["blobs"], "AAAA")),
            lambda v: v.update(blobs=dict.fromkeys(v["blobs"], "?")),
            lambda v: v.update(session_id="../etc"),
            *(partial(_costing, cost) for cost in ("NaN", "1e999999", "0e-999999", "-1", "1" * 65)),
        ]
        for damage in damages:
            with pytest.raises(InvalidRequest):
                await manager.import_session(_changed(document, damage))
        for text in ("", "[]", "null", "{}", "[" * 100_000, b"\xff"):
            with pytest.raises(InvalidRequest):
                await manager.import_session(text)
        with pytest.raises(InvalidSessionId):
            await manager.import_session(document, "a b")
        with pytest.raises(InvalidConfig):
            await manager.import_session(
                _changed(document, lambda v: v["records"][0]["data"]["config"].update(workspace="relative"))
            )
        with pytest.raises(UnknownProvider):
            await manager.import_session(
                _changed(document, lambda v: v["records"][0]["data"]["config"]["model"].update(provider="nobody"))
            )
        assert await manager.session_count() == 0
