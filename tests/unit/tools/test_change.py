from __future__ import annotations

import asyncio
import hashlib
import os
import stat
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from actors.domain.calls import Verdict
from actors.domain.tools import EffectClass
from actors.errors import PathOutsideWorkspace, ToolError
from actors.tools.base import ToolContext
from actors.tools.change import EditTool, WriteTool

from .conftest import MakeContext


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


async def _edit(ctx: ToolContext, old: str, new: str, **more: Any) -> str:
    args = {"file_path": "f", "old_string": old, "new_string": new} | more
    return (await EditTool().run(args, ctx)).content


async def test_write_makes_the_directories_on_the_way_and_tells_what_it_wrote(
    workspace: Path, context: MakeContext
) -> None:
    outcome = await WriteTool().run({"file_path": "a/b/c.txt", "content": "one\ntwo"}, context())

    assert (workspace / "a/b/c.txt").read_text() == "one\ntwo"
    assert outcome.content == "Wrote 7 bytes (2 lines) to a/b/c.txt."
    assert outcome.metadata == {
        "file_path": "a/b/c.txt",
        "bytes": 7,
        "before_sha256": None,
        "after_sha256": _sha("one\ntwo"),
        "before": None,
        "after": "one\ntwo",
    }


@pytest.mark.parametrize("name", ["\N{CJK UNIFIED IDEOGRAPH-4E2D}" * 80, "a" * 255])
async def test_a_name_may_be_as_long_as_the_file_system_allows(
    workspace: Path, context: MakeContext, name: str
) -> None:
    await WriteTool().run({"file_path": name, "content": "kept"}, context())

    assert os.listdir(workspace) == [name]
    assert (workspace / name).read_text() == "kept"


async def test_write_replaces_a_file_and_keeps_its_mode(workspace: Path, context: MakeContext) -> None:
    (workspace / "f").write_text("old")
    (workspace / "f").chmod(0o750)

    outcome = await WriteTool().run({"file_path": "f", "content": "new"}, context())

    assert (workspace / "f").read_text() == "new"
    assert stat.S_IMODE((workspace / "f").stat().st_mode) == 0o750
    assert outcome.metadata["before_sha256"] == _sha("old")
    assert os.listdir(workspace) == ["f"]


async def test_write_through_a_link_changes_the_target_inside_and_nothing_outside(
    workspace: Path, context: MakeContext, tmp_path: Path
) -> None:
    (tmp_path / "outside").write_text("safe")
    (workspace / "in").symlink_to("target")
    (workspace / "out").symlink_to(tmp_path / "outside")

    await WriteTool().run({"file_path": "in", "content": "x"}, context())
    with pytest.raises(PathOutsideWorkspace):
        await WriteTool().run({"file_path": "out", "content": "x"}, context())

    assert (workspace / "in").is_symlink()
    assert (workspace / "target").read_text() == "x"
    assert (tmp_path / "outside").read_text() == "safe"


async def test_large_texts_are_hashed_and_not_copied_into_the_metadata(context: MakeContext) -> None:
    outcome = await WriteTool().run({"file_path": "f", "content": "x" * 10_000}, context())

    assert outcome.metadata["after_sha256"] == _sha("x" * 10_000)
    assert "after" not in outcome.metadata


async def test_half_a_surrogate_pair_is_refused(context: MakeContext) -> None:
    with pytest.raises(ToolError, match="not valid Unicode"):
        await WriteTool().run({"file_path": "f", "content": "\ud800"}, context())


async def test_a_directory_cannot_be_written(workspace: Path, context: MakeContext) -> None:
    (workspace / "d").mkdir()

    with pytest.raises(ToolError, match="is a directory"):
        await WriteTool().run({"file_path": "d", "content": "x"}, context())
    assert os.listdir(workspace) == ["d"]


async def test_the_hashes_are_known_before_the_file_changes(workspace: Path, context: MakeContext) -> None:
    (workspace / "f").write_text("old")
    seen: list[tuple[Mapping[str, Any], str]] = []

    async def record(facts: Mapping[str, Any]) -> None:
        seen.append((facts, (workspace / "f").read_text()))

    await _edit(context(record=record), "old", "new")

    ((facts, content),) = seen
    assert content == "old"
    assert (facts["before_sha256"], facts["after_sha256"]) == (_sha("old"), _sha("new"))


