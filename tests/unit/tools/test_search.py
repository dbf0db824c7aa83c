from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.domain.calls import Outcome
from actors.errors import PathOutsideWorkspace, ToolError
from actors.tools.base import MAX_OUTPUT_BYTES, ToolContext
from actors.tools.globbing import Glob, expand
from actors.tools.search import GlobTool, GrepTool

from .conftest import MakeContext


@pytest.fixture(autouse=True)
def files(workspace: Path) -> None:
    for path, text in {
        "a.py": "import os\nx = 1\n",
        "b.txt": "Import of goods\n",
        "src/a/deep.py": "one\ntwo import\nthree\nfour\nfive\nimport six\n",
        "src/a.py": "nothing\n",
        "src/.gitignore": "*.log\n!keep.log\n",
        "src/x.log": "import\n",
        "src/keep.log": "import\n",
        "build/out.py": "import\n",
        ".gitignore": "/build/\n",
        ".git/config": "import\n",
    }.items():
        (workspace / path).parent.mkdir(parents=True, exist_ok=True)
        (workspace / path).write_text(text)


async def _glob(ctx: ToolContext, pattern: str, **more: Any) -> list[str]:
    return (await GlobTool().run({"pattern": pattern} | more, ctx)).content.splitlines()


async def _grep(ctx: ToolContext, pattern: str, **more: Any) -> list[str]:
    return (await GrepTool().run({"pattern": pattern} | more, ctx)).content.splitlines()


async def test_glob_finds_files_in_order_and_honours_ignore_files(context: MakeContext) -> None:
    assert await _glob(context(), "**/*.py") == ["a.py", "src/a.py", "src/a/deep.py"]
    assert await _glob(context(), "src/*.{log,py}") == ["src/a.py", "src/keep.log"]
    assert await _glob(context(), "*.py", path="src") == ["src/a.py"]


async def test_an_ignored_directory_that_is_named_is_looked_into(context: MakeContext) -> None:
    assert await _glob(context(), "*.py", path="build") == ["build/out.py"]


async def test_glob_resolves_names_and_parents_before_the_first_wildcard(workspace: Path, context: MakeContext) -> None:
    assert await _glob(context(), "../*.txt", path="src") == ["b.txt"]
    assert await _glob(context(), f"{workspace}/src/*.py") == ["src/a.py"]
    assert await _glob(context(), "src/a/deep.py") == ["src/a/deep.py"]


@pytest.mark.parametrize("pattern", ["../*", "src/../../*", "/etc/*", "out/*"])
async def test_glob_cannot_leave_the_workspace(workspace: Path, context: MakeContext, pattern: str) -> None:
    (workspace / "out").symlink_to("/etc")

    with pytest.raises(PathOutsideWorkspace):
        await _glob(context(), pattern)


async def test_glob_refuses_parents_behind_a_wildcard(context: MakeContext) -> None:
    with pytest.raises(ToolError, match="cannot follow a wildcard"):
        await _glob(context(), "*/../../*")


async def test_nothing_found_is_a_success_with_a_message(context: MakeContext) -> None:
    assert await _glob(context(), "missing/*.py") == ["No files fit 'missing/*.py'."]
    assert await _glob(context(), "*.rs") == ["No files fit '*.rs'."]
    assert await _grep(context(), "unfindable") == ["No matches for 'unfindable'."]


async def test_a_missing_path_is_an_error(context: MakeContext) -> None:
    with pytest.raises(ToolError, match="There is no file or directory 'missing'"):
        await _glob(context(), "*", path="missing")
    with pytest.raises(ToolError, match="There is no file or directory 'missing'"):
        await _grep(context(), "x", path="missing")


async def test_links_are_not_followed_by_a_search(workspace: Path, context: MakeContext, tmp_path: Path) -> None:
    (tmp_path / "secret.py").write_text("import secret\n")
    (workspace / "link").symlink_to(tmp_path)
    (workspace / "file.py").symlink_to(tmp_path / "secret.py")

    assert await _glob(context(), "**/*.py") == ["a.py", "src/a.py", "src/a/deep.py"]
    assert not [line for line in await _grep(context(), "secret") if "import" in line]


async def test_grep_tells_path_line_and_text_and_counts(context: MakeContext) -> None:
    assert await _grep(context(), r"^import \w+") == [
        "a.py:1:import os",
        "src/a/deep.py:6:import six",
        "[2 matches in 2 files]",
    ]


