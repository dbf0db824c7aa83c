"""What strangers send over HTTP: each answer is the intended one or a problem, and nothing of theirs moves a key."""

from __future__ import annotations

import json
from typing import Any

import pytest

from serve_app.terminal import plain
from tests.http.serving import Running

JSON = {"Content-Type": "application/json"}

_HALVES = {
    "an id": ("POST", "/v1/sessions", b'{"session_id":"a\\ud800"}'),
    "a name": ("POST", "/v1/sessions", b'{"config":{"name":"a\\ud800"}}'),
    "a prompt": ("POST", "/v1/sessions/s/events", b'{"prompt":"a\\ud800"}'),
    "a block": ("POST", "/v1/sessions/s/messages", b'{"role":"user","content":[{"type":"text","text":"\\udc00"}]}'),
    "a message": (
        "POST",
        "/v1/sessions/s/events",
        b'{"message":{"role":"user","content":[{"type":"text","text":"\\udc00"}]}}',
    ),
    "a decision": ("POST", "/v1/sessions/s/actions/a", b'{"resolution":"approve","args":{"x":"\\ud800"}}'),
}


@pytest.mark.parametrize(("method", "path", "body"), _HALVES.values(), ids=_HALVES)
def test_half_a_character_is_refused_as_a_problem(service: Running, method: str, path: str, body: bytes) -> None:
    service.create()
    response = service.http.request(method, path, content=body, headers=JSON)
    assert response.status_code == 422, response.text
    assert response.headers["content-type"] == "application/problem+json"


_MODELS: list[dict[str, Any]] = [
    {"credential_id": "openai", "base_url": "http://127.0.0.1:9"},
    {"credential_id": "cred_01M842YF08WS3P0B5S6CANKV4Q"},
    {"base_url": "http://user:sk-SECRET@127.0.0.1:9"},
    {"apikey": "sk-SECRET"},
]


@pytest.mark.parametrize("values", _MODELS, ids=str)
def test_a_client_cannot_name_the_key_of_somebody_else_nor_hide_one_in_an_address(
    service: Running, values: dict[str, Any]
) -> None:
    service.create()
    model = {"provider": "openai", "model": "x", **values}
    answers = [
        service.http.patch("/v1/sessions/s", json={"model": model}),
        service.http.post("/v1/sessions", json={"config": {"model": model}}),
        service.http.post("/v1/sessions/bulk", json={"session_ids": ["b"], "config": {"model": model}}),
        service.http.post("/v1/sessions/s/children", json={"session_id": "c", "config": {"model": model}}),
    ]
    for response in answers:
        assert response.status_code == 422, response.text
        assert "SECRET" not in response.text
        assert "function-" not in response.text


def test_a_stream_that_is_resumed_anywhere_has_neither_gaps_nor_repeats(service: Running) -> None:
    service.create()
    assert service.ask("one two three").status_code == 200
    head = service.http.get("/v1/sessions/s").json()["head_seq"]

    def ids(after: str) -> list[str]:
        found: list[str] = []
        with service.stream("GET", "/v1/sessions/s/events/stream", headers={"Last-Event-ID": after}) as events:
            for event in events:
                if "seq" in json.loads(event.data) and event.id:
                    found.append(event.id)
                if event.id == str(head):
                    return found
        return found

    everything = ids("0")
    assert len(everything) == len(set(everything))
    whole = [one for one in everything if "." not in one]
    assert whole == [str(seq) for seq in range(1, head + 1)]
    for at in range(head):
        resumed = [one for one in ids(str(at)) if "." not in one]
        assert resumed == [str(seq) for seq in range(at + 1, head + 1)]


def test_a_repeated_key_gets_the_first_outcome_of_each_command(service: Running) -> None:
    service.create()

    def twice(method: str, path: str, key: str, **options: Any) -> tuple[Any, Any]:
        headers = {"Idempotency-Key": key}
        one, two = (service.http.request(method, path, headers=headers, **options) for _ in range(2))
        assert one.status_code == two.status_code
        return one.json(), two.json()

    message = {"role": "user", "content": [{"type": "text", "text": "a"}]}
    for method, path, options in (
        ("POST", "/v1/sessions/s/messages", {"json": message}),
        ("POST", "/v1/sessions/s/events", {"json": {"prompt": "hello"}, "params": {"wait": "turn"}}),
        ("DELETE", "/v1/sessions/s", {}),
    ):
        first, second = twice(method, path, f"{method}{path.rpartition('/')[2]}", **options)
        assert first == second
    conflict = service.http.post("/v1/sessions", json={"session_id": "x"}, headers={"Idempotency-Key": "k"})
    assert conflict.status_code == 201
    conflict = service.http.post("/v1/sessions", json={"session_id": "y"}, headers={"Idempotency-Key": "k"})
    assert (conflict.status_code, conflict.json()["code"]) == (409, "CommandConflict")


def test_what_a_model_writes_does_not_act_on_the_terminal() -> None:
    assert plain("rm \u202ezz\u2066") == "rm \ufffdzz\ufffd"
    assert plain("a\x1b]52;c;aGk=\x07b\r\nc\td\r\x9b") == "a�]52;c;aGk=�b\nc\td��"
