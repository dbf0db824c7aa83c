"""A turn that waits for the key of its model, over HTTP, in the command line and in the inbox."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from serve_app.cli import app
from tests.http.serving import Running, running

_KEY = "sk-CANARY-over-http"
_SCRIPT: dict[str, Any] = {"provider": "scripted", "model": "echo", "api_key": _KEY}


@contextmanager
def _restarted(folder: Path) -> Generator[Running]:
    """A service that was started again since its session ``s`` was given a key."""
    store = f"sqlite:///{folder / 'greenroom.db'}"
    with running(store=store) as first:
        first.create(model=_SCRIPT)
    with running(store=store) as second:
        yield second


def test_a_turn_that_waits_for_its_key_is_in_the_inbox_and_goes_on_once_it_is_given(tmp_path: Path) -> None:
    with _restarted(tmp_path) as service:
        path, params, key = "/v1/sessions/s/events", {"wait": "turn"}, {"Idempotency-Key": "k"}
        waiting = service.http.post(path, params=params, headers=key, json={"prompt": "hello"})
        inbox = service.http.get("/v1/actions", params={"kind": "credential"})
        given = service.http.patch("/v1/sessions/s", json={"model": _SCRIPT})
        done = service.http.post(path, params=params, headers=key, json={"prompt": "hello"})
        records = service.http.get("/v1/sessions/s/events")

    assert (waiting.status_code, waiting.json()["why"]) == (202, "requires_action")
    (action,) = inbox.json()["items"]
    assert (action["session_id"], action["tool"], action["call_index"]) == ("s", "", -1)
    assert "configure" in action["detail"]
    assert given.status_code == 200
    assert (done.status_code, done.json()["text"]) == (200, "hello")
    assert not [answer for answer in (waiting, inbox, given, done, records) if _KEY in answer.text]


def test_a_rejected_one_is_a_problem_that_says_what_to_do(tmp_path: Path) -> None:
    with _restarted(tmp_path) as service:
        service.ask("hello")
        (action,) = service.http.get("/v1/sessions/s/actions").json()["items"]
        path = f"/v1/sessions/s/actions/{action['action_id']}"
        unknown = service.http.post(path, json={"resolution": "approve"})
        rejected = service.http.post(path, json={"resolution": "reject"})
        (turn,) = service.http.get("/v1/sessions/s/turns").json()["items"]

    assert (unknown.status_code, rejected.status_code) == (422, 204)
    assert (turn["status"], turn["error_code"]) == ("failed", "CredentialMissing")


def test_the_command_line_shows_what_is_waited_for_and_a_chat_asks_whether_to_go_on(tmp_path: Path) -> None:
    with _restarted(tmp_path) as service:
        runner, where = CliRunner(), ["s", "--url", service.url]
        service.ask("first")
        shown = runner.invoke(app, ["show", *where]).output
        (action,) = service.http.get("/v1/sessions/s/actions").json()["items"]
        service.http.post(f"/v1/sessions/s/actions/{action['action_id']}", json={"resolution": "reject"})
        said = runner.invoke(app, ["chat", *where], input="hello\ny\nn\n/quit\n").output

    assert "Waits: credential The key that was given" in shown
    assert said.count("Go on? [y/n]") == 2
    assert "is not in memory any more" in said
