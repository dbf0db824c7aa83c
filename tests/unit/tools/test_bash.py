from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from actors.domain.artifacts import MAX_ARTIFACT_BYTES
from actors.domain.calls import Outcome, ToolOutcome
from actors.errors import InvalidConfig, ToolError
from actors.tools import reaper
from actors.tools.base import ToolContext
from actors.tools.bash import BashTool
from actors.tools.environment import command_environment
from actors.tools.leftovers import HOST_MARK, anything_left

from .conftest import MakeContext
from .processes import is_gone, is_running

_ROOT = Path(__file__).resolve().parents[3]


async def _bash(ctx: ToolContext, command: str, **more: Any) -> ToolOutcome:
    return await BashTool().run({"command": command} | more, ctx)


async def test_output_of_both_streams_comes_in_order(context: MakeContext) -> None:
    outcome = await _bash(context(), "echo one; echo two >&2; echo three")

    assert outcome == ToolOutcome(
        outcome=Outcome.ok, content="one\ntwo\nthree\n", metadata={"exit_code": 0, "sandbox": False}
    )


async def test_a_command_runs_in_the_workspace_with_empty_input(workspace: Path, context: MakeContext) -> None:
    outcome = await _bash(context(), "pwd; cat; echo $PWD")

    assert outcome.content == f"{workspace}\n{workspace}\n"


@pytest.mark.parametrize(("command", "code"), [("exit 3", 3), ("kill -9 $$", 137), ("no-such-command", 127)])
async def test_a_failing_command_reports_its_exit_code(context: MakeContext, command: str, code: int) -> None:
    outcome = await _bash(context(), command)

    assert (outcome.outcome, outcome.exit_code) == (Outcome.error, 1)
    assert outcome.metadata["exit_code"] == code
    assert outcome.content.endswith(f"[exit code {code}]")


async def test_deltas_arrive_before_the_end(context: MakeContext, workspace: Path) -> None:
    os.mkfifo(workspace / "go")
    seen: list[str] = []

    def emit(text: str) -> None:
        seen.append(text)
        if "".join(seen) == "first\n":
            # The command ends only if somebody has seen its first line while it ran.
            (workspace / "go").write_text("")

    outcome = await _bash(context(emit=emit), "echo first; cat go; echo second")

    assert seen == ["first\n", "second\n"]
    assert outcome.content == "first\nsecond\n"


async def test_deltas_never_split_a_character(context: MakeContext) -> None:
    seen: list[str] = []

    await _bash(context(emit=seen.append), "printf '\\303'; read -t 0.05 < <(:); printf '\\244\\377'")

    assert "".join(seen) == "ä\N{REPLACEMENT CHARACTER}"


async def test_a_long_output_keeps_its_head_and_its_tail_within_the_bound(context: MakeContext) -> None:
    outcome = await _bash(context(), "echo head; head -c 5000000 /dev/zero | tr '\\0' x; echo; echo tail")

    assert outcome.content.startswith("head\nxxx")
    assert outcome.content.endswith("xxx\ntail\n")
    assert "bytes left out" in outcome.content
    assert len(outcome.content.encode()) <= MAX_ARTIFACT_BYTES


async def test_an_endless_output_ends_with_the_time_out(context: MakeContext) -> None:
    outcome = await _bash(context(), "yes", timeout=300)

    assert outcome.outcome is Outcome.timeout
    assert "timed out after 0.3 s" in outcome.content
    assert len(outcome.content.encode()) <= MAX_ARTIFACT_BYTES


def _pids(text: str) -> list[int]:
    return [int(word) for line in text.splitlines() if line.startswith("pids ") for word in line.split()[1:]]


_SPAWN = (
    "sleep 1000 & a=$!; setsid sleep 1000 & b=$!; bash -c 'trap \"\" TERM; echo up; sleep 1000 & wait; wait' | cat & "
    "c=$!; echo pids $$ $a $b $c; "
)
"""A child in the group, one in a session of its own, and one below a shell that ignores SIGTERM."""


async def test_a_time_out_ends_the_children_of_the_children_as_well(context: MakeContext) -> None:
    outcome = await _bash(context(), _SPAWN + "wait", timeout=500)

    pids = _pids(outcome.content)
    assert outcome.outcome is Outcome.timeout
    assert len(pids) == 4
    assert not any(is_running(pid) for pid in pids)


async def test_what_a_command_leaves_in_the_background_ends_with_it(context: MakeContext) -> None:
    outcome = await _bash(context(), _SPAWN + "(setsid sleep 1000 & echo pids $!)")

    pids = _pids(outcome.content)
    assert outcome.outcome is Outcome.ok
    assert len(pids) == 5
    assert not any(is_running(pid) for pid in pids)


async def test_when_a_cancelled_call_returns_its_processes_are_gone(context: MakeContext) -> None:
    seen: list[str] = []
    started = asyncio.Event()

    def emit(text: str) -> None:
        seen.append(text)
        if _pids("".join(seen)) and "".join(seen).endswith("\n"):
            started.set()

    task = asyncio.create_task(_bash(context(emit=emit), _SPAWN + "wait"))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert not any(is_running(pid) for pid in _pids("".join(seen)))


_HOST = """
import asyncio, sys
from pathlib import Path
from actors.tools import reaper
from actors.tools.base import ToolContext
from actors.tools.bash import BashTool

def emit(text):
    sys.stdout.write(text)
    sys.stdout.flush()

ctx = ToolContext("c", "t", "s", Path(sys.argv[1]), emit, 60.0)
asyncio.run(BashTool().run({"command": sys.argv[2]}, ctx))
"""