async def test_a_call_that_dies_between_record_and_rename_leaves_the_old_file(
    workspace: Path, context: MakeContext
) -> None:
    (workspace / "f").write_text("old")

    async def record(facts: Mapping[str, Any]) -> None:
        raise OSError(5, "the disk is gone")

    with pytest.raises(ToolError):
        await _edit(context(record=record), "old", "new")

    assert (workspace / "f").read_text() == "old"
    assert os.listdir(workspace) == ["f"]


async def test_edit_replaces_a_unique_text(workspace: Path, context: MakeContext) -> None:
    (workspace / "f").write_bytes(b"a\xffb old c")

    assert await _edit(context(), "old", "new") == "Replaced 1 occurrence in f."
    assert (workspace / "f").read_bytes() == b"a\xffb new c"


async def test_edit_refuses_an_ambiguous_text_unless_all_are_meant(workspace: Path, context: MakeContext) -> None:
    (workspace / "f").write_text("x x x")

    with pytest.raises(ToolError, match="occurs 3 times"):
        await _edit(context(), "x", "y")
    assert (workspace / "f").read_text() == "x x x"

    assert await _edit(context(), "x", "y", replace_all=True) == "Replaced 3 occurrences in f."
    assert (workspace / "f").read_text() == "y y y"


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("", "x", "must not be empty"),
        ("absent", "x", "was not found"),
        ("same", "same", "nothing to change"),
        ("same\n", "x", "CR LF"),
    ],
)
async def test_edit_says_why_it_does_not_fit(
    workspace: Path, context: MakeContext, old: str, new: str, sentence: str
) -> None:
    (workspace / "f").write_bytes(b"same\r\n")

    with pytest.raises(ToolError, match=sentence):
        await _edit(context(), old, new)


async def test_edit_of_a_missing_file_is_an_error(context: MakeContext) -> None:
    with pytest.raises(ToolError, match="There is no file"):
        await _edit(context(), "a", "b")


async def test_edit_does_not_overwrite_what_somebody_wrote_in_between(workspace: Path, context: MakeContext) -> None:
    (workspace / "f").write_text("old")

    async def record(facts: Mapping[str, Any]) -> None:
        (workspace / "f").write_text("somebody else's")

    with pytest.raises(ToolError, match="changed by somebody else"):
        await _edit(context(record=record), "old", "new")
    assert (workspace / "f").read_text() == "somebody else's"


async def test_a_cancelled_edit_changes_nothing_afterwards(workspace: Path, context: MakeContext) -> None:
    (workspace / "f").write_text("old")
    task = asyncio.create_task(_edit(context(), "old", "new"))
    # One step: the thread is started, and the task waits for it.
    await asyncio.sleep(0)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    at_the_end = (workspace / "f").read_text()

    assert at_the_end in {"old", "new"}
    assert os.listdir(workspace) == ["f"]


