"""The shell blocks of README.md and its guide are executed against ``greenroom serve``, started as strangers do."""

from __future__ import annotations

import os
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest

from tests.docs.guide import ROOT, Block, blocks

START_S = 90.0
"""Ray, the actors and Ray Serve take about 15 s on two quiet cores."""

STOP_S = 60.0
BLOCK_S = 60.0
"""The embedded model loads and answers twice within a few seconds."""

RUNNING = b"Greenroom is running at "

COMMAND = """#!/bin/sh
exec "{python}" -c 'from serve_app.cli import main; main()' "$@"
"""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment whose ``greenroom`` is this checkout's."""
    directory = tmp_path_factory.mktemp("bin")
    script = directory / "greenroom"
    script.write_text(COMMAND.format(python=sys.executable), encoding="utf-8")
    script.chmod(0o755)
    return os.environ | {"PATH": f"{directory}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}


@pytest.fixture(scope="module")
def service(shell: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a service on a free port, with a new database."""
    url = f"http://127.0.0.1:{(port := _free_port())}"
    place = tmp_path_factory.mktemp("service")
    with (place / "log").open("wb") as log:
        process = subprocess.Popen(
            ["greenroom", "serve", "--port", str(port), "--data-dir", str(place / "data")],
            cwd=place,
            env=shell | {"GREENROOM_RUNTIME": f"docs-{port}", "GREENROOM_MIN_WARM": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
        try:
            assert _says(process, RUNNING + url.encode()), (place / "log").read_text(encoding="utf-8")
            yield url
        finally:
            _end(process)
    assert process.returncode == 0, (place / "log").read_text(encoding="utf-8")


def _says(process: subprocess.Popen[bytes], wanted: bytes) -> bool:
    """Wait until the process has printed a text; False when it ends or takes too long."""
    assert process.stdout is not None
    said, deadline = b"", monotonic() + START_S
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while wanted not in said:
            if not selector.select(max(0.0, deadline - monotonic())):
                return False
            piece = os.read(process.stdout.fileno(), 4096)
            if not piece:
                return False
            said += piece
    return True


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGINT)
    try:
        process.communicate(timeout=STOP_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def _run(block: Block, shell: dict[str, str], url: str, place: Path) -> str:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block.text],
        cwd=place,
        env=shell | {"GREENROOM_URL": url},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=BLOCK_S,
        check=False,
    )
    assert done.returncode == 0, f"{block.place}: {done.stderr}\n{done.stdout}"
    return done.stdout


@pytest.mark.local_model
def test_the_shell_blocks_run_one_after_the_other(service: str, shell: dict[str, str], tmp_path: Path) -> None:
    first, approving, commands = blocks("bash")

    told = _run(first, shell, service, tmp_path)
    assert told.count("event: message.delta") > 1, "the answer streams"
    assert "event: turn.completed" in told
    assert told.rstrip().endswith("}") and '"turn_id":"turn-2"' in told, "the second answer came whole"

    told = _run(approving, shell, service, tmp_path)
    assert '"why":"requires_action"' in told
    assert '"text":"It ran."' in told

    told = _run(commands, shell, service, tmp_path)
    assert "curl-tour" in told and "tool.call.completed" in told
    assert "is destroyed" in told
