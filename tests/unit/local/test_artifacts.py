"""Large results: kept whole beside the journal, shown by their ends, read on by the model and by people."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from actors.domain import records as r
from actors.domain.artifacts import MAX_SHOWN_BYTES, kept
from actors.errors import ArtifactNotFound, InvalidRequest
from actors.session import plan
from actors.storage.verify import Verification
from actors.tools.function import tool
from tests.unit.local.runtimes import calls, config, records, result_texts, runtime, says, session


def text(count: int) -> str:
    """So many lines."""
    return "".join(f"line {number}\n" for number in range(1, count + 1))


@tool(effect="pure")
async def flood(count: int) -> str:
    """Give so many lines."""
    return text(count)


MUCH = 50_000
ID = kept(text(MUCH), tool="", call_id="").artifact.artifact_id
FLOOD = calls(("flood", {"count": MUCH}))


def reading(**args: Any) -> dict[str, Any]:
    """An answer that reads on."""
    return calls(("read_artifact", {"artifact_id": ID, **args}))


async def test_a_large_result_is_shown_by_its_ends_and_kept_whole() -> None:
    async with session(config(FLOOD, says("Much.")), flood) as one:
        (shown,) = result_texts((await one.generate("go")).messages)
        (artifact,) = await one.artifacts()

        assert shown.startswith("line 1\nline 2\n") and shown.endswith(f"line {MUCH}\n")
        assert ID in shown and len(shown) < 32 * 1024
        assert (artifact.artifact_id, artifact.lines, artifact.tool) == (ID, MUCH, "flood")
        assert await one.read_artifact(ID) == text(MUCH).encode()
        assert await one.read_artifact(ID, start=5, length=8) == b"1\nline 2"
        assert await one.read_artifact(ID, start=artifact.size) == b""


async def test_a_result_that_a_model_can_read_is_shown_whole_and_not_kept_apart() -> None:
    @tool(effect="pure")
    async def just_fits() -> str:
        return "x" * MAX_SHOWN_BYTES

    async with session(config(calls(("just_fits", {})), says("Fine.")), just_fits) as one:
        assert result_texts((await one.generate("go")).messages) == ["x" * MAX_SHOWN_BYTES]
        assert await one.artifacts() == ()


async def test_the_model_reads_on_by_lines_by_search_and_by_bytes() -> None:
    steps = (FLOOD, reading(offset=20_000, limit=2), reading(find="line 4999"), reading(from_byte=0), says("Read."))
    async with session(config(*steps), flood) as one:
        lines, found, raw = result_texts((await one.generate("go")).messages)[1:]
        assert lines.splitlines()[:2] == [" 20001\tline 20001", " 20002\tline 20002"]
        assert [line.split("\t")[1] for line in found.splitlines()] == [
            "line 4999",
            *(f"line {n}" for n in range(49990, 50000)),
        ]
        assert raw.startswith("line 1\nline 2\n")
        assert len(await one.artifacts()) == 1


async def test_the_model_of_another_session_cannot_read_it_and_nobody_can_through_another_session() -> None:
    async with runtime(flood) as manager:
        await (await manager.create_session("s", config(FLOOD, says("Much.")))).generate("go")
        other = await manager.create_session("t", config(reading(), says("No.")))
        assert "no such artifact" in result_texts((await other.generate("go")).messages)[0]
        with pytest.raises(ArtifactNotFound):
            await other.read_artifact(ID)


async def test_the_same_result_is_kept_once() -> None:
    async with session(config(FLOOD, FLOOD, says("Twice.")), flood) as one:
        await one.generate("go")
        first, second = await records(one, r.ToolCallCompleted)
        assert first.data.artifact == second.data.artifact
        assert len(await one.artifacts()) == 1


async def test_what_a_session_has_no_room_for_is_not_kept_and_the_model_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("actors.domain.artifacts.MAX_ARTIFACTS", 1)
    async with session(config(FLOOD, calls(("flood", {"count": MUCH + 1})), says("Full.")), flood) as one:
        shown = result_texts((await one.generate("go")).messages)
        assert "not kept" in shown[1] and len(shown[1]) < 32 * 1024
        assert [artifact.artifact_id for artifact in await one.artifacts()] == [ID]


async def test_a_fork_has_them_when_its_source_is_gone_and_an_export_takes_them_along() -> None:
    async with runtime(flood) as manager:
        await (await manager.create_session("s", config(FLOOD, says("Much.")))).generate("go")
        fork = await manager.fork_session("s", "f")
        document = await manager.export_session("s")
        await manager.purge_session("s")
        assert await fork.read_artifact(ID) == text(MUCH).encode()
        await manager.purge_session("f")
        store = manager._runtime.store  # pyright: ignore[reportPrivateUsage] - what no session refers to cannot be asked for
        assert await store.blobs(manager.tenant, kept(text(MUCH), tool="", call_id="")[0].pieces) == {}
        again = await manager.import_session(document)
        assert await again.read_artifact(ID) == text(MUCH).encode()


async def test_verify_misses_a_piece_that_is_gone(tmp_path: Path) -> None:
    async with runtime(flood, store=str(tmp_path)) as manager:
        await (await manager.create_session("s", config(FLOOD, says("Much.")))).generate("go")
    piece = kept(text(MUCH), tool="", call_id="").artifact.pieces[0]
    assert not list(Verification(tmp_path))
    with closing(sqlite3.connect(tmp_path / "greenroom.db", isolation_level=None)) as connection:
        connection.execute("DELETE FROM blobs WHERE digest = ?", (piece,))
    assert any(piece in str(finding) for finding in Verification(tmp_path))


async def test_a_range_that_is_none_is_refused() -> None:
    async with session(config(FLOOD, says("Much.")), flood) as one:
        await one.generate("go")
        for wrong in ({"start": -1}, {"length": -1}):
            with pytest.raises(InvalidRequest):
                await one.read_artifact(ID, **wrong)


async def test_results_that_are_large_together_are_written_one_append_after_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(plan, "MAX_BLOB_BYTES", 100)
    both = calls(("flood", {"count": MUCH}), ("flood", {"count": MUCH + 1}))
    async with session(config(both, says("Both.")), flood) as one:
        shown = result_texts((await one.generate("go")).messages)
        assert [one.endswith(f"line {count}\n") for one, count in zip(shown, (MUCH, MUCH + 1), strict=True)] == [
            True,
            True,
        ]
        assert len(await one.artifacts()) == 2


async def test_clearing_the_context_leaves_them() -> None:
    async with session(config(FLOOD, says("Much.")), flood) as one:
        await one.generate("go")
        await one.clear()
        assert [artifact.artifact_id for artifact in await one.artifacts()] == [ID]