def test_when_the_host_is_killed_nothing_of_its_command_goes_on(workspace: Path) -> None:
    argv = [sys.executable, "-c", _HOST, str(workspace), _SPAWN + "echo ready; wait"]
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(_ROOT)}
    ) as host:
        assert host.stdout is not None
        lines: list[str] = []
        while "ready" not in "".join(lines):
            lines.append(host.stdout.readline())
        pids = _pids("".join(lines))
        running = [is_running(pid) for pid in pids]

        host.kill()
        gone = [is_gone(pid) for pid in pids]

    assert (running, gone) == ([True] * 4, [True] * 4)


async def test_when_the_reaper_is_killed_the_group_is_killed_by_the_host(context: MakeContext) -> None:
    outcome = await _bash(context(), "echo pids $$; kill -9 $PPID; sleep 1000")

    assert outcome.outcome is Outcome.error
    assert "killed from outside" in outcome.content
    assert all(is_gone(pid) for pid in _pids(outcome.content))


LATE = """
import os, runpy, select
tell = os.write
def late(where, what):
    if what.startswith(b"pid") and what != b"pid %d\\n" % os.getpid():
        select.poll().poll()
    return tell(where, what)
os.write = late
runpy.run_path({reaper!r}, run_name="__main__")
"""
"""A reaper that never gets to tell the id of a process that is not itself."""


async def test_a_command_cannot_kill_its_reaper_before_it_is_known(
    context: MakeContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "late.py"
    script.write_text(LATE.format(reaper=reaper.__file__))
    monkeypatch.setattr("actors.tools.process._REAPER", str(script))

    outcome = await _bash(context(), "setsid sleep 1000 & echo pids $! $$; kill -9 $PPID; sleep 1000")

    assert "killed from outside" in outcome.content
    assert all(is_gone(pid) for pid in _pids(outcome.content))


@pytest.mark.parametrize("again", ["", "(while kill -STOP $reaper; do :; done) &"])
async def test_a_command_that_freezes_its_reaper_ends_with_all_that_it_started(
    context: MakeContext, monkeypatch: pytest.MonkeyPatch, again: str
) -> None:
    monkeypatch.setattr("actors.tools.process.END_S", 0.6)
    command = f"reaper=$PPID; setsid sleep 1000 & echo pids $! $$ $reaper; kill -STOP $reaper; {again} sleep 1000"
    outcome = await _bash(context(timeout_s=0.2), command)

    pids = [int(word) for word in outcome.content.split("pids ")[1].splitlines()[0].split()]
    assert all(is_gone(pid) for pid in pids)


def test_what_a_frozen_reaper_of_a_dead_host_watches_is_ended_by_whoever_looks() -> None:
    frozen = "until grep -q State:.T /proc/$PPID/status; do :; done"
    script = f"setsid sleep 1000 & kill -STOP $PPID; {frozen}; echo $! $$ $PPID; exec sleep 1000"
    argv = [sys.executable, "-I", "-S", str(Path(reaper.__file__)), "/", "300", "-", "bash", "-c", script]
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | {HOST_MARK: "frozen-host"}
    ) as host:
        assert host.stdout is not None and host.stdin is not None
        pids = [int(word) for word in host.stdout.readline().split()]
        host.stdin.close()

        assert anything_left("frozen-host")
    assert all(is_gone(pid) for pid in pids)
    assert not anything_left("frozen-host")


async def test_the_reaper_is_no_child_of_the_host(context: MakeContext) -> None:
    outcome = await _bash(context(), "ps -o ppid= -p $PPID")

    assert int(outcome.content) != os.getpid()


async def test_no_secret_of_the_host_reaches_a_command(context: MakeContext, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GREENROOM_TOKEN", "AWS_SECRET_ACCESS_KEY", "LD_PRELOAD_X"):
        monkeypatch.setenv(name, "canary-4711")
    monkeypatch.setenv("LC_TIME", "C")

    outcome = await BashTool({"MY_FLAG": "on"}).run(
        {"command": "env; cat /proc/$PPID/environ | tr '\\0' '\\n'"}, context()
    )

    assert "canary-4711" not in outcome.content
    assert {"MY_FLAG=on", "LC_TIME=C"} <= set(outcome.content.splitlines())


@pytest.mark.parametrize("name", ["GREENROOM_TOKEN", "OPENAI_API_KEY", "TAVILY_API_KEY", "ANTHROPIC_BASE_URL", "A B"])
def test_a_variable_that_must_not_reach_commands_is_refused(name: str) -> None:
    with pytest.raises(InvalidConfig):
        command_environment({}, {name: "x"})


def test_a_command_always_has_a_path() -> None:
    assert "/usr/bin" in command_environment({})["PATH"]


async def test_a_command_that_is_too_long_for_the_system_is_told_so(context: MakeContext) -> None:
    with pytest.raises(ToolError, match="128 KiB"):
        await _bash(context(), "true " + "x" * 200_000)


async def test_many_commands_at_once_leave_no_handle_open(context: MakeContext) -> None:
    await _bash(context(), "true")
    before = len(os.listdir("/proc/self/fd"))

    outcomes = await asyncio.gather(*(_bash(context(), f"echo {number}") for number in range(20)))

    assert [outcome.content for outcome in outcomes] == [f"{number}\n" for number in range(20)]
    assert len(os.listdir("/proc/self/fd")) == before