async def test_grep_takes_a_glob_a_file_and_ignores_case_when_asked(context: MakeContext) -> None:
    assert await _grep(context(), "IMPORT", glob="*.txt", **{"-i": True}) == [
        "b.txt:1:Import of goods",
        "[1 matches in 1 files]",
    ]
    assert (await _grep(context(), "import", path="src/x.log"))[0] == "src/x.log:1:import"


async def test_grep_shows_context_without_repeating_lines(context: MakeContext) -> None:
    assert await _grep(context(), "import|four", path="src/a/deep.py", context=1) == [
        "src/a/deep.py-1-one",
        "src/a/deep.py:2:two import",
        "src/a/deep.py-3-three",
        "src/a/deep.py:4:four",
        "src/a/deep.py-5-five",
        "src/a/deep.py:6:import six",
        "[3 matches in 1 files]",
    ]


async def test_grep_skips_binary_files_and_cuts_long_lines(workspace: Path, context: MakeContext) -> None:
    (workspace / "binary").write_bytes(b"needle\0")
    (workspace / "long").write_text("needle" + "x" * 100_000 + "\nneedle\n")

    first, second, summary = await _grep(context(), "needle")

    assert first == f"long:1:needle{'x' * 1994} [line cut]"
    assert (second, summary) == ("long:2:needle", "[2 matches in 1 files]")


async def test_a_wrong_expression_is_an_error(context: MakeContext) -> None:
    with pytest.raises(ToolError, match="regular expression is not valid"):
        await _grep(context(), "(")


async def test_an_expression_that_only_causes_a_warning_works(context: MakeContext) -> None:
    assert (await _grep(context(), "[[a]mport"))[-1] == "No matches for '[[a]mport'."


async def test_grep_output_is_bounded(workspace: Path, context: MakeContext) -> None:
    (workspace / "many").write_text("needle in the hay\n" * 50_000)

    outcome = await GrepTool().run({"pattern": "needle"}, context())

    assert len(outcome.content.encode()) <= MAX_OUTPUT_BYTES
    assert outcome.metadata["more"] is True
    assert outcome.content.endswith("[the output is full; narrow the search]")


async def test_a_catastrophic_expression_is_stopped_and_holds_up_nobody(workspace: Path, context: MakeContext) -> None:
    (workspace / "a.py").write_text("needle (a+)+$\n")
    (workspace / "evil").write_text("a" * 64 + "b\n")
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0)
            ticks += 1

    ticking = asyncio.create_task(tick())
    outcome = await GrepTool().run({"pattern": "needle|(a+)+$"}, context(timeout_s=2.0))
    ticking.cancel()

    assert outcome.outcome is Outcome.timeout
    assert outcome.content.startswith("a.py:1:needle")
    assert ticks > 1000


async def test_a_catastrophic_ignore_file_is_stopped_as_well(workspace: Path, context: MakeContext) -> None:
    (workspace / ".gitignore").write_text("*a" * 25 + "b\n")
    (workspace / ("a" * 200)).touch()

    outcome = await GlobTool().run({"pattern": "**"}, context(timeout_s=0.5))

    assert outcome.outcome is Outcome.timeout


def test_a_glob_with_many_stars_takes_no_time() -> None:
    assert not Glob("*a" * 100 + "/b").matches("a" * 250 + "/c")
    assert not Glob("**/a/" * 60 + "b").matches("a/" * 200 + "c")


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("**", "a/b", True),
        ("a/**/b", "a/b", True),
        ("a/**/b", "a/x/y/b", True),
        ("a/*/b", "a/x/y/b", False),
        ("[ab].py", "b.py", True),
        ("?.py", "ab.py", False),
    ],
)
def test_a_glob_counts_levels(pattern: str, path: str, fits: bool) -> None:
    assert Glob(pattern).matches(path) is fits


def test_braces_are_expanded_and_bounded() -> None:
    assert expand("{a,b{c,d}}.x") == ["a.x", "bc.x", "bd.x"]
    with pytest.raises(ToolError, match="fewer braces"):
        expand("{a,b}" * 10)


@given(st.lists(st.sampled_from(["a", "b", "ab", "c.py"]), min_size=1, max_size=5))
def test_a_path_fits_itself_and_the_pattern_of_all(parts: list[str]) -> None:
    path = "/".join(parts)

    assert Glob(path).matches(path)
    assert Glob("**").matches(path)
    assert Glob("/".join("*" for _ in parts)).matches(path)
