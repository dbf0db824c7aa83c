"""``greenroom serve`` as a stranger runs it: no key, the embedded model, one process tree, and only loopback."""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from serve_app.cli import app
from tests.integration.processes import descendants
from tests.service.ports import listening
from tests.service.started import Service

BRIEF = {"max_continuations": 0, "model": {"provider": "local", "model": "smollm2-135m-instruct", "max_tokens": 48}}
"""So small a model rambles: what it says is cut off, since nobody here cares what it says."""


@pytest.mark.local_model
def test_the_embedded_model_answers_over_http_token_by_token(service: Service) -> None:
    assert service.http.get("/readyz").status_code == 200
    created = service.http.post("/v1/sessions", json={"session_id": "first", "config": BRIEF})
    assert created.status_code == 201, created.text

    events = service.stream("first", "Say hello in one short sentence.")

    deltas = [event for event in events if event["type"] == "message.delta"]
    assert len(deltas) > 1
    end = events[-1]
    assert end["type"] == "turn.completed"
    data = end["data"]
    assert isinstance(data, dict)
    assert "".join(str(delta["text"]) for delta in deltas if delta["channel"] == "text") == data["text"]
    assert data["text"]


@pytest.mark.local_model
def test_the_conversation_is_all_there_after_the_process_that_hosts_it_was_killed(service: Service) -> None:
    service.http.post("/v1/sessions", json={"session_id": "second", "config": BRIEF}).raise_for_status()
    service.stream("second", "My name is Ada. Answer with one word.")
    hosts = [pid for pid in descendants(service.process.pid) if b"SessionActor" in _title(pid)]
    assert hosts
    for pid in hosts:
        os.kill(pid, signal.SIGKILL)

    events = service.stream("second", "Thanks. Answer with one word.")

    assert events[-1]["type"] == "turn.completed"
    messages = service.http.get("/v1/sessions/second/messages").json()
    assert [message["role"] for message in messages["items"]] == ["user", "assistant", "user", "assistant"]


def _command(*arguments: object) -> Result:
    environment = {"COLUMNS": "1000", "NO_COLOR": "1"}
    return CliRunner().invoke(app, list(map(str, arguments)), env=environment)


def test_a_running_service_is_backed_up_and_verified_and_not_restored_over(service: Service, tmp_path: Path) -> None:
    config = {"model": "scripted/echo"}
    service.http.post("/v1/sessions", json={"session_id": "kept", "config": config}).raise_for_status()
    service.http.post("/v1/sessions/kept/events?wait=turn", json={"prompt": "Keep this."}).raise_for_status()
    copy = tmp_path / "copy.db"

    made = _command("backup", copy, "--data-dir", service.data)
    live, kept = _command("verify", service.data), _command("verify", copy)
    refused = _command("restore", copy, "--data-dir", service.data, "--force")

    assert made.exit_code == live.exit_code == kept.exit_code == 0, made.output + live.output + kept.output
    assert refused.exit_code == 1
    assert "in use" in refused.stderr
    assert service.http.post("/v1/sessions/kept/events?wait=turn", json={"prompt": "Go on."}).status_code == 200


def _title(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


@pytest.mark.local_model
def test_every_port_of_the_service_is_loopback(service: Service) -> None:
    ports = listening(descendants(service.process.pid) | {service.process.pid})
    http = [port for port in ports if port.number == service.http.base_url.port]
    assert http, "the service listens"
    assert all(port.loopback for port in http)

    open_ports = Counter(port.process for port in ports if not port.loopback and not port.of_ray)

    # Ray's core worker has one port in every process that takes part in a cluster; beyond it there is nothing.
    assert [process for process, count in open_ports.items() if count > 1] == []
