"""The shell blocks of README.md and its guide are executed against ``greenroom serve``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.guide import ROOT, Block, blocks
from tests.service.started import Service

BLOCK_S = 60.0
"""The embedded model loads and answers twice within a few seconds."""

COMMAND = """#!/bin/sh
exec "{python}" -c 'from serve_app.cli import main; main()' "$@"
"""


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment whose ``greenroom`` is this checkout's."""
    directory = tmp_path_factory.mktemp("bin")
    script = directory / "greenroom"
    script.write_text(COMMAND.format(python=sys.executable), encoding="utf-8")
    script.chmod(0o755)
    return os.environ | {"PATH": f"{directory}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}


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
def test_the_shell_blocks_run_one_after_the_other(service: Service, shell: dict[str, str], tmp_path: Path) -> None:
    url = str(service.http.base_url).rstrip("/")
    first, approving, commands = blocks("bash")

    told = _run(first, shell, url, tmp_path)
    assert told.count("event: message.delta") > 1, "the answer streams"
    assert "event: turn.completed" in told
    assert told.rstrip().endswith("}") and '"turn_id":"turn-2"' in told, "the second answer came whole"

    told = _run(approving, shell, url, tmp_path)
    assert '"why":"requires_action"' in told
    assert '"text":"It ran."' in told

    told = _run(commands, shell, url, tmp_path)
    assert "curl-tour" in told and "tool.call.completed" in told
    assert "is destroyed" in told
