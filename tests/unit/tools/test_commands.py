"""Programs that tools of users run: confined, with few variables, ended with their call."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import Path

import pytest

from actors.errors import InvalidConfig, ToolError
from actors.tools.base import ToolContext
from actors.tools.commands import Commands
from actors.tools.executor import ToolExecutor
from actors.tools.function import tool
from actors.tools.registry import ToolRegistry
from actors.tools.sandbox import Sandbox

from .conftest import MakeCall, MakeContext
from .test_sandbox import needs_bubblewrap


def _lives(pid: str) -> bool:
    return os.path.exists(f"/proc/{int(pid)}")


async def test_a_tool_gets_the_output_and_the_end_of_a_program(context: MakeContext, workspace: Path) -> None:
    seen: list[str] = []
    done = await context(emit=seen.append).run_process("sh", "-c", "pwd; echo bad >&2; exit 3")

    assert (done.output, done.exit_code, done.ok) == (f"{workspace}\nbad\n", 3, False)
    assert "".join(seen) == done.output


async def test_a_plain_function_runs_programs_from_its_thread(workspace: Path, make_call: MakeCall) -> None:
    @tool
    def measure(ctx: ToolContext) -> str:
        return ctx.run_process_from_thread("echo", "42").output

    seen: list[str] = []
    executor = ToolExecutor(workspace, ToolRegistry([measure]))
    outcome = await executor.execute(make_call("measure"), lambda channel, text: seen.append(text))
    assert (outcome.content, seen) == ("42\n", ["42\n"])


async def test_keys_of_the_service_do_not_reach_a_program(
    context: MakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "canary")
    monkeypatch.setenv("SOME_TOKEN", "canary")
    told = (await context().run_process("env", variables={"WANTED": "yes"})).output
    assert "WANTED=yes" in told and "canary" not in told
    with pytest.raises(InvalidConfig):
        await context().run_process("env", variables={"OPENAI_API_KEY": "canary"})


async def test_a_program_that_takes_too_long_is_killed_with_all_that_it_started(context: MakeContext) -> None:
    done = await context().run_process("sh", "-c", "sleep 100 & echo $!; wait", timeout_s=1.5)
    assert (done.timed_out, done.ok) == (True, False)
    assert not _lives(done.output)


async def test_a_program_ends_with_its_cancelled_call(context: MakeContext) -> None:
    started: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    running = asyncio.create_task(context(emit=started.set_result).run_process("sh", "-c", "echo $$; sleep 100"))
    pid = await started
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not _lives(pid)


async def test_a_policy_that_wants_a_sandbox_is_obeyed(context: MakeContext) -> None:
    with pytest.raises(ToolError, match="sandbox"):
        await context(sandboxed=True).run_process("true")


@needs_bubblewrap
async def test_in_the_sandbox_a_program_writes_to_the_workspace_and_nowhere_else(
    context: MakeContext, workspace: Path, tmp_path: Path
) -> None:
    confined = replace(context(sandboxed=True), commands=Commands(sandbox=Sandbox.find()))
    await confined.run_process("sh", "-c", f"echo in > f; echo out > {tmp_path}/beside")
    assert (os.listdir(tmp_path), os.listdir(workspace)) == (["workspace"], ["f"])
