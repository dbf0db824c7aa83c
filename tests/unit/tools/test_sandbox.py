"""Commands in a real bubblewrap, where there is one, and what is said where there is none."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.errors import ToolError
from actors.tools.base import ToolContext
from actors.tools.bash import BashTool
from actors.tools.sandbox import Sandbox

from .conftest import MakeContext

_FOUND = Sandbox.find()

needs_bubblewrap = pytest.mark.skipif(not _FOUND.works, reason=f"no sandbox here: {_FOUND.why_not}")


async def _bash(ctx: ToolContext, command: str, sandbox: Sandbox = _FOUND) -> tuple[int, str]:
    outcome = await BashTool(sandbox=sandbox).run({"command": command}, ctx)
    return outcome.metadata["exit_code"], outcome.content


@needs_bubblewrap
async def test_the_workspace_is_writable_and_what_is_around_it_is_not(
    workspace: Path, context: MakeContext, tmp_path: Path
) -> None:
    (tmp_path / "beside").write_text("safe")
    code, _ = await _bash(context(), "echo in > f && cat f")
    assert (code, (workspace / "f").read_text()) == (0, "in\n")
    for command in (f"echo x > {tmp_path}/beside", f"touch {tmp_path}/new", "touch /usr/x", "touch ~/x", "rm -rf /etc"):
        await _bash(context(), command)
    assert (tmp_path / "beside").read_text() == "safe"
    assert sorted(os.listdir(tmp_path)) == ["beside", "workspace"]
    assert {"passwd", "hosts"} <= set(os.listdir("/etc"))
    assert (await _bash(context(), "touch /usr/x ~/x /etc/x"))[0]


@needs_bubblewrap
async def test_keys_stay_hidden_where_the_workspace_is_the_home_that_they_lie_in(
    workspace: Path, context: MakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(workspace))
    key = workspace / ".ssh" / "id_rsa"
    key.parent.mkdir()
    key.write_text("a key")

    code, told = await _bash(context(), "echo mine > f; cat .ssh/id_rsa; echo theirs > .ssh/id_rsa; cat f")

    assert (code, "a key" in told, "mine" in told) == (0, False, True)
    assert key.read_text() == "a key"


@needs_bubblewrap
async def test_the_temporary_directory_is_its_own_and_gone_afterwards(context: MakeContext) -> None:
    name = f"greenroom-sandbox-{os.getpid()}"
    assert await _bash(context(), f"echo x > /tmp/{name} && cat /tmp/{name}") == (0, "x\n")
    assert name not in os.listdir("/tmp")


@needs_bubblewrap
async def test_there_is_no_network_not_even_to_this_machine(context: MakeContext) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        code, told = await _bash(context(), f"exec 3<>/dev/tcp/127.0.0.1/{port} && echo connected")
        assert "connected" not in told
        assert code
        assert await _bash(context(), f"exec 3<>/dev/tcp/127.0.0.1/{port} && echo connected", _with_network()) == (
            0,
            "connected\n",
        )


def _with_network() -> Sandbox:
    return Sandbox.find(network=True)


@needs_bubblewrap
async def test_sockets_of_the_machine_cannot_be_reached_through_files(
    context: MakeContext, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert (await _bash(context(), "ls -A /run /tmp | grep -v greenroom-none; ls /run/docker.sock"))[0]
    assert await _bash(context(), "ls -A /run | wc -l") == (0, "0\n")


@pytest.fixture
def home() -> Iterator[Path]:
    """Not below /tmp, which the sandbox has a new one of."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as directory:
        yield Path(directory)


@needs_bubblewrap
async def test_what_is_in_places_of_keys_cannot_be_read(
    context: MakeContext, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh/id").write_text("canary-key")
    (home / ".netrc").write_text("canary-key")
    (home / "notes").write_text("readable")
    monkeypatch.setenv("HOME", str(home))
    assert await _bash(context(), "cat ~/notes; ls -A ~/.ssh") == (0, "readable")
    assert "canary" not in (await _bash(context(), "cat ~/.netrc ~/.ssh/id"))[1]
    assert "canary" in (await _bash(context(), "cat ~/.netrc ~/.ssh/id", Sandbox()))[1]
    assert (await _bash(context(), "cat /etc/shadow"))[1].count(":") <= 2


@needs_bubblewrap
async def test_no_process_of_the_machine_is_seen_and_none_is_left(context: MakeContext) -> None:
    code, told = await _bash(context(), "ls /proc | grep -c '^[0-9]'; kill -9 -1; echo unreachable")
    assert "unreachable" not in told or code == 0
    assert int(told.split()[0]) < 10


@needs_bubblewrap
async def test_exit_codes_signals_and_output_come_through(context: MakeContext) -> None:
    assert (await _bash(context(), "echo out; echo err >&2; exit 7"))[0] == 7
    assert "out\nerr\n" in (await _bash(context(), "echo out; echo err >&2; exit 7"))[1]
    assert (await _bash(context(), "kill -9 $$"))[0] == 137


@needs_bubblewrap
@pytest.mark.skipif(shutil.which("prlimit") is None, reason="prlimit is not installed")
async def test_memory_and_files_have_bounds(context: MakeContext) -> None:
    code, limits = await _bash(context(), "ulimit -d; ulimit -f; ulimit -c; ulimit -u")
    assert (code, limits.split()) == (0, [str(4 << 20), str(4 << 20), "0", "1024"])


@needs_bubblewrap
async def test_a_time_out_ends_all_that_runs_inside(context: MakeContext, workspace: Path) -> None:
    outcome = await BashTool(sandbox=_FOUND).run(
        {"command": "(trap '' TERM; while :; do :; done) & while :; do :; done", "timeout": 300}, context()
    )
    assert outcome.metadata["timed_out"] is True


async def test_what_is_confined_says_so(context: MakeContext) -> None:
    for sandbox in (_FOUND, Sandbox()):
        outcome = await BashTool(sandbox=sandbox).run({"command": "true"}, context())
        assert outcome.metadata["sandbox"] is sandbox.works


async def test_without_a_sandbox_commands_run_unless_one_is_demanded(context: MakeContext) -> None:
    missing = Sandbox(why_not="bubblewrap (bwrap) is not installed")
    assert missing.status == "none: bubblewrap (bwrap) is not installed"
    assert await _bash(context(), "echo free", missing) == (0, "free\n")
    with pytest.raises(ToolError, match="session's policy wants.*not installed"):
        await _bash(context(sandboxed=True), "echo free", missing)
    with pytest.raises(ToolError, match="service wants"):
        await _bash(context(), "echo free", Sandbox(required=True))


def test_one_that_does_not_work_is_found_out_and_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Sandbox.find("off").status == "none: it is switched off"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "not installed" in Sandbox.find().why_not
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\necho 'No permissions to create new namespace' >&2\nexit 1\n")
    broken.chmod(0o755)
    found = Sandbox.find("required")
    assert (found.works, found.required) == (False, True)
    assert "No permissions to create new namespace" in found.why_not