async def test_an_edit_that_was_cancelled_too_late_says_that_it_was_done(
    workspace: Path, context: MakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    (workspace / "f").write_text("old")
    renaming, cancelled = threading.Event(), threading.Event()
    rename = os.rename

    def slow(*args: Any, **kwargs: Any) -> None:
        renaming.set()
        cancelled.wait(5.0)
        rename(*args, **kwargs)

    monkeypatch.setattr(os, "rename", slow)
    task = asyncio.create_task(_edit(context(), "old", "new"))
    await asyncio.to_thread(renaming.wait, 5.0)
    task.cancel()
    await asyncio.sleep(0)
    cancelled.set()

    assert await task == "Replaced 1 occurrence in f."
    assert (workspace / "f").read_text() == "new"


EDIT: dict[str, Any] = {"file_path": "f", "old_string": "a", "new_string": "aa"}
FACTS: dict[str, Any] = {"before_sha256": _sha("a"), "after_sha256": _sha("aa"), "replacements": 1}


@pytest.mark.parametrize(
    ("content", "verdict"),
    [("a", Verdict.not_done), ("aa", Verdict.done), ("b", Verdict.unclear), (None, Verdict.unclear)],
)
async def test_the_file_tells_whether_an_edit_took_effect(
    workspace: Path, context: MakeContext, content: str | None, verdict: Verdict
) -> None:
    if content is not None:
        (workspace / "f").write_text(content)

    assert (await EditTool().reconcile(EDIT, context(recorded=FACTS))).verdict is verdict


async def test_the_outcome_of_an_edit_is_the_one_that_was_lost(workspace: Path, context: MakeContext) -> None:
    recorded: dict[str, Any] = {}

    async def record(facts: Mapping[str, Any]) -> None:
        recorded.update(facts)

    (workspace / "f").write_text("a")
    done = await EditTool().run(EDIT, context(record=record))
    found = (await EditTool().reconcile(EDIT, context(recorded=recorded))).outcome

    assert found is not None
    assert (found.outcome, found.content) == (done.outcome, done.content)
    assert found.metadata == {key: done.metadata[key] for key in recorded}


@pytest.mark.parametrize("tool", [EditTool(), WriteTool()])
@pytest.mark.parametrize("content", ["a", "aa", None])
async def test_what_was_not_recorded_was_not_done(
    workspace: Path, context: MakeContext, tool: EditTool | WriteTool, content: str | None
) -> None:
    if content is not None:
        (workspace / "f").write_text(content)
    args = EDIT if isinstance(tool, EditTool) else {"file_path": "f", "content": "aa"}

    assert (await tool.reconcile(args, context())).verdict is Verdict.not_done


@pytest.mark.parametrize(
    ("before", "content", "verdict"),
    [
        (None, None, Verdict.not_done),
        (None, "aa", Verdict.done),
        (_sha("a"), "a", Verdict.not_done),
        (_sha("a"), "aa", Verdict.done),
        (_sha("a"), "b", Verdict.unclear),
        (_sha("a"), None, Verdict.unclear),
    ],
)
async def test_the_file_tells_whether_a_write_took_effect(
    workspace: Path, context: MakeContext, before: str | None, content: str | None, verdict: Verdict
) -> None:
    if content is not None:
        (workspace / "f").write_text(content)
    facts = {"before_sha256": before, "after_sha256": _sha("aa")}

    found = await WriteTool().reconcile({"file_path": "f", "content": "aa"}, context(recorded=facts))

    assert found.verdict is verdict


async def test_what_a_lost_attempt_has_left_beside_the_file_is_removed(workspace: Path, context: MakeContext) -> None:
    (workspace / "f").write_text("a")
    left = asyncio.Event()

    async def record(facts: Mapping[str, Any]) -> None:
        left.set()
        await asyncio.Event().wait()

    lost = asyncio.create_task(EditTool().run(EDIT, context(record=record)))
    await left.wait()
    assert len(os.listdir(workspace)) == 2
    # The thread of the lost attempt stands for a process that died: nothing of it goes on before the end.
    assert (await EditTool().reconcile(EDIT, context(recorded=FACTS))).verdict is Verdict.not_done

    assert os.listdir(workspace) == ["f"]
    lost.cancel()


def test_effect_classes_say_what_a_second_run_would_do() -> None:
    assert WriteTool.definition.effect is EffectClass.idempotent
    assert EditTool.definition.effect is EffectClass.unsafe


@pytest.mark.parametrize("path", ["link/pre-commit", "a/../link/pre-commit", "hook"])
async def test_no_link_leads_a_change_to_what_git_obeys(workspace: Path, context: MakeContext, path: str) -> None:
    hooks = workspace / ".git" / "hooks"
    hooks.mkdir(parents=True)
    (workspace / "a").mkdir()
    (workspace / "link").symlink_to(".git/hooks")
    (hooks / "pre-commit").write_text("old")
    (workspace / "hook").symlink_to("link/pre-commit")

    for tool, args in ((WriteTool(), {"content": "x"}), (EditTool(), {"old_string": "old", "new_string": "x"})):
        with pytest.raises(ToolError, match=r"leads to '.git/hooks/pre-commit' by a link"):
            await tool.run({"file_path": path} | args, context())

    assert (hooks / "pre-commit").read_text() == "old"
    await WriteTool().run({"file_path": ".git/hooks/pre-commit", "content": "x"}, context())
