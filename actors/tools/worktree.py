"""The tool ``git_worktree``: further working trees of the workspace's repository, all below the workspace."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from actors.domain.calls import ToolOutcome
from actors.domain.tools import EffectClass, ToolDefinition
from actors.errors import ToolError
from actors.tools.base import Tool, ToolContext, schema, succeeded
from actors.tools.commands import Commands, Finished
from actors.tools.sandbox import Sandbox
from actors.tools.workspace import locate

DIRECTORY = ".worktrees"
"""Where trees go that name no path: within the workspace, so that the other tools can work in them."""

_GIT = ("git", "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false")
"""A repository's hooks, and its filters, are programs that nobody was asked about."""

_REVISION = re.compile(r"(?!-)[A-Za-z0-9_./@{}^~+-]{1,200}")
_TIMEOUT_S = 120.0


class GitWorktreeTool(Tool):
    """Lists, makes and removes working trees."""

    definition = ToolDefinition(
        name="git_worktree",
        description=(
            "Working trees of the git repository in the workspace: list them, create one on a branch to work in beside "
            f"this one (in {DIRECTORY}/ unless a path is given), remove one, or tell the status of one."
        ),
        parameters=schema(
            {
                "command": {"enum": ["list", "create", "remove", "status"]},
                "branch": {"type": "string", "description": "For create: the branch."},
                "path": {"type": "string", "description": "Of the tree, within the workspace."},
                "new_branch": {"type": "boolean", "default": True, "description": "For create: make the branch."},
                "base": {"type": "string", "default": "HEAD", "description": "For create: where a new branch begins."},
                "force": {
                    "type": "boolean",
                    "default": False,
                    "description": "For remove: with what is not committed.",
                },
            },
            "command",
        ),
        effect=EffectClass.unsafe,
        looking={"command": ("list", "status")},
        timeout_s=_TIMEOUT_S,
    )

    def __init__(self, environment: Mapping[str, str] | None = None, sandbox: Sandbox | None = None) -> None:
        quiet = {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
        self._commands = Commands({**(environment or {}), **quiet}, sandbox or Sandbox())

    async def run(self, args: dict[str, Any], ctx: ToolContext) -> ToolOutcome:
        """Do what ``command`` says."""
        top = (await self._git(ctx, "rev-parse", "--show-toplevel")).strip()
        if top != str(ctx.workspace):
            raise ToolError("The workspace is not the root of a git repository.")
        if args["command"] == "list":
            return succeeded(_listed(await self._git(ctx, "worktree", "list", "--porcelain")))
        if args["command"] == "create":
            return await self._create(args, ctx)
        if args["command"] == "remove":
            return await self._remove(args, ctx)
        return await self._status(args, ctx)

    async def _create(self, args: dict[str, Any], ctx: ToolContext) -> ToolOutcome:
        branch, base = _checked(args.get("branch"), "branch"), _checked(args.get("base", "HEAD"), "base")
        await self._git(ctx, "check-ref-format", "--branch", branch)
        path = _place(args.get("path") or f"{DIRECTORY}/{branch.replace('/', '-')}", ctx, create=True)
        how = ("-b", branch, "--", path, base) if args.get("new_branch", True) else ("--", path, branch)
        await self._git(ctx, *await self._unfiltered(ctx, "."), "worktree", "add", *how)
        return succeeded(f"Made a working tree of branch {branch} at {path}.", path=path)

    async def _remove(self, args: dict[str, Any], ctx: ToolContext) -> ToolOutcome:
        path = _place(_given(args.get("path"), "path"), ctx)
        force = ("--force",) if args.get("force", False) else ()
        await self._git(ctx, *await self._unfiltered(ctx, path), "worktree", "remove", *force, "--", path)
        return succeeded(f"Removed the working tree at {path}.")

    async def _status(self, args: dict[str, Any], ctx: ToolContext) -> ToolOutcome:
        path = _place(args.get("path") or ".", ctx)
        git_directory = (await self._git(ctx, "-C", path, "rev-parse", "--git-dir")).strip()
        look = ("-C", path, *await self._unfiltered(ctx, path), "status", "--porcelain=v1", "--branch")
        status = await self._git(ctx, *look, "--ignore-submodules")
        linked = "worktrees" in git_directory.split("/")
        kind = "a linked working tree" if linked else "the main working tree"
        return succeeded(f"{path} is {kind}.\n{status}", linked=linked)

    async def _unfiltered(self, ctx: ToolContext, path: str) -> tuple[str, ...]:
        """Options that take the repository's filters away: contents are written, and compared, as they are stored."""
        ended = await self._run_git(ctx, "-C", path, "config", "--name-only", "--get-regexp", r"^filter\.")
        names = sorted({line.rpartition(".")[0] for line in ended.output.splitlines()}) if ended.ok else []
        if any("=" in name for name in names):
            raise ToolError("The repository has a filter whose name has a '=': it cannot be switched off.")
        off = ("clean=", "smudge=", "process=", "required=false")
        return tuple(part for name in names for value in off for part in ("-c", f"{name}.{value}"))

    async def _git(self, ctx: ToolContext, *arguments: str) -> str:
        ended = await self._run_git(ctx, *arguments)
        if not ended.ok:
            raise ToolError(f"git says: {ended.output.strip()[:1000] or 'nothing, and failed'}")
        return ended.output

    async def _run_git(self, ctx: ToolContext, *arguments: str) -> Finished:
        return await self._commands.run(
            (*_GIT, *arguments), ctx.workspace, timeout_s=min(_TIMEOUT_S, ctx.timeout_s), demanded=ctx.sandboxed
        )


def _place(path: str, ctx: ToolContext, *, create: bool = False) -> str:
    """The path relative to the workspace, in which it is; never an option."""
    with locate(str(ctx.workspace), path, create_parents=create) as place:
        return place.relative if not place.relative.startswith("-") else f"./{place.relative}"


def _given(value: str | None, name: str) -> str:
    if not value:
        raise ToolError(f"This command needs {name!r}.")
    return value


def _checked(value: str | None, name: str) -> str:
    if not _REVISION.fullmatch(_given(value, name)):
        raise ToolError(f"{name} is not a name that git takes here.")
    return str(value)


def _listed(porcelain: str) -> str:
    lines: list[str] = []
    for block in porcelain.strip().split("\n\n"):
        facts = {name: value for name, _, value in (line.partition(" ") for line in block.splitlines())}
        branch = facts.get("branch", "").removeprefix("refs/heads/") or "no branch"
        lines.append(f"{facts.get('worktree', '?')} [{branch}] {facts.get('HEAD', '')[:12]}")
    return "\n".join(lines)
