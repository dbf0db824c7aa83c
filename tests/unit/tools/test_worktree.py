"""``git_worktree`` on real repositories."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from actors.domain.tools import EffectClass
from actors.errors import PathOutsideWorkspace, ToolError
from actors.policy.effects import effect_of
from actors.tools.base import ToolContext
from actors.tools.worktree import GitWorktreeTool

from .conftest import MakeContext

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def _git(workspace: Path, *arguments: str) -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@b")
    done = subprocess.run(["git", *who, *arguments], cwd=workspace, check=True, capture_output=True, text=True)
    return done.stdout


@pytest.fixture
def repository(workspace: Path) -> Path:
    _git(workspace, "init", "-q", "-b", "main")
    (workspace / "f").write_text("one")
    _git(workspace, "add", "f")
    _git(workspace, "commit", "-q", "-m", "first")
    return workspace


async def _run(ctx: ToolContext, command: str, **args: object) -> str:
    return (await GitWorktreeTool().run({"command": command, **args}, ctx)).content


async def test_a_tree_is_made_on_a_new_branch_listed_and_removed(repository: Path, context: MakeContext) -> None:
    assert await _run(context(), "create", branch="feature/x") == (
        "Made a working tree of branch feature/x at .worktrees/feature-x."
    )
    assert (repository / ".worktrees/feature-x/f").read_text() == "one"
    listed = (await _run(context(), "list")).splitlines()
    assert [line.split(" ")[1] for line in listed] == ["[main]", "[feature/x]"]
    assert "a linked working tree" in await _run(context(), "status", path=".worktrees/feature-x")
    assert await _run(context(), "remove", path=".worktrees/feature-x") == (
        "Removed the working tree at .worktrees/feature-x."
    )
    assert len((await _run(context(), "list")).splitlines()) == 1


async def test_the_workspace_itself_is_the_main_tree(repository: Path, context: MakeContext) -> None:
    (repository / "new").write_text("x")
    told = await _run(context(), "status")
    assert told.startswith(". is the main working tree.")
    assert "?? new" in told


async def test_a_branch_that_is_there_can_be_checked_out(repository: Path, context: MakeContext) -> None:
    _git(repository, "branch", "old")
    await _run(context(), "create", branch="old", new_branch=False, path="trees/old")
    assert (repository / "trees/old/f").exists()
    with pytest.raises(ToolError, match="already"):
        await _run(context(), "create", branch="old")


async def test_what_is_not_committed_is_removed_by_force_only(repository: Path, context: MakeContext) -> None:
    await _run(context(), "create", branch="b")
    (repository / ".worktrees/b/f").write_text("changed")
    with pytest.raises(ToolError, match="modified"):
        await _run(context(), "remove", path=".worktrees/b")
    await _run(context(), "remove", path=".worktrees/b", force=True)
    assert not (repository / ".worktrees/b").exists()


@pytest.mark.parametrize("name", ["--upload-pack=evil", "-b", "a b", "a;b", "", "a..b~~~:x", "x.lock", "@{"])
async def test_a_branch_is_never_an_option_and_never_odd(repository: Path, context: MakeContext, name: str) -> None:
    with pytest.raises(ToolError):
        await _run(context(), "create", branch=name)
    assert len((await _run(context(), "list")).splitlines()) == 1


@pytest.mark.parametrize("path", ["../outside", "/tmp/outside", "link/inside"])
async def test_no_tree_outside_of_the_workspace(
    repository: Path, context: MakeContext, tmp_path: Path, path: str
) -> None:
    (repository / "link").symlink_to(tmp_path)
    with pytest.raises((PathOutsideWorkspace, ToolError)):
        await _run(context(), "create", branch="b", path=path)
    assert "b" not in _git(repository, "branch")
    assert sorted(os.listdir(tmp_path)) == ["workspace"]


async def test_hooks_of_the_repository_do_not_run(repository: Path, context: MakeContext) -> None:
    hook = repository / ".git/hooks/post-checkout"
    hook.write_text(f"#!/bin/sh\ntouch {repository}/ran\n")
    hook.chmod(0o755)
    await _run(context(), "create", branch="b")
    assert not (repository / "ran").exists()


async def test_filters_of_the_repository_do_not_run(repository: Path, context: MakeContext) -> None:
    for name in ("clean", "smudge", "process"):
        _git(repository, "config", f"filter.sly.{name}", f"touch {repository}/ran; cat")
    _git(repository, "config", "filter.sly.required", "true")
    (repository / ".git/info/attributes").write_text("* filter=sly\n")
    await _run(context(), "create", branch="b")
    for tree in (repository, repository / ".worktrees/b"):
        (tree / "f").write_text("changed")
    await _run(context(), "status")
    await _run(context(), "status", path=".worktrees/b")
    await _run(context(), "remove", path=".worktrees/b", force=True)
    assert not (repository / "ran").exists()


async def test_without_a_repository_it_says_so(workspace: Path, context: MakeContext) -> None:
    with pytest.raises(ToolError, match="git says"):
        await _run(context(), "list")
    inner = workspace / "inner"
    inner.mkdir()
    _git(workspace, "init", "-q")
    with pytest.raises(ToolError, match="not the root"):
        await _run(context(workspace=inner), "list")


def test_looking_at_working_trees_is_pure_and_changing_them_is_not() -> None:
    definition = GitWorktreeTool.definition
    effects = {name: effect_of(definition, {"command": name}) for name in ("list", "status", "create", "remove")}
    assert [name for name, effect in effects.items() if effect is EffectClass.pure] == ["list", "status"]
    assert effect_of(definition, {"command": ["list"]}) is EffectClass.unsafe
