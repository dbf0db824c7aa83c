"""The command against a running service: what a person at a terminal sees."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from actors import errors
from serve_app.cli import app
from serve_app.client import ServiceUnreachable
from tests.http.serving import Running, running

_ROOT = Path(__file__).resolve().parents[2]


def _run(url: str, *arguments: str, said: str = "", **environment: str) -> Result:
    env = {"GREENROOM_URL": url, "COLUMNS": "200", "NO_COLOR": "1", **environment}
    return CliRunner().invoke(app, list(arguments), input=said, env=env)


def _ok(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return result.stdout


def _error(result: Result) -> str:
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit), "a traceback"
    return result.stderr.strip()


def test_sessions_are_listed(service: Running) -> None:
    assert "no sessions yet" in _ok(_run(service.url, "ps"))
    service.create("one", name="First [bold]things[/bold]")
    service.ask("hello", "one")

    listed = _ok(_run(service.url, "ps"))

    assert "one" in listed and "First [bold]things[/bold]" in listed and "scripted/prompt" in listed


def test_a_session_is_shown_with_its_conversation_and_what_it_waits_for(service: Running) -> None:
    service.create("one")
    service.ask("hello there", "one")
    service.ask("/tool ls {}", "one")

    shown = _ok(_run(service.url, "show", "one"))

    assert "requires_action" in shown
    assert "assistant: hello there" in shown
    assert "Waits: approval of ls" in shown


def test_what_those_below_a_session_wait_for_is_shown_with_it(service: Running) -> None:
    service.create("one")
    service.http.post("/v1/sessions/one/children", json={"session_id": "kid", "config": {"model": "scripted/prompt"}})
    service.ask("/tool ls {}", "kid")

    assert "kid waits: approval of ls" in _ok(_run(service.url, "show", "one"))


def test_events_are_shown_one_a_line(service: Running) -> None:
    service.create("one")
    service.ask("hello", "one")

    lines = _ok(_run(service.url, "events", "one")).splitlines()
    as_json = _ok(_run(service.url, "events", "one", "--json", "--after", "1")).splitlines()

    assert "session.created" in lines[0] and "turn.completed" in lines[-1] and "hello" in lines[-1]
    assert [json.loads(line)["seq"] for line in as_json] == list(range(2, len(lines) + 1))


def test_a_session_is_destroyed(service: Running) -> None:
    service.create("one")

    assert "is destroyed" in _ok(_run(service.url, "destroy", "one"))
    assert "no session" in _ok(_run(service.url, "destroy", "one"))


def test_an_unknown_session_is_one_sentence_and_exit_code_1(service: Running) -> None:
    for command in ("show", "events"):
        assert _error(_run(service.url, command, "nobody")) == f"Error: {errors.SessionNotFound('nobody').message}"


def test_without_a_service_the_command_says_what_to_do() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"

        for command in (["ps"], ["chat"], ["destroy", "x"], ["events", "x", "--follow"]):
            assert _error(_run(url, *command)) == f"Error: {ServiceUnreachable(url).message}"


def test_a_wrong_key_is_refused_in_words_and_a_right_one_accepted() -> None:
    with running(api_keys=["k"]) as service:
        assert "Not authorized" in _error(_run(service.url, "ps"))
        assert "no sessions" in _ok(_run(service.url, "ps", GREENROOM_API_KEY="k"))


def test_a_chat_streams_answers_and_keeps_the_session(service: Running) -> None:
    said = _ok(_run(service.url, "chat", "talk", said="hello there\n\nsecond line\n/quit\n"))

    assert "hello there" in said and "second line" in said
    assert "greenroom chat talk" in said
    turns = service.http.get("/v1/sessions/talk/turns").json()["items"]
    assert [turn["text"] for turn in turns] == ["hello there", "second line"]


@pytest.mark.parametrize(("answer", "written"), [("y", True), ("maybe\nn", False)])
def test_a_chat_asks_before_a_tool_runs(tmp_path: Path, answer: str, written: bool) -> None:
    script: dict[str, Any] = {
        "steps": [
            {"tools": [{"tool": "write", "args": {"file_path": "note.txt", "content": "hi"}}]},
            {"text": "All done."},
        ]
    }
    with running(workspace=str(tmp_path)) as service:
        service.create("talk", model={"provider": "scripted", "model": "script", "options": script})

        said = _ok(_run(service.url, "chat", "talk", said=f"go\n{answer}\n"))

    assert "Run write" in said and "note.txt" in said
    assert "All done." in said
    assert (tmp_path / "note.txt").exists() is written


def test_a_failed_turn_is_told_and_the_chat_goes_on(service: Running) -> None:
    result = _run(service.url, "chat", "talk", said="/fail auth\nstill here\n")

    assert "still here" in _ok(result)
    assert "API key" in result.stderr


def test_a_chat_with_a_paused_session_says_so(service: Running) -> None:
    service.create("talk")
    service.http.post("/v1/sessions/talk/pause")

    result = _run(service.url, "chat", "talk", said="hello\n")

    assert errors.SessionPaused("talk").message in result.stderr


def test_a_chat_without_a_service_runs_in_this_process() -> None:
    said = _ok(_run("http://127.0.0.1:1", "chat", "--local", "--model", "scripted/echo", said="embedded hello\n"))

    assert said.count("embedded hello") == 1


def test_an_unknown_provider_is_the_same_sentence_on_the_command_line(service: Running) -> None:
    result = _run(service.url, "chat", "--model", "nobody/x", said="hi\n")

    response = service.http.post("/v1/sessions", json={"config": {"model": "nobody/x"}})
    assert _error(result) == f"Error: {response.json()['detail']}"


def test_serve_refuses_a_port_in_use_before_anything_starts(service: Running) -> None:
    port = service.url.rpartition(":")[2]

    result = _run(service.url, "serve", "--port", port)

    assert _error(result) == f"Error: {errors.PortInUse('127.0.0.1', int(port)).message}"


def test_serve_refuses_to_listen_to_other_machines_without_a_key() -> None:
    assert "GREENROOM_API_KEYS" in _error(_run("", "serve", "--host", "0.0.0.0"))


def test_serve_refuses_an_address_of_another_machine() -> None:
    result = _run("", "serve", "--host", "192.0.2.1", GREENROOM_API_KEYS="k")

    assert "Cannot listen on 192.0.2.1" in _error(result)


def test_serve_names_a_setting_that_is_not_valid() -> None:
    assert "GREENROOM_MAX_RESIDENT" in _error(_run("", "serve", GREENROOM_MAX_RESIDENT="many"))


def test_help_and_version_load_nothing_heavy() -> None:
    code = (
        "import sys; from serve_app.cli import app; app(sys.argv[1:], standalone_mode=False);"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    environment = {**os.environ, "PYTHONPATH": str(_ROOT)}

    for argument in ("--help", "version"):
        done = subprocess.run(
            [sys.executable, "-c", code, argument], env=environment, capture_output=True, text=True, timeout=60
        )
        assert "greenroom" in done.stdout.lower() or "Usage" in done.stdout
        assert {"ray", "fastapi", "aiohttp", "sqlalchemy", "httpx"} & set(done.stderr.split()) == set()
