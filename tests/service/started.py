"""A ``greenroom serve`` that a stranger has started: one process tree, its database and its log."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.integration.processes import descendants, none_left
from tests.service import canaries

ANSWER_S = 120.0
"""The embedded model reads about 130 tokens a second here, and is loaded on first use."""


class Service:
    """A running service, its database and its log."""

    def __init__(self, process: subprocess.Popen[bytes], url: str, data: Path, log: Path) -> None:
        self.process = process
        self.data = data
        self.log = log
        self.http = httpx.Client(base_url=url, timeout=ANSWER_S)

    def stream(self, session_id: str, text: str) -> list[dict[str, object]]:
        """Send a prompt and read its turn's events."""
        headers = {"Accept": "text/event-stream"}
        events: list[dict[str, object]] = []
        path = f"/v1/sessions/{session_id}/events"
        with self.http.stream("POST", path, json={"prompt": text}, headers=headers) as answer:
            assert answer.status_code == 200, answer.read()
            events.extend(json.loads(line[5:]) for line in answer.iter_lines() if line.startswith("data:"))
        return events


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_until_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    # The announcement that the process prints is its event; readiness is then asked for once.
    assert process.stdout is not None
    for raw in process.stdout:
        with log.open("ab") as file:
            file.write(raw)
        if b"Greenroom is running at " + url.encode() in raw:
            return
    raise AssertionError(f"the service ended with {process.wait()}: {log.read_text()}")


@contextmanager
def started(directory: Path) -> Generator[Service]:
    """Start it on a free port, with an empty home, and end it by an interrupt; nothing of it stays."""
    port = _free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH")}
    environment |= {"GREENROOM_RUNTIME": f"serve-{port}", "COLUMNS": "200", "HOME": str(directory)}
    environment |= {"CANARY_TOKEN": canaries.ENVIRONMENT}
    command = [sys.executable, "-c", "from serve_app.cli import main; main()", "serve"]
    options = ["--port", str(port), "--data-dir", str(directory / "data")]
    process = subprocess.Popen(
        command + options, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment, start_new_session=True
    )
    log = directory / "log"
    log.touch()
    try:
        _wait_until_ready(process, url, log)
        running = Service(process, url, directory / "data", log)
        yield running
        running.http.close()
    finally:
        tree = descendants(process.pid) | {process.pid}
        process.send_signal(signal.SIGINT)
        try:
            code = process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            code = -9
        assert process.stdout is not None
        process.stdout.close()
        left = none_left(tree, 30.0)
        assert code == 0, "an interrupt is how the service is ended"
        assert left == [], "processes outlived the service"
