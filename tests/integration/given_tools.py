"""Tools that the tests give to a runtime: by their import strings, or as they are."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import ray

from actors import tool
from actors.domain.calls import Verdict
from actors.tools.base import ToolContext
from tests.integration.crash_site import Death, end_this_process


@tool(effect="pure")
def shout(text: str) -> str:
    """Say it louder."""
    return text.upper()


@tool(effect="pure")
async def count(word: str) -> int:
    """Count the letters."""
    return len(word)


def _find_mark(args: dict[str, Any], ctx: ToolContext) -> str | Verdict:
    made = Path(ctx.recorded["mark"])
    return f"{made.read_text()}, seen afterwards" if made.exists() else Verdict.not_done


@tool(effect="unsafe")
def take_host_along(folder: str, how: str) -> str:
    """Leave a mark, and end the process of the tool host."""
    with (Path(folder) / "mark").open("a") as file:
        file.write("once")
    end_this_process(Death(how))
    return "never"


@tool(effect="unsafe", reconcile=_find_mark)
def leave_mark(folder: str, ctx: ToolContext) -> str:
    """Leave a mark beside two named pipes, say in one of them that it is there, and wait for the other."""
    mark = Path(folder) / "mark"
    ctx.record_from_thread({"mark": str(mark)})
    with mark.open("a") as file:
        file.write("once")
    (Path(folder) / "begun").write_text("x")
    (Path(folder) / "go").read_text()
    return mark.read_text()


@tool(effect="pure", num_gpus=0.5)
def on_gpu(ctx: ToolContext) -> dict[str, Any]:
    """Tell what this host was given, and which process it is."""
    given = ray.get_runtime_context().get_assigned_resources()
    return {"gpu": given.get("GPU"), "pid": os.getpid(), "workspace": str(ctx.workspace)}


@tool(effect="pure", resources={"nowhere": 1})
def never() -> str:
    """Run where nobody is."""
    return "never"


@tool(effect="unsafe")
def built(outside: str, ctx: ToolContext) -> Generator[str, None, str]:
    """Write into the workspace and, if that can be done, into a directory outside; then tell the environment."""
    yield "building\n"
    ctx.run_process_from_thread("sh", "-c", f"echo in > made; echo out > {outside}/made")
    return ctx.run_process_from_thread("env").output
