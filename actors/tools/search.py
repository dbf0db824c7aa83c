"""The tools that search: ``glob`` by name and ``grep`` by content. The work is done in a process of its own."""

from __future__ import annotations

import json
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, cast

from actors.domain.calls import Outcome, ToolOutcome
from actors.domain.tools import EffectClass, ToolDefinition
from actors.errors import PathOutsideWorkspace, ToolError, from_wire
from actors.tools.base import MAX_OUTPUT_BYTES, Tool, ToolContext, schema, succeeded
from actors.tools.environment import command_environment
from actors.tools.files import PATH
from actors.tools.globbing import MAX_PATTERN, has_magic
from actors.tools.process import run_command
from actors.tools.workspace import inside

MAX_SEARCH_S = 60.0
"""Longest search: over a warm tree that is some hundred thousand files."""

MAX_CONTEXT = 20
"""Lines shown before and after a match."""

_ANSWER_BYTES = 4 * MAX_OUTPUT_BYTES
"""The worker bounds its answer to ``MAX_OUTPUT_BYTES`` of text; JSON's escapes make it longer."""

_KILL_MARGIN_S = 2.0
"""The worker's own alarm rings first; this is for one that does not hear it."""

_NOTES_BYTES = 300
"""Room for the summary."""

_WORKER = str(Path(__file__).with_name("search_worker.py"))


class GlobTool(Tool):
    """Finds files by name."""

    bounds_itself: ClassVar[bool] = True

    definition = ToolDefinition(
        name="glob",
        description=(
            "Find files whose path fits a glob pattern such as src/**/*.py, sorted by path. "
            "Files that .gitignore or .ignore name are left out."
        ),
        parameters=schema(
            {
                "pattern": {"type": "string", "minLength": 1, "maxLength": MAX_PATTERN},
                "path": PATH | {"default": ".", "description": "Directory to begin at."},
            },
            "pattern",
        ),
        effect=EffectClass.pure,
    )

    async def run(self, args: dict[str, Any], ctx: ToolContext) -> ToolOutcome:
        """Search for paths; nothing found is a success."""
        base = args.get("path", ".")
        path, pattern = _split(str(ctx.workspace), base, args["pattern"])
        answer = await _search(ctx, {"kind": "glob", "base": base, "path": path, "pattern": pattern})
        paths: list[str] = answer["paths"]
        if not paths and not answer["timed_out"]:
            return succeeded(f"No files fit {args['pattern']!r}.", matches=0)
        notes = _notes(answer, f"only the first {len(paths)} files are shown")
        return _answered("\n".join([*paths, *notes]), answer, matches=len(paths), more=answer["more"])


class GrepTool(Tool):
    """Finds lines by a regular expression."""

    bounds_itself: ClassVar[bool] = True

    definition = ToolDefinition(
        name="grep",
        description=(
            "Find lines that a regular expression (Python's) matches. Files that .gitignore or .ignore name, and "
            "binary files, are left out."
        ),
        parameters=schema(
            {
                "pattern": {"type": "string", "minLength": 1, "maxLength": 8192},
                "path": PATH | {"default": ".", "description": "File or directory to search."},
                "glob": {"type": "string", "maxLength": MAX_PATTERN, "description": "Only files that fit, as *.py."},
                "context": {
                    "type": "integer",
                    "minimum": 0,
                    "maximum": MAX_CONTEXT,
                    "default": 0,
                    "description": "Lines to show before and after each match.",
                },
                "-i": {"type": "boolean", "default": False, "description": "Ignore case."},
            },
            "pattern",
        ),
        effect=EffectClass.pure,
    )

    async def run(self, args: dict[str, Any], ctx: ToolContext) -> ToolOutcome:
        """Search for lines; nothing found is a success."""
        request = {
            "kind": "grep",
            "pattern": args["pattern"],
            "path": args.get("path", "."),
            "glob": args.get("glob", ""),
            "context": args.get("context", 0),
            "ignore_case": args.get("-i", False),
            "max_bytes": MAX_OUTPUT_BYTES - _NOTES_BYTES,
        }
        answer = await _search(ctx, request)
        counts = {"matches": answer["matches"], "files": answer["files"]}
        if not answer["matches"] and not answer["timed_out"]:
            return succeeded(f"No matches for {args['pattern']!r}.", **counts)
        summary = f"[{answer['matches']} matches in {answer['files']} files]"
        notes = _notes(answer, "the output is full; narrow the search")
        return _answered("\n".join([*answer["lines"], summary, *notes]), answer, **counts, more=answer["more"])


def _split(root: str, path: str, pattern: str) -> tuple[str, str]:
    """Move the pattern's leading names into the path, where ``..`` is resolved; the pattern may end up empty."""
    parts = inside(root, pattern)
    if parts is None:
        raise PathOutsideWorkspace(pattern)
    start = root if pattern.startswith("/") else path
    names = 0
    while names < len(parts) and not has_magic(parts[names]):
        names += 1
    if ".." in parts[names:]:
        raise ToolError("'..' cannot follow a wildcard in a pattern. Give the directory as path instead.")
    return "/".join([start, *parts[:names]]), "/".join(parts[names:])


async def _search(ctx: ToolContext, request: dict[str, Any]) -> dict[str, Any]:
    timeout_s = min(MAX_SEARCH_S, ctx.timeout_s)
    full = request | {"root": str(ctx.workspace), "timeout_s": timeout_s, "import_from": _import_from()}
    output = bytearray()

    def take(data: bytes) -> None:
        output.extend(data[: _ANSWER_BYTES - len(output)])

    ended = await run_command(
        (sys.executable, "-I", "-S", "-W", "ignore", _WORKER, json.dumps(full)),
        directory=ctx.workspace,
        environment=command_environment(os.environ),
        timeout_s=timeout_s + _KILL_MARGIN_S,
        on_output=take,
    )
    if ended.timed_out:
        raise ToolError(f"The search was stopped after {timeout_s:g} s. Narrow the path or the pattern.")
    try:
        answer = json.loads(output)
    except ValueError as error:
        raise ToolError("The search ran out of memory or was killed. Narrow the path or the pattern.") from error
    if "error" in answer:
        raise from_wire(answer["error"])
    return cast("dict[str, Any]", answer)


def _import_from() -> list[str]:
    """Where the worker finds this package and pathspec: it starts without site-packages, which is faster."""
    found = [str(Path(__file__).resolve().parents[2])]
    spec = find_spec("pathspec")
    if spec is not None and spec.origin is not None:
        found.append(str(Path(spec.origin).resolve().parents[1]))
    return found


def _notes(answer: dict[str, Any], when_more: str) -> list[str]:
    notes = [f"[{when_more}]"] if answer["more"] else []
    if answer["timed_out"]:
        notes.append("[the search took too long and was stopped; there may be more]")
    return notes


def _answered(text: str, answer: dict[str, Any], **metadata: Any) -> ToolOutcome:
    if answer["timed_out"]:
        return ToolOutcome(outcome=Outcome.timeout, content=text, exit_code=1, metadata=metadata | {"timed_out": True})
    return succeeded(text, **metadata)
