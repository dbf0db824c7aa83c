"""One round over HTTP: a real ``greenroom serve``, users of it, faults, and what is left of them."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from actors.faults import PIPES
from tests.chaos import invariants
from tests.chaos.count import count
from tests.chaos.faults import Faults
from tests.chaos.fire import under_fire
from tests.chaos.mcp_servers import over_stdio
from tests.chaos.plan import SILENCE_S, WEB_TARGETS
from tests.chaos.remains import GONE_S, in_the_end, rows, servers, sockets
from tests.chaos.report import Report
from tests.chaos.web import SERVER, UNSAFE, Web, WebUser
from tests.integration.processes import descendants, none_left

USERS = 5

STORE = "data"

STOP_S = 60.0
"""Longest wait for the service to end."""


async def run_served(directory: Path, pipes: Path, *, seed: int, faults: int) -> Report:
    """Do so many faults under load over HTTP; the service starts a Ray of its own.

    Args:
        directory: Where everything of this round is kept.
        pipes: Where the processes can be armed.
    """
    report = Report(seed)
    began = time.monotonic()
    runtime = f"chaos-{secrets.token_hex(4)}"
    async with _served(directory, pipes, runtime, report) as (url, pid):
        web = Web(url)
        await web.serve(over_stdio(SERVER, directory))
        users = [await WebUser.enter(web, f"user-{n}", directory, seed + n) for n in range(USERS)]
        killer = Faults(seed, pipes, directory, among=WEB_TARGETS, below=pid)
        users += await under_fire(users, killer, faults, lambda name: WebUser.enter(web, name, directory, 1), report)
        await count(users, UNSAFE, directory, directory / STORE, report)
        for user in users:
            await user.destroy()
        await web.unserve()
        await web.http.aclose()
    left = {
        "server": await in_the_end(lambda: servers(directory)),
        "socket": sockets(runtime),
        "row": await asyncio.to_thread(rows, directory / STORE),
    }
    report.violations += invariants.nothing_left(left)
    report.seconds = time.monotonic() - began
    return report


@asynccontextmanager
async def _served(directory: Path, pipes: Path, runtime: str, report: Report) -> AsyncGenerator[tuple[str, int]]:
    """Address and process of the service; what it leaves is a violation."""
    url, process = await asyncio.to_thread(_started, directory, pipes, runtime)
    try:
        yield url, process.pid
    finally:
        tree = descendants(process.pid) | {process.pid}
        process.send_signal(signal.SIGINT)
        code = await asyncio.to_thread(_ended, process)
        left = await asyncio.to_thread(none_left, tree, GONE_S)
    report.violations += invariants.nothing_left({"process": left})
    report.violations += [] if code == 0 else [f"the service ended with {code}"]


def _started(directory: Path, pipes: Path, runtime: str) -> tuple[str, subprocess.Popen[bytes]]:
    port = _free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH")} | {
        PIPES: str(pipes),
        "GREENROOM_RUNTIME": runtime,
        "GREENROOM_WORKSPACE": str(directory),
        "GREENROOM_SILENCE_S": str(SILENCE_S),
        "GREENROOM_IDLE_TIMEOUT_S": "1",
        "GREENROOM_MAX_RESIDENT": "4",
        "HOME": str(directory),
        "COLUMNS": "200",
    }
    command = [sys.executable, "-c", "from serve_app.cli import main; main()", "serve", "--port", str(port)]
    options = ["--model", "scripted/prompt", "--data-dir", str(directory / STORE)]
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            command + options, stdout=subprocess.PIPE, stderr=log, env=environment, start_new_session=True
        )
    url = f"http://127.0.0.1:{port}"
    assert process.stdout is not None
    # The announcement is its event.
    if not any(url.encode() in line for line in process.stdout):
        raise AssertionError(f"the service ended with {process.wait()}: {(directory / 'log').read_text()}")
    return url, process


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _ended(process: subprocess.Popen[bytes]) -> int:
    try:
        process.communicate(timeout=STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
    return process.wait()
