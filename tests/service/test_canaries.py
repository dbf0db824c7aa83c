"""Secrets in all that a service is told, runs and meets, and not one of them in what it wrote or sent."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import httpx
from typer.testing import CliRunner

from serve_app.cli import app
from tests.integration.processes import descendants
from tests.service import canaries
from tests.service.started import Service
from tests.unit.mcp.servers import RAW


def test_no_secret_is_in_any_byte_that_the_service_wrote_or_sent(service: Service, tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    (workspace / "notes").write_text(canaries.TEXT)
    allowed = {"permission_policy": {"default_decision": "allow"}, "workspace": str(workspace), "security": {}}
    http = service.http
    with canaries.Sent(http) as sent, canaries.provider() as address:
        server = {"name": "raw", "transport": "stdio", "command": sys.executable, "args": ["-I", "-S", RAW]}
        http.post("/v1/mcp-servers", json=server).raise_for_status()
        _create(http, "met", allowed | {"model": "scripted/prompt"})
        service.stream("met", f"I am {canaries.TEXT}")
        service.stream("met", canaries.everywhere())
        for name in ("denies", "streams"):
            model = {"provider": "openai", "model": name, "base_url": address, "api_key": canaries.PROVIDER_KEY}
            # One of them is gone through by a provider as well, in each of its processes.
            providers = ["tests.unit.inspection.providers:Projects"] if name == "denies" else []
            _create(http, name, allowed | {"model": model, "security": {"providers": providers}})
            service.stream(name, f"I am {canaries.TEXT}, of Project Apollo")
        _meet(http, "/v1/sessions/met")
        report = http.get("/v1/sessions/met/security").json()
        assert http.get("/v1/sessions/denies/security").json()["withheld"]["PROJECT"] == 1
        copy = tmp_path / "copy.db"
        assert CliRunner().invoke(app, ["backup", str(copy), "--data-dir", str(service.data)]).exit_code == 0

    assert set(report["withheld"]) == {*canaries.PARTS, "SECRET"}
    logs = _ray_logs(service)
    assert logs, "what its processes print is somewhere"
    assert canaries.left(sent.bodies, service.data, service.log, copy, *logs) == []


def _create(http: httpx.Client, session_id: str, config: Mapping[str, object]) -> None:
    http.post("/v1/sessions", json={"session_id": session_id, "config": config}).raise_for_status()


def _meet(http: httpx.Client, met: str) -> None:
    """Tell a session the secrets in every other way, and read all there is of it and of those made of it."""
    for path in ("title", "compact", "snapshot"):
        http.post(f"{met}/{path}").raise_for_status()
    http.post(f"{met}/fork", json={"session_id": "fork"}).raise_for_status()
    message = {"role": "user", "content": [{"type": "text", "text": canaries.TEXT}]}
    http.post(f"{met}/messages", json=message).raise_for_status()
    http.post(f"{met}/children", json={"children": [{"prompt": canaries.TEXT}]}).raise_for_status()
    http.put(f"{met}/tasks", json={"tasks": [{"id": "1", "content": canaries.TEXT}]}).raise_for_status()
    http.get(f"{met}/children/results", params={"wait": "all"}).raise_for_status()
    assert http.post(f"{met}/events", json={"promt": canaries.TEXT}).status_code == 422
    for session in (met, "/v1/sessions/fork", "/v1/sessions/denies", "/v1/sessions/streams"):
        for part in ("messages", "export", "actions", "effects", "tasks", "tree", "turns"):
            http.get(f"{session}/{part}").raise_for_status()
        http.get(f"{session}/events", params={"limit": 500}).raise_for_status()
    (artifact,) = http.get(f"{met}/artifacts").json()["items"]
    http.get(f"{met}/artifacts/{artifact['artifact_id']}").raise_for_status()
    for path in ("sessions", "models", "mcp-servers", "tools", "usage"):
        http.get(f"/v1/{path}").raise_for_status()


def _ray_logs(service: Service) -> list[Path]:
    """Where Ray's processes of the service write what they print."""
    words = [word for pid in descendants(service.process.pid) for word in _command_line(pid).split("\0")]
    found = {word.partition("=")[2] for word in words if word.startswith(("--logs-dir=", "--logs_dir=", "--log_dir="))}
    return [Path(path) for path in sorted(found)]


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode()
    except OSError:
        return ""
