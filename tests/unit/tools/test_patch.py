"""``patch``: diffs that are applied whole or not at all, and told from each other after a crash."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.domain.calls import Verdict
from actors.domain.tools import EffectClass
from actors.errors import PathOutsideWorkspace, ToolError
from actors.tools.base import ToolContext
from actors.tools.change import PatchTool
from actors.tools.diff import apply, parse

from .conftest import MakeContext

POEM = "one\ntwo\nthree\nfour\nfive\n"


async def _patch(ctx: ToolContext, diff: str, path: str = "f") -> str:
    return (await PatchTool().run({"file_path": path, "diff": diff}, ctx)).content


def _applied(text: str, diff: str) -> str:
    return apply(text.encode(), parse(diff.encode())).decode()


def _diff(old: str, new: str, context: int = 3) -> str:
    lines = difflib.unified_diff(old.splitlines(keepends=True), new.splitlines(keepends=True), "a/f", "b/f", n=context)
    return "".join(lines)


async def test_a_hunk_changes_the_lines_that_it_names(workspace: Path, context: MakeContext) -> None:
    (workspace / "f").write_text(POEM)
    told = await _patch(context(), "--- a/f\n+++ b/f\n@@ -2,2 +2,3 @@ poem\n two\n-three\n+THREE\n+and a half\n")
    assert told == "Applied 1 hunk to f."
    assert (workspace / "f").read_text() == "one\ntwo\nTHREE\nand a half\nfour\nfive\n"


async def test_headers_without_counts_are_about_one_line(workspace: Path, context: MakeContext) -> None:
    (workspace / "f").write_text(POEM)
    await _patch(context(), "@@ -1 +1 @@\n-one\n+ONE\n")
    assert (workspace / "f").read_text() == POEM.replace("one", "ONE")


@pytest.mark.parametrize(
    ("diff", "told"),
    [
        ("no diff at all", "has no hunk"),
        ("", "has no hunk"),
        ("@@ -1,2 +1,1 @@\n-one\n", "counts 2 old and 1 new lines, but 1 and 0 follow"),
        ("@@ -1 +1 @@\n-one\n+ONE\n two\n", "more than the header of its hunk counts"),
        ("@@ -1 +1 @@\n-one\n?\n+ONE\n", "begins with none of"),
        ("@@ -1 +1 @@\n-one\n+ONE\n--- a/g\n+++ b/g\n@@ -1 +1 @@\n-x\n+y\n", "more than one file"),
        ("@@ -3 +3 @@\n-three\n+3\n@@ -1 +1 @@\n-one\n+1\n", "begins before the one before it has ended"),
        ("@@ -2 +2 @@\n-three\n+3\n", "line 2 is 'two', and should be 'three'.*stand at line 3"),
        ("@@ -9 +9 @@\n-nine\n+9\n", "line 9 is the end of the file"),
        ("@@ -20,0 +20,1 @@\n+far away\n", "the end of the file"),
        ("@@ -1 +1 @@\n-one \n+1\n", "line 1 is 'one', and should be 'one '"),
    ],
)
async def test_a_diff_that_does_not_fit_changes_nothing_and_says_why(
    workspace: Path, context: MakeContext, diff: str, told: str
) -> None:
    (workspace / "f").write_text(POEM)
    with pytest.raises(ToolError, match=f"(?s){told}"):
        await _patch(context(), diff)
    assert (workspace / "f").read_text() == POEM


async def test_one_hunk_that_does_not_fit_keeps_the_others_from_being_applied(
    workspace: Path, context: MakeContext
) -> None:
    (workspace / "f").write_text(POEM)
    with pytest.raises(ToolError):
        await _patch(context(), "@@ -1 +1 @@\n-one\n+1\n@@ -4 +4 @@\n-vier\n+4\n")
    assert (workspace / "f").read_text() == POEM


async def test_a_new_file_is_made_with_its_directories(workspace: Path, context: MakeContext) -> None:
    await _patch(context(), "--- /dev/null\n+++ b/new\n@@ -0,0 +1,2 @@\n+first\n+second\n", "deep/new")
    assert (workspace / "deep/new").read_text() == "first\nsecond\n"


async def test_a_file_that_is_not_there_or_outside_is_refused(workspace: Path, context: MakeContext) -> None:
    with pytest.raises(ToolError, match="no file"):
        await _patch(context(), "@@ -1 +1 @@\n-one\n+1\n", "missing")
    with pytest.raises(PathOutsideWorkspace):
        await _patch(context(), "@@ -0,0 +1 @@\n+x\n", "../outside")
    assert os.listdir(workspace) == []


def test_ends_of_lines_stay_what_they_are_and_mixed_ones_are_refused() -> None:
    assert _applied("one\r\ntwo\r\n", "@@ -2 +2,2 @@\n-two\n+2\n+3\n") == "one\r\n2\r\n3\r\n"
    with pytest.raises(ToolError, match="both CR LF and LF"):
        _applied("one\r\ntwo\n", "@@ -1 +1 @@\n-one\n+1\n")


@pytest.mark.parametrize(
    ("text", "diff", "result"),
    [
        ("a\nb", "@@ -1 +1 @@\n-a\n+A\n", "A\nb"),
        ("a\nb", "@@ -2 +2 @@\n-b\n\\ No newline at end of file\n+B\n", "a\nB\n"),
        ("a\nb\n", "@@ -2 +2 @@\n-b\n+B\n\\ No newline at end of file\n", "a\nB"),
        ("a\nb", "@@ -2 +2 @@\n-b\n\\ No newline\n+B\n\\ No newline\n", "a\nB"),
        ("a\nb", "@@ -1,2 +1,2 @@\n-a\n+A\n b\n\\ No newline\n", "A\nb"),
        ("a\n", "@@ -1 +0,0 @@\n-a\n", ""),
        ("a\nb\n", "@@ -1,0 +2 @@\n+between\n", "a\nbetween\nb\n"),
        ("a\n\nb\n", "@@ -1,3 +1,3 @@\n a\n\n-b\n+B\n", "a\n\nB\n"),
        ("", "@@ -0,0 +1 @@\n+a\n", "a\n"),
    ],
)
def test_the_end_of_the_file_is_as_the_diff_says(text: str, diff: str, result: str) -> None:
    assert _applied(text, diff) == result


_TEXTS = st.lists(st.sampled_from(["a", "b", "", "@@ -1 +1 @@", "-x", "+y", " z", "\\ n"]), max_size=12).map(
    lambda lines: "".join(f"{line}\n" for line in lines)
)


@given(_TEXTS, _TEXTS, st.integers(0, 3))
def test_a_diff_between_two_texts_makes_the_second_of_the_first(old: str, new: str, context: int) -> None:
    if old != new:
        assert _applied(old, _diff(old, new, context)) == new


@given(_TEXTS, _TEXTS, _TEXTS)
def test_a_diff_never_changes_a_text_in_which_its_lines_stand_elsewhere(old: str, new: str, other: str) -> None:
    """What it changes is what it names: put back, the text is what it was."""
    if old == new:
        return
    try:
        changed = _applied(other, _diff(old, new))
    except ToolError:
        return
    assert _applied(changed, _diff(new, old)) == other


async def test_what_became_of_a_lost_call_is_told_by_the_file(workspace: Path, context: MakeContext) -> None:
    kept: dict[str, Any] = {}

    async def keep(facts: Mapping[str, Any]) -> None:
        kept.update(facts)

    (workspace / "f").write_text(POEM)
    args = {"file_path": "f", "diff": "@@ -1 +1 @@\n-one\n+ONE\n"}
    tool = PatchTool()
    assert (await tool.reconcile(args, context())).verdict is Verdict.not_done
    done = await tool.run(args, context(record=keep))
    told = await tool.reconcile(args, context(recorded=kept))
    assert told.verdict is Verdict.done
    assert told.outcome is not None
    assert told.outcome.content == done.content
    (workspace / "f").write_text(POEM)
    assert (await tool.reconcile(args, context(recorded=kept))).verdict is Verdict.not_done
    (workspace / "f").write_text("something else")
    assert (await tool.reconcile(args, context(recorded=kept))).verdict is Verdict.unclear


def test_a_second_run_is_not_the_same_as_one() -> None:
    assert PatchTool().definition.effect is EffectClass.unsafe
