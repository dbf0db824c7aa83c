"""Sessions as documents over HTTP and from a terminal."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner, Result

from serve_app.cli import app
from tests.http.serving import Running


def _run(service: Running, *arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), env={"GREENROOM_URL": service.url, "NO_COLOR": "1"})


def test_a_session_is_exported_destroyed_and_imported_as_it_was(service: Running) -> None:
    service.create(name="Plan")
    service.ask("first")
    exported = service.http.get("/v1/sessions/s/export")
    messages = service.http.get("/v1/sessions/s/messages").json()
    service.http.delete("/v1/sessions/s")

    key = {"Idempotency-Key": "k"}
    made = service.http.post("/v1/sessions/import", json=exported.json(), headers=key)
    again = service.http.post("/v1/sessions/import", json=exported.json(), headers=key)

    assert exported.headers["content-disposition"] == 'attachment; filename="s.json"'
    assert (made.status_code, made.headers["location"], made.json()["name"]) == (201, "/v1/sessions/s", "Plan")
    assert again.json() == made.json()
    assert service.http.get("/v1/sessions/s/messages").json() == messages
    assert service.http.get("/v1/sessions/s/export").json() == exported.json()


def test_what_cannot_be_imported_is_a_problem(service: Running) -> None:
    service.create()
    document = service.http.get("/v1/sessions/s/export").json()

    for body, params, status in (
        (document, {}, 409),
        (document, {"session_id": "a b"}, 422),
        ({"format": "greenroom.session"}, {}, 422),
        ({}, {}, 422),
        ([], {}, 422),
    ):
        assert service.http.post("/v1/sessions/import", json=body, params=params).status_code == status
    assert service.http.get("/v1/sessions/nobody/export").status_code == 404


def test_files_of_a_terminal(service: Running, tmp_path: Path) -> None:
    service.create()
    service.ask("first")
    file, broken = tmp_path / "s.json", tmp_path / "broken.json"
    broken.write_text("{")

    assert _run(service, "export", "s", str(file)).exit_code == 0
    assert (file.stat().st_mode & 0o777, json.loads(file.read_bytes())["session_id"]) == (0o600, "s")
    assert json.loads(_run(service, "export", "s").stdout) == json.loads(file.read_bytes())
    assert "cannot be written" in _run(service, "export", "s", str(file)).stderr

    done = _run(service, "import", str(file), "--id", "copy")
    assert (done.exit_code, f"{file}: session copy" in done.stdout) == (0, True)
    some = _run(service, "import", str(broken), str(file), str(tmp_path / "none"))
    assert some.exit_code == 1
    assert "broken.json: it is not JSON" in some.stderr and "none: it cannot be read" in some.stderr
    assert "s.json: " in some.stderr
    assert service.http.get("/v1/sessions/copy").json()["messages"] == 2
